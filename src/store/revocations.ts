/**
 * The revocation feed: every ended family and every compromised key, in commit order. The numbers of one transaction are
 * taken last before its commit, under the lock of the one row of `feed_position`, so that a reader never skips one.
 */
import type { FamilyId, KeyId } from '../domain/ids.ts';
import { after, type DurationMs, type EpochMs } from '../domain/time.ts';
import type { RevocationCause } from '../domain/token-family.ts';
import { longestAccessTokenLife } from './access-token-life.ts';
import { prepared, type Reader, type Tx } from './store.ts';

export type FeedEntry = { readonly familyId: FamilyId; readonly cause: RevocationCause } | { readonly kid: KeyId };

export interface FeedPosition {
  /** Changes when the database was restored or its keys were reset: what a reader knew is void. */
  readonly epoch: string;
  readonly number: number;
}

export interface NumberedEntry {
  readonly number: number;
  readonly familyId: FamilyId | null;
  readonly kid: KeyId | null;
  readonly revokedAt: EpochMs;
  readonly until: EpochMs;
}

const takeNumbers = prepared<{ count: number }, { number: number }>((sql, slot) =>
  sql
    .updateTable('feed_position')
    .set((eb) => ({ number: eb('number', '+', slot.count) }))
    .where('id', '=', 1)
    .returning('number'),
);

/** SQLite takes 32,766 values in one statement, Postgres 65,535; all sessions of one user may end in one transaction. */
const ROWS_AT_ONCE = 500;

/** Called by the store, last before the commit. @param accessTokenTtl of this process's configuration */
export async function numberFeed(tx: Tx, accessTokenTtl: DurationMs): Promise<void> {
  const { feed } = tx;
  if (feed.length === 0) return;
  const keepFor = await longestAccessTokenLife(tx, accessTokenTtl, tx.now);
  const { rows: taken } = await takeNumbers(tx, { count: feed.length });
  const first = (taken[0]?.number ?? feed.length) - feed.length + 1;
  const until = after(tx.now, keepFor);
  const rows = feed.map((entry, index) => ({
    number: first + index,
    family_id: 'familyId' in entry ? entry.familyId : null,
    kid: 'kid' in entry ? entry.kid : null,
    revoked_at: tx.now,
    until,
  }));
  for (let start = 0; start < rows.length; start += ROWS_AT_ONCE) {
    await tx.sql
      .insertInto('revocations')
      .values(rows.slice(start, start + ROWS_AT_ONCE))
      .execute();
  }
}

const position = prepared<object, FeedPosition>((sql) =>
  sql.selectFrom('feed_position').select(['epoch', 'number']).where('id', '=', 1),
);

export async function feedPosition(db: Reader): Promise<FeedPosition> {
  const { rows } = await position(db, {});
  return rows[0] ?? { epoch: '', number: 0 };
}

const entriesAfter = prepared<{ number: number; limit: number }, NumberedEntry>((sql, slot) =>
  sql
    .selectFrom('revocations')
    .select(['number', 'family_id as familyId', 'kid', 'revoked_at as revokedAt', 'until'])
    .where('number', '>', slot.number)
    .orderBy('number')
    .limit(slot.limit),
);

/** The entries after a position, in order. */
export async function listRevocations(db: Reader, after: number, limit: number): Promise<readonly NumberedEntry[]> {
  return (await entriesAfter(db, { number: after, limit })).rows;
}

/** Entries in order, and where they lead. */
export interface FeedPage {
  /** Of the last entry, or of the whole feed when `isLast`. */
  readonly place: FeedPosition;
  readonly entries: readonly NumberedEntry[];
  /** There is nothing behind it. */
  readonly isLast: boolean;
}

interface PageRow extends FeedPosition {
  readonly entry: number | null;
  readonly familyId: FamilyId | null;
  readonly kid: KeyId | null;
  readonly revokedAt: EpochMs | null;
  readonly until: EpochMs | null;
}

/** One statement, so one view of the database: its position and its entries belong together. */
const pageAfter = prepared<{ number: number; now: EpochMs; limit: number }, PageRow>((sql, slot) =>
  sql
    .selectFrom('feed_position as position')
    .leftJoin(
      (db) =>
        db
          .selectFrom('revocations')
          .select(['number as entry', 'family_id as familyId', 'kid', 'revoked_at as revokedAt', 'until'])
          .where('number', '>', slot.number)
          .where('until', '>', slot.now)
          .orderBy('number')
          .limit(slot.limit)
          .as('live'),
      (join) => join.onTrue(),
    )
    .select(['position.epoch', 'position.number', 'live.entry', 'live.familyId', 'live.kid'])
    .select(['live.revokedAt', 'live.until'])
    .where('position.id', '=', 1)
    .orderBy('live.entry'),
);

/** What is still live of the entries after a number, in order; of which epoch they are, the page says. */
export async function readFeed(db: Reader, number: number, now: EpochMs, limit: number): Promise<FeedPage> {
  const { rows } = await pageAfter(db, { number, now, limit });
  const [first] = rows;
  if (first === undefined) throw new Error('feed_position has no row');
  const entries: NumberedEntry[] = [];
  for (const { entry, familyId, kid, revokedAt, until } of rows) {
    if (entry === null || revokedAt === null || until === null) continue;
    entries.push({ number: entry, familyId, kid, revokedAt, until });
  }
  const isLast = entries.length < limit;
  const reached = isLast ? first.number : (entries.at(-1)?.number ?? first.number);
  return { place: { epoch: first.epoch, number: reached }, entries, isLast };
}

/** What every reader knew of the feed is void from this commit on. */
export async function startFeedEpoch(tx: Tx): Promise<void> {
  await tx.sql.updateTable('feed_position').set({ epoch: tx.newId(), number: 0 }).where('id', '=', 1).execute();
  await tx.sql.deleteFrom('revocations').execute();
}
