/** The sessions: found by a filter, a page at a time; afterwards only what is on screen is read again, in its place. */
import type { App } from '../../src/app.ts';
import type { FamilyId } from '../../src/domain/ids.ts';
import { type EpochMs, epochMs, parseRfc3339 } from '../../src/domain/time.ts';
import { readFamilies, showFamily } from '../../src/operations/families.ts';
import {
  countNewer,
  type FamilyPlace,
  type FamilySearch,
  searchFamilies,
} from '../../src/operations/search-families.ts';
import type { FamilyView } from '../../src/operations/views.ts';
import { deviceText } from '../agent.ts';
import { type FamilyRow, familyColumns, subjectText, withNames } from '../family-text.ts';
import { relative } from '../when.ts';
import { readFilter } from './filter.ts';
import { type Listing, makeListing } from './listing.ts';

/** Sessions of one reading, and up to how many new ones are counted. */
const PAGE = 100;

interface Found {
  readonly app: App;
  readonly rows: readonly FamilyRow[];
  /** Undefined for one that was named by its id. */
  readonly search: FamilySearch | undefined;
  readonly next: FamilyPlace | null;
  readonly isCut: boolean;
}

/** @throws Refusal invalid_request, ambiguous, not_found */
export async function loadSessions(app: App, filter: string): Promise<Listing> {
  const wanted = await readFilter(app, filter);
  if ('id' in wanted) {
    const { family } = await showFamily(app, wanted.id);
    return listingOf({ app, rows: await withNames(app, [family]), search: undefined, next: null, isCut: false });
  }
  return find(app, wanted.search);
}

async function find(app: App, search: FamilySearch): Promise<Listing> {
  const { families, next, isCut } = await searchFamilies(app, search, { limit: PAGE });
  return listingOf({ app, rows: await withNames(app, families), search, next, isCut });
}

function listingOf(found: Found): Listing {
  const { app, rows, next } = found;
  return makeListing({
    rows,
    id: ({ sid }) => sid,
    columns: familyColumns,
    isAlarm: ({ revoke_reason }) => revoke_reason === 'reuse',
    session: (row) => ({
      sid: row.sid,
      words: inWords(row, app.clock.now()),
      isLive: row.state === 'live',
      version: `${row.sid} ${row.generation} ${row.state}`,
    }),
    owner: (row) => ({
      which: { subject: row.subject },
      words: `subject ${subjectText(row)}`,
      filter: `subject:${row.name ?? row.subject}`,
    }),
    note: rows.length === 0 ? 'no session fits; nobody has logged in, or the filter is too narrow (Esc clears it)' : '',
    reach: reachOf(found, app.clock.now()),
    refresh: (visible) => refresh(found, visible),
    more: next === null ? undefined : () => readOn(found, next),
  });
}

/** `alice? Firefox/Linux, used 3m ago`: whom a question is about. */
function inWords(row: FamilyRow, now: EpochMs): string {
  const device = deviceText(row.device, row.user_agent);
  const used = parseRfc3339(row.last_refreshed_at);
  const details = [device, used === undefined ? '' : `used ${relative(used, now)}`].filter((text) => text !== '');
  return `${subjectText(row)}? ${details.join(', ')}`;
}

function reachOf({ next, isCut }: Found, now: EpochMs): string {
  if (next === null) return '';
  // An id begins with its time.
  const born = epochMs(Number.parseInt(next.id.replace('-', '').slice(0, 12), 16));
  return isCut ? `read back to ${relative(next.revokedAt ?? born, now)} (. goes on)` : 'more follow (. or the end)';
}

async function readOn(found: Found, after: FamilyPlace): Promise<Listing> {
  const { app, rows, search = {} } = found;
  const { families, next, isCut } = await searchFamilies(app, search, { limit: PAGE, after });
  return listingOf({ ...found, rows: [...rows, ...(await withNames(app, families))], next, isCut });
}

/** Nothing moves: new ones are counted, and one that fits no longer stays until the list is read anew. */
async function refresh(found: Found, visible: readonly string[]) {
  const { app, rows, search } = found;
  // Where there is none, nothing can move.
  if (rows.length === 0 && search !== undefined) return { listing: await find(app, search), arrived: 0 };
  const fresh = await readFamilies(app, visible as readonly FamilyId[]);
  const byId = new Map<string, FamilyView>(fresh.map((family) => [family.sid, family]));
  const [top] = rows;
  const arrived = search === undefined || top === undefined ? 0 : await countNewer(app, search, top, PAGE);
  const kept = rows.map((row): FamilyRow => ({ ...row, ...byId.get(row.sid) }));
  return { listing: listingOf({ ...found, rows: kept }), arrived };
}
