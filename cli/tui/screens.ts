/** What the other screens show, and where it comes from: the operations that HTTP and the command line use too. */
import type { App } from '../../src/app.ts';
import { type KeyId, type Subject, shortKid } from '../../src/domain/ids.ts';
import type { EpochMs } from '../../src/domain/time.ts';
import { listAllClients } from '../../src/operations/clients.ts';
import { countSessions } from '../../src/operations/families.ts';
import { type KeyOutlook, listKeyOutlooks } from '../../src/operations/list-keys.ts';
import { listUserPage } from '../../src/operations/users.ts';
import { type ClientView, clientView, type UserView, userView } from '../../src/operations/views.ts';
import { timeColumn } from '../output.ts';
import type { Column } from '../table.ts';
import { roughly } from '../when.ts';
import { type Listing, makeListing } from './listing.ts';
import { bar } from './rates.ts';

/** Users of one reading. */
const PAGE = 100;

const STEPS = { active: 'signs', retiring: 'retires', verify_only: 'only verifies', gone: 'gone' } as const;

const startOf = ({ key }: KeyOutlook): EpochMs => key.activatedAt ?? key.createdAt;

/** How far a key is on its way to the next step. */
function progress(outlook: KeyOutlook, now: EpochMs): string {
  const { step } = outlook;
  if (step === null) return '';
  const start = startOf(outlook);
  return bar((now - start) / Math.max(1, step.at - start), 8);
}

function nextText({ step }: KeyOutlook, now: EpochMs): string {
  if (step === null) return '';
  return `${STEPS[step.to]} ${step.at <= now ? 'now' : `in ${roughly(step.at - now)}`}`;
}

const keyColumns = (now: EpochMs): readonly Column<KeyOutlook>[] => [
  { title: 'KID', value: ({ key }) => shortKid(key.kid as KeyId) },
  { title: 'RING', value: ({ key }) => key.ring },
  { title: 'ALG', value: ({ key }) => key.alg },
  {
    title: 'STATE',
    value: ({ key }) => key.state,
    tone: ({ key }) => (key.state === 'compromised' ? 'alarm' : key.state === 'retiring' ? 'warn' : undefined),
  },
  { title: 'AGE', value: (outlook) => roughly(Math.max(0, now - startOf(outlook))) },
  { title: 'NEXT', value: (outlook) => nextText(outlook, now) },
  { title: 'PROGRESS', value: (outlook) => progress(outlook, now) },
];

/** Both rings; nothing can be marked or opened. @throws Refusal temporarily_unavailable */
export async function loadKeys(app: App): Promise<Listing> {
  return makeListing({
    rows: await listKeyOutlooks(app),
    id: ({ key }) => key.kid,
    columns: keyColumns,
    isAlarm: ({ key }) => key.state === 'compromised',
    note: 'next -> active -> retiring -> verify-only -> gone',
    refresh: async () => ({ listing: await loadKeys(app), arrived: 0 }),
  });
}

const clientColumns = (now: EpochMs): readonly Column<ClientView>[] => [
  { title: 'CLIENT', value: (row) => row.client_id },
  { title: 'TYPE', value: (row) => (row.public ? `${row.type}, public` : row.type) },
  { title: 'AUDIENCE', value: (row) => row.audiences.join(' ') },
  timeColumn<ClientView>('SECRET', now, (row) => (row.public ? null : (row.secret_rotated_at ?? row.created_at))),
  { title: 'LEEWAY', value: (row) => row.leeway },
  { title: 'TOKENS', value: (row) => row.refresh_token_ttl },
  { title: 'IDLE', value: (row) => row.idle_timeout },
  { title: 'SESSIONS', value: (row) => row.max_sessions },
];

/** All of them at once; only an `app` has sessions to go to. @throws Refusal temporarily_unavailable */
export async function loadClients(app: App): Promise<Listing> {
  return makeListing({
    rows: (await listAllClients(app)).map(clientView),
    id: ({ client_id }) => client_id,
    columns: clientColumns,
    owner: ({ client_id, type }) =>
      type === 'app'
        ? { which: { client: client_id }, words: `client ${client_id}`, filter: `client:${client_id}` }
        : undefined,
    refresh: async () => ({ listing: await loadClients(app), arrived: 0 }),
  });
}

interface UserRow extends UserView {
  /** Live ones; undefined before they have been counted. */
  readonly sessions: number | undefined;
}

const userColumns = (now: EpochMs): readonly Column<UserRow>[] => [
  { title: 'USER', value: (row) => row.username },
  { title: 'STATE', value: (row) => row.state, tone: (row) => (row.state === 'active' ? undefined : 'dim') },
  { title: 'SESSIONS', value: (row) => row.sessions ?? null, right: true },
  timeColumn<UserRow>('SINCE', now, (row) => row.created_at),
  timeColumn<UserRow>('PASSWORD', now, (row) => row.password_changed_at),
  { title: 'SUBJECT', value: (row) => row.subject },
];

function userListing(app: App, rows: readonly UserRow[], next: string | null): Listing {
  return makeListing({
    rows,
    id: ({ subject }) => subject,
    columns: userColumns,
    owner: ({ subject, username }) => ({
      which: { subject },
      words: `subject ${username}`,
      filter: `subject:${subject}`,
    }),
    note: rows.length === 0 ? 'no users yet: auth-server users add NAME' : '',
    reach: next === null ? '' : 'more follow (. or the end)',
    more: next === null ? undefined : async () => readUsers(app, rows, next),
    refresh: async (visible) => {
      const counts = new Map<string, number>();
      // Of those on screen alone: each is a range of an index.
      for (const subject of visible) counts.set(subject, await countSessions(app, subject as Subject));
      const counted = rows.map((row) => ({ ...row, sessions: counts.get(row.subject) ?? row.sessions }));
      return { listing: userListing(app, counted, next), arrived: 0 };
    },
  });
}

async function readUsers(app: App, before: readonly UserRow[], cursor: string | undefined): Promise<Listing> {
  const { users, nextCursor } = await listUserPage(app, { limit: PAGE, cursor });
  const rows = users.map((user) => ({ ...userView(user), sessions: undefined }));
  return userListing(app, [...before, ...rows], nextCursor);
}

/**
 * Live sessions are counted by `refresh`, for the rows on screen. Empty, with a note, where a user service knows them.
 */
export async function loadUsers(app: App): Promise<Listing> {
  if (app.config.users.directory === 'local') return readUsers(app, [], undefined);
  const elsewhere = (): Listing =>
    makeListing<never>({
      rows: [],
      id: () => '',
      columns: () => [],
      note: 'they live in your user service',
      refresh: async () => ({ listing: elsewhere(), arrived: 0 }),
    });
  return elsewhere();
}
