/**
 * Finding and removing what has had its time. Tables that requests write have no index for it, which every request would
 * pay: they are read in pages by their key instead. Each function takes one small step; the steps are the purge's.
 */
import type { FamilyId, Generation } from '../domain/ids.ts';
import { after, type DurationMs, type EpochMs } from '../domain/time.ts';
import { promote } from './deliveries.ts';
import type { Reader, Tx } from './store.ts';

/** A family whose older generations can go: all before `below`. */
export interface OldGenerations {
  readonly familyId: FamilyId;
  readonly below: Generation;
}

/** What of one page can go; it may be nothing, with pages still to come. */
export interface TimelinePage {
  readonly old: readonly OldGenerations[];
  /** Where the next page begins; undefined after the last one. */
  readonly next: TimelinePlace | undefined;
}

/** The last row that was read; `''` and -1 are before all of them. */
export interface TimelinePlace {
  readonly familyId: string;
  readonly generation: number;
}

/** One page of the timeline: which of it is older than `cutoff`, and not of a current generation; or of a family that is gone. */
export async function findOldGenerations(
  db: Reader,
  from: TimelinePlace,
  cutoff: EpochMs,
  limit: number,
): Promise<TimelinePage> {
  const rows = await db.sql
    .selectFrom('refresh_tokens as t')
    .leftJoin('token_families as f', 'f.id', 't.family_id')
    .select(['t.family_id', 't.generation', 't.issued_at', 'f.generation as current'])
    // As a pair, which leads both databases to the row; spelled out, each page would read all those before it.
    .where((eb) =>
      eb(
        eb.refTuple('t.family_id', 't.generation'),
        '>',
        eb.tuple(from.familyId as FamilyId, from.generation as Generation),
      ),
    )
    .orderBy('t.family_id')
    .orderBy('t.generation')
    .limit(limit)
    .execute();
  const below = new Map<FamilyId, Generation>();
  for (const row of rows) {
    const isOver = row.current === null || (row.generation < row.current && row.issued_at < cutoff);
    if (isOver) below.set(row.family_id, (row.generation + 1) as Generation);
  }
  const last = rows.at(-1);
  return {
    old: [...below].map(([familyId, generation]) => ({ familyId, below: generation })),
    next:
      last === undefined || rows.length < limit ? undefined : { familyId: last.family_id, generation: last.generation },
  };
}

/** @returns how many rows went */
export async function deleteGenerations(tx: Tx, { familyId, below }: OldGenerations): Promise<number> {
  const result = await tx.sql
    .deleteFrom('refresh_tokens')
    .where('family_id', '=', familyId)
    .where('generation', '<', below)
    .executeTakeFirst();
  return Number(result.numDeletedRows);
}

/** One page of families: those whose last refresh token expired before `cutoff`. */
export async function findExpiredFamilies(
  db: Reader,
  from: string,
  cutoff: EpochMs,
  limit: number,
): Promise<{ readonly expired: readonly FamilyId[]; readonly next: string | undefined }> {
  const rows = await db.sql
    .selectFrom('token_families')
    .select(['id', 'expires_at'])
    .where('id', '>', from as FamilyId)
    .orderBy('id')
    .limit(limit)
    .execute();
  const last = rows.at(-1);
  return {
    expired: rows.filter((row) => row.expires_at < cutoff).map((row) => row.id),
    next: rows.length < limit ? undefined : last?.id,
  };
}

/**
 * Without their timeline, which may be long, and is old from then on. Judged again: a family may have been refreshed
 * meanwhile. @returns how many went
 */
export async function deleteFamilies(tx: Tx, families: readonly FamilyId[], cutoff: EpochMs): Promise<number> {
  const result = await tx.sql
    .deleteFrom('token_families')
    .where('id', 'in', families)
    .where('expires_at', '<', cutoff)
    .executeTakeFirst();
  return Number(result.numDeletedRows);
}

/**
 * One page of the events, the oldest first: those older than `cutoff`. `next` is undefined from the first young one on; one
 * of the future, by a clock that has stepped back since, hides none behind it.
 */
export async function findOldEvents(
  db: Reader,
  after: number,
  { cutoff, now }: { readonly cutoff: EpochMs; readonly now: EpochMs },
  limit: number,
): Promise<{ readonly old: readonly number[]; readonly next: number | undefined }> {
  const rows = await db.sql
    .selectFrom('events')
    .select(['number', 'timestamp'])
    .where('number', '>', after)
    .orderBy('number')
    .limit(limit)
    .execute();
  const isLast = rows.length < limit || rows.some(({ timestamp }) => timestamp >= cutoff && timestamp <= now);
  return {
    old: rows.filter((row) => row.timestamp < cutoff).map((row) => row.number),
    next: isLast ? undefined : rows.at(-1)?.number,
  };
}

/** With their deliveries, also those that were never made: what waits behind one of them gets its turn. */
export async function deleteEvents(tx: Tx, numbers: readonly number[]): Promise<number> {
  const gone = await tx.sql
    .deleteFrom('deliveries')
    .where('event_number', 'in', numbers)
    .returning(['receiver', 'family_id', 'state'])
    .execute();
  for (const { receiver, family_id, state } of gone) {
    if (state === 'pending' && family_id !== null) await promote(tx, { receiver, family_id, now: tx.now });
  }
  await tx.sql.deleteFrom('outbox').where('event_number', 'in', numbers).execute();
  const result = await tx.sql.deleteFrom('events').where('number', 'in', numbers).executeTakeFirst();
  return Number(result.numDeletedRows);
}

/** One page of the entries of the feed that have outlived every access token. To be asked outside a transaction: it may read a million. */
export async function findOldFeedEntries(
  db: Reader,
  after: number,
  now: EpochMs,
  limit: number,
): Promise<readonly number[]> {
  const rows = await db.sql
    .selectFrom('revocations')
    .select('number')
    .where('number', '>', after)
    .where('until', '<', now)
    .orderBy('number')
    .limit(limit)
    .execute();
  return rows.map((row) => row.number);
}

/** Judged again: in a new epoch of the feed a number means another entry. */
export async function deleteFeedEntries(tx: Tx, numbers: readonly number[]): Promise<void> {
  await tx.sql.deleteFrom('revocations').where('number', 'in', numbers).where('until', '<', tx.now).execute();
}

/** One page of the failure counts: those whose window has passed. */
export async function findOldFailures(
  db: Reader,
  from: string,
  { window, now }: { readonly window: DurationMs; readonly now: EpochMs },
  limit: number,
): Promise<{ readonly old: readonly string[]; readonly next: string | undefined }> {
  const rows = await db.sql
    .selectFrom('login_attempts')
    .select(['bucket', 'since'])
    .where('bucket', '>', from)
    .orderBy('bucket')
    .limit(limit)
    .execute();
  return {
    old: rows.filter((row) => after(row.since, window) <= now).map((row) => row.bucket),
    next: rows.length < limit ? undefined : rows.at(-1)?.bucket,
  };
}

/** Judged again: a new window may have begun meanwhile. */
export async function deleteFailures(tx: Tx, buckets: readonly string[], window: DurationMs): Promise<void> {
  await tx.sql
    .deleteFrom('login_attempts')
    .where('bucket', 'in', buckets)
    .where('since', '<=', after(tx.now, -window))
    .execute();
}
