/**
 * Token families as people look for them: filtered, newest first, a page at a time; and by their short ids. It stands apart
 * from `token-families.ts` because no decision about a token reads a list.
 */
import type { Expression, ExpressionBuilder, SqlBool } from 'kysely';
import { type ClientId, type FamilyId, leastUuidv7, type Subject } from '../domain/ids.ts';
import { type DurationMs, type EpochMs, epochMs } from '../domain/time.ts';
import type { FamilyState, TokenFamily } from '../domain/token-family.ts';
import type { Database } from './schema.ts';
import type { Reader } from './store.ts';
import { familyOf } from './token-families.ts';

/** After how long without a refresh a family counts as expired; a client's own limit wins over the server's. */
export interface IdleLimits {
  readonly server: DurationMs | null;
  readonly byClient: ReadonlyMap<ClientId, DurationMs>;
}

/** Left out: any. */
export interface FamilyFilter {
  readonly subject?: Subject | undefined;
  readonly client?: ClientId | undefined;
  readonly ip?: string | undefined;
  readonly state?: FamilyState | undefined;
  /** Logged in at or after. */
  readonly since?: EpochMs | undefined;
  /** Older than this id: the cursor. */
  readonly before?: FamilyId | undefined;
  readonly limit: number;
}

type OfFamilies = ExpressionBuilder<Database, 'token_families'>;

/** As `familyState` judges a family, but for the end of its life, which no token outlives. */
export function hasState(eb: OfFamilies, state: FamilyState, idle: IdleLimits, now: EpochMs): Expression<SqlBool> {
  if (state === 'revoked') return eb('revoked_at', 'is not', null);
  const limits = [...idle.byClient];
  const isIdleSince = (limit: DurationMs) => eb('last_refreshed_at', '<=', epochMs(now - limit));
  const ids = limits.map(([id]) => id);
  const { server } = idle;
  const byServer =
    server === null
      ? []
      : [eb.and([...(ids.length === 0 ? [] : [eb('client_id', 'not in', ids)]), isIdleSince(server)])];
  const isExpired = eb.or([
    eb('expires_at', '<=', now),
    ...limits.map(([id, limit]) => eb.and([eb('client_id', '=', id), isIdleSince(limit)])),
    ...byServer,
  ]);
  return eb.and([eb('revoked_at', 'is', null), state === 'expired' ? isExpired : eb.not(isExpired)]);
}

/** Newest first, by id. */
export async function listFamilies(
  db: Reader,
  filter: FamilyFilter,
  idle: IdleLimits,
  now: EpochMs,
): Promise<TokenFamily[]> {
  let query = db.sql.selectFrom('token_families').selectAll().orderBy('id', 'desc').limit(filter.limit);
  if (filter.subject !== undefined) query = query.where('subject', '=', filter.subject);
  if (filter.client !== undefined) query = query.where('client_id', '=', filter.client);
  if (filter.ip !== undefined) query = query.where('ip', '=', filter.ip);
  if (filter.since !== undefined) {
    // An id is made with its family: where the ids of that time begin, the rows of an index end.
    const first = leastUuidv7(filter.since) as FamilyId;
    query = query.where('created_at', '>=', filter.since).where('id', '>=', first);
  }
  if (filter.before !== undefined) query = query.where('id', '<', filter.before);
  const { state } = filter;
  if (state !== undefined) query = query.where((eb) => hasState(eb, state, idle, now));
  return (await query.execute()).map(familyOf);
}

/** Those of these families that are there, newest first. */
export async function listFamiliesById(db: Reader, ids: readonly FamilyId[]): Promise<TokenFamily[]> {
  if (ids.length === 0) return [];
  const rows = await db.sql
    .selectFrom('token_families')
    .selectAll()
    .where('id', 'in', ids)
    .orderBy('id', 'desc')
    .execute();
  return rows.map(familyOf);
}

/** The families whose ids begin and end like a short form, at most `limit`. */
export async function findFamiliesByShortId(
  db: Reader,
  start: string,
  end: string,
  limit: number,
): Promise<TokenFamily[]> {
  const rows = await db.sql
    .selectFrom('token_families')
    .selectAll()
    .where('id', '>=', start as FamilyId)
    .where('id', '<', `${start}~` as FamilyId)
    .where('id', 'like', `%${end}` as FamilyId)
    .orderBy('id')
    .limit(limit)
    .execute();
  return rows.map(familyOf);
}
