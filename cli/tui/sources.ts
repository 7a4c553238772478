/** What each screen shows, and where it comes from: the operations that HTTP and the command line use too. */
import type { App } from '../../src/app.ts';
import { type FamilyId, parseClientId, parseFamilyId, shortKid } from '../../src/domain/ids.ts';
import { after, type EpochMs, parseDuration, parseRfc3339 } from '../../src/domain/time.ts';
import type { FamilyState } from '../../src/domain/token-family.ts';
import { listAllClients } from '../../src/operations/clients.ts';
import { examine } from '../../src/operations/doctor.ts';
import { listNewestEvents } from '../../src/operations/events.ts';
import {
  type FamilyListRequest,
  listFamilyPage,
  namesOf,
  readFamilies,
  showFamily,
} from '../../src/operations/families.ts';
import { listKeyOutlooks } from '../../src/operations/list-keys.ts';
import { listUserPage, resolveSubject } from '../../src/operations/users.ts';
import { type ClientView, clientView, type FamilyView, type UserView, userView } from '../../src/operations/views.ts';
import { Refusal } from '../../src/refusal.ts';
import { eventColumns } from '../event-text.ts';
import { familyColumns, familyInWords, withNames } from '../family-text.ts';
import { timeColumn } from '../output.ts';
import { roughly } from '../when.ts';
import { type Listing, makeListing } from './listing.ts';

/** Rows of one reading. */
const PAGE = 100;

const STATES: readonly string[] = ['live', 'revoked', 'expired'] satisfies FamilyState[];

/** `client:spa state:live al`. @throws Refusal invalid_request, ambiguous */
async function readFilter(app: App, text: string): Promise<Omit<FamilyListRequest, 'limit'> | string> {
  let filter: Omit<FamilyListRequest, 'limit'> = {};
  for (const word of text.split(/\s+/).filter((one) => one !== '')) {
    const [, name, value] = /^(client|state|ip|since|subject):(.+)$/.exec(word) ?? [];
    if (name === undefined || value === undefined) {
      if (parseFamilyId(word) !== undefined || /^[0-9a-f]{8}\.\.[0-9a-f]{6}$/.test(word)) return word;
      filter = { ...filter, subject: await resolveSubject(app, word) };
    } else if (name === 'state') {
      if (!STATES.includes(value)) throw new Refusal('invalid_request', `state: is one of ${STATES.join(', ')}.`);
      filter = { ...filter, state: value as FamilyState };
    } else if (name === 'client') {
      const client = parseClientId(value);
      if (client === undefined) throw new Refusal('invalid_request', 'client: takes the id of a client.');
      filter = { ...filter, client };
    } else if (name === 'since') {
      const ago = parseDuration(value);
      const since = ago === undefined ? parseRfc3339(value) : after(app.clock.now(), -ago);
      if (since === undefined) throw new Refusal('invalid_request', 'since: takes 2h, or a time in RFC 3339.');
      filter = { ...filter, since };
    } else if (name === 'ip') filter = { ...filter, ip: value };
    else filter = { ...filter, subject: await resolveSubject(app, value) };
  }
  return filter;
}

async function sessionListing(app: App, families: readonly FamilyView[], nextCursor: string | null): Promise<Listing> {
  return makeListing({
    rows: await withNames(app, families),
    id: ({ sid }) => sid,
    columns: familyColumns,
    isAlarm: ({ revoke_reason }) => revoke_reason === 'reuse',
    session: (row) => ({
      sid: row.sid,
      subject: row.subject,
      words: familyInWords(row, app.clock.now()),
    }),
    nextCursor,
    note: families.length === 0 ? 'no session fits' : '',
  });
}

/** @param before goes on after what these ids show */
export async function loadSessions(app: App, text: string, before?: Listing): Promise<Listing> {
  const filter = await readFilter(app, text);
  if (typeof filter === 'string') return sessionListing(app, [(await showFamily(app, filter)).family], null);
  const cursor = (before?.nextCursor ?? undefined) as FamilyId | undefined;
  const page = await listFamilyPage(app, { ...filter, limit: PAGE, cursor });
  // At most what one reading by id gives, so that all of it can be kept fresh.
  const kept = before === undefined ? [] : await readFamilies(app, before.ids.slice(-4 * PAGE) as FamilyId[]);
  return sessionListing(app, [...kept, ...page.families], page.nextCursor);
}

/** The same sessions as they are now, and how many have begun above them. */
export async function refreshSessions(
  app: App,
  text: string,
  before: Listing,
): Promise<{ readonly listing: Listing; readonly arrived: number }> {
  const listing = await sessionListing(app, await readFamilies(app, before.ids as FamilyId[]), before.nextCursor);
  const filter = await readFilter(app, text);
  if (typeof filter === 'string') return { listing, arrived: 0 };
  const newest = await listFamilyPage(app, { ...filter, limit: PAGE });
  const [top = ''] = before.ids;
  return { listing, arrived: newest.families.filter(({ sid }) => sid > top).length };
}

export async function loadKeys(app: App): Promise<Listing> {
  const step = { active: 'signs', retiring: 'retires', verify_only: 'only verifies', gone: 'gone' } as const;
  return makeListing({
    rows: await listKeyOutlooks(app),
    id: ({ key }) => key.kid,
    columns: (now) => [
      { title: 'KID', value: ({ key }) => shortKid(key.kid) },
      { title: 'RING', value: ({ key }) => key.ring },
      { title: 'ALG', value: ({ key }) => key.alg },
      { title: 'STATE', value: ({ key }) => key.state },
      {
        title: 'NEXT',
        value: ({ step: next }) =>
          next === null ? '' : `${step[next.to]} ${next.at <= now ? 'now' : `in ${roughly(next.at - now)}`}`,
      },
    ],
    isAlarm: ({ key }) => key.state === 'compromised',
    note: 'next -> active -> retiring -> verify-only -> gone',
  });
}

export async function loadEvents(app: App, onlyReuse: boolean): Promise<Listing> {
  const events = await listNewestEvents(app, { limit: PAGE, ...(onlyReuse ? { type: 'token.reuse_detected' } : {}) });
  const subjects = events.flatMap(({ data }) => (typeof data.subject === 'string' ? [data.subject as never] : []));
  const names = await namesOf(app, subjects);
  return makeListing({
    rows: events.toReversed().map((event) => ({ ...event, name: names.get(event.data.subject as never) })),
    id: ({ id }) => id,
    columns: eventColumns,
    isAlarm: ({ type }) => type === 'token.reuse_detected' || type === 'key.compromised',
    session: ({ data }) =>
      typeof data.sid === 'string' ? { sid: data.sid, subject: String(data.subject), words: data.sid } : undefined,
    note: onlyReuse ? 'reuse alone (t: all)' : 'all (t: reuse alone)',
  });
}

export async function loadClients(app: App): Promise<Listing> {
  return makeListing({
    rows: (await listAllClients(app)).map(clientView),
    id: ({ client_id }) => client_id,
    columns: (now: EpochMs) => [
      { title: 'CLIENT', value: (row) => row.client_id },
      { title: 'TYPE', value: (row) => (row.public ? `${row.type}, public` : row.type) },
      { title: 'AUDIENCE', value: (row) => row.audiences.join(' ') },
      timeColumn<ClientView>('SECRET', now, (row) => (row.public ? null : (row.secret_rotated_at ?? row.created_at))),
      { title: 'LEEWAY', value: (row) => row.leeway },
    ],
  });
}

export async function loadUsers(app: App): Promise<Listing> {
  const isLocal = app.config.users.directory === 'local';
  return makeListing({
    rows: isLocal ? (await listUserPage(app, { limit: 5 * PAGE })).users.map(userView) : [],
    id: ({ subject }) => subject,
    columns: (now: EpochMs) => [
      { title: 'USER', value: (row) => row.username },
      { title: 'SUBJECT', value: (row) => row.subject },
      { title: 'STATE', value: (row) => row.state, tone: (row) => (row.state === 'active' ? undefined : 'dim') },
      timeColumn<UserView>('SINCE', now, (row) => row.created_at),
    ],
    note: isLocal ? '' : 'users live in your user service',
  });
}

export async function loadHealth(app: App): Promise<Listing> {
  return makeListing({
    rows: await examine(app, { isDefault: true }),
    id: ({ name }) => name,
    columns: () => [
      {
        title: 'CHECK',
        value: ({ status }) => (status === 'fail' ? 'FAIL' : status),
        tone: ({ status }) => (status === 'fail' ? 'alarm' : status === 'warn' ? 'warn' : 'good'),
      },
      { title: 'OF', value: ({ name }) => name },
      { title: 'FOUND', value: ({ message, remedy }) => (remedy === null ? message : `${message} -> ${remedy}`) },
    ],
    isAlarm: ({ status }) => status === 'fail',
    note: 'u looks again',
  });
}
