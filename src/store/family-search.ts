/**
 * Token families as somebody looks for them who waits at a screen: in an order that an index has, and reading at most so many
 * rows that no filter, on no number of sessions, takes longer than a blink. It stands apart from `family-pages.ts`, whose
 * pages leave nothing out and may take their time.
 */
import { type ClientId, type FamilyId, leastUuidv7, type Subject } from '../domain/ids.ts';
import type { EpochMs } from '../domain/time.ts';
import type { FamilyState, RevocationCause, TokenFamily } from '../domain/token-family.ts';
import { hasState, type IdleLimits } from './family-pages.ts';
import type { Reader } from './store.ts';
import { familyOf } from './token-families.ts';

/** Where a search stands: what its order goes by. */
export interface FamilyPlace {
  readonly id: FamilyId;
  readonly subject: Subject;
  readonly revokedAt: EpochMs | null;
}

/** Left out: any. */
export interface FamilySearch {
  /** Of any of these. */
  readonly subjects?: readonly Subject[] | undefined;
  readonly subjectPrefix?: string | undefined;
  readonly client?: ClientId | undefined;
  readonly ip?: string | undefined;
  readonly state?: FamilyState | undefined;
  readonly cause?: RevocationCause | undefined;
  /** Logged in at or after. */
  readonly since?: EpochMs | undefined;
}

/** A page with fewer families than asked for is the last one only where `next` is null. */
export interface FamilySearchPage {
  readonly families: readonly TokenFamily[];
  /** Where it goes on: the last family read, whether it fits or not; null at the end. */
  readonly next: FamilyPlace | null;
  /** Whether it stopped because of the rows that it had read, not of those that it had found. */
  readonly isCut: boolean;
}

/** Rows that are read for one page when a filter has no index: in their own order, and each looked up through an index. */
const ROWS_READ = { inPlace: 5_000, lookedUp: 1_500 } as const;

/** Newest first; the last ended first where only ended ones are wanted; by subject where its beginning is given. */
type FamilyOrder = 'id' | 'revoked' | 'subject';

function orderOf({ subjects, subjectPrefix, client, ip, state, cause }: FamilySearch): FamilyOrder {
  if (subjectPrefix !== undefined) return 'subject';
  const isNarrowed = subjects !== undefined || client !== undefined || ip !== undefined;
  return !isNarrowed && (state === 'revoked' || cause !== undefined) ? 'revoked' : 'id';
}

interface Bounds {
  /** Only what comes after it in the order. */
  readonly after?: FamilyPlace | undefined;
  /** Only what comes before it: what is new. */
  readonly before?: FamilyPlace | undefined;
}

/** What an index narrows down, in the order of that index. */
function inOrder(db: Reader, search: FamilySearch, { after, before }: Bounds) {
  const { subjects, subjectPrefix, client, ip, since } = search;
  const order = orderOf(search);
  let query = db.sql.selectFrom('token_families').selectAll();
  if (subjects !== undefined) query = query.where('subject', 'in', subjects);
  if (client !== undefined) query = query.where('client_id', '=', client);
  if (ip !== undefined) query = query.where('ip', '=', ip);
  if (order === 'subject') {
    const from = subjectPrefix as Subject;
    // DEL comes after all that a subject can hold.
    query = query.where('subject', '>=', from).where('subject', '<', `${subjectPrefix}\u007f` as Subject);
    if (after !== undefined) {
      query = query
        .where('subject', '<=', after.subject)
        .where((eb) => eb.or([eb('subject', '<', after.subject), eb('id', '<', after.id)]));
    }
    return query.orderBy('subject', 'desc').orderBy('id', 'desc');
  }
  if (order === 'revoked') {
    query = query.where('revoked_at', 'is not', null);
    if (after !== undefined) {
      query = query
        .where('revoked_at', '<=', after.revokedAt)
        .where((eb) => eb.or([eb('revoked_at', '<', after.revokedAt), eb('id', '<', after.id)]));
    }
    if (before !== undefined) query = query.where('revoked_at', '>', before.revokedAt);
    return query.orderBy('revoked_at', 'desc').orderBy('id', 'desc');
  }
  // An id is made with its family: where the ids of that time begin, the rows of an index end.
  if (since !== undefined) query = query.where('id', '>=', leastUuidv7(since) as FamilyId);
  if (after !== undefined) query = query.where('id', '<', after.id);
  if (before !== undefined) query = query.where('id', '>', before.id);
  return query.orderBy('id', 'desc');
}

const rowsRead = (search: FamilySearch): number => {
  const { subjects, client, ip } = search;
  const isInPlace = orderOf(search) === 'id' && subjects === undefined && client === undefined && ip === undefined;
  return isInPlace ? ROWS_READ.inPlace : ROWS_READ.lookedUp;
};

/** Whether there is a condition that must be asked of each row. */
const asksRows = ({ state, cause, since }: FamilySearch): boolean =>
  state !== undefined || cause !== undefined || since !== undefined;

/** The rest of the filter, over at most so many rows. */
function fitting(db: Reader, search: FamilySearch, bounds: Bounds, { idle, now }: Pick<SearchOptions, 'idle' | 'now'>) {
  const narrowed = inOrder(db, search, bounds);
  if (!asksRows(search)) return narrowed;
  const { state, cause, since } = search;
  let query = db.sql.selectFrom(narrowed.limit(rowsRead(search)).as('token_families')).selectAll();
  // `as never`: the same columns under the same name, which the type of a subquery's builder does not say.
  if (state !== undefined) query = query.where((eb) => hasState(eb as never, state, idle, now));
  if (cause !== undefined) query = query.where('revoke_reason', '=', cause);
  if (since !== undefined) query = query.where('created_at', '>=', since);
  const order = orderOf(search);
  if (order === 'subject') return query.orderBy('subject', 'desc').orderBy('id', 'desc');
  if (order === 'revoked') return query.orderBy('revoked_at', 'desc').orderBy('id', 'desc');
  return query.orderBy('id', 'desc');
}

/** `after`: the `next` of the page before; left out for the first page. */
export interface SearchOptions {
  readonly idle: IdleLimits;
  readonly now: EpochMs;
  readonly limit: number;
  readonly after?: FamilyPlace | undefined;
}

/**
 * One page, at most `limit` of those that fit, in the order that `FamilyOrder` tells. It may be empty and not the last.
 */
export async function searchFamilies(
  db: Reader,
  search: FamilySearch,
  { idle, now, limit, after }: SearchOptions,
): Promise<FamilySearchPage> {
  const rows = await fitting(db, search, { after }, { idle, now })
    .limit(limit + 1)
    .execute();
  const found = rows.map(familyOf);
  const families = found.slice(0, limit);
  const last = families.at(-1);
  if (found.length > limit && last !== undefined) return { families, next: placeOf(last), isCut: false };
  if (!asksRows(search)) return { families, next: null, isCut: false };
  const [read] = await inOrder(db, search, { after })
    .offset(rowsRead(search) - 1)
    .limit(1)
    .execute();
  return { families, next: read === undefined ? null : placeOf(familyOf(read)), isCut: read !== undefined };
}

/** How many come before a place now, counted up to `limit`; none where nobody can tell, in the order of subjects. */
export async function countBefore(
  db: Reader,
  search: FamilySearch,
  before: FamilyPlace,
  options: SearchOptions,
): Promise<number> {
  if (orderOf(search) === 'subject') return 0;
  return (await fitting(db, search, { before }, options).limit(options.limit).execute()).length;
}

const placeOf = ({ id, subject, revoked }: TokenFamily): FamilyPlace => ({
  id,
  subject,
  revokedAt: revoked?.at ?? null,
});

/** Those that are there at all, ended ones too. Reads an index from end to end. */
export async function countFamilies(db: Reader): Promise<number> {
  const row = await db.sql
    .selectFrom('token_families')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .executeTakeFirst();
  return Number(row?.count ?? 0);
}
