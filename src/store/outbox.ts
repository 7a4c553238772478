/**
 * Events on their way to becoming deliveries. A queue of rows and not a position in the log: on Postgres a number is taken
 * before its commit, so whoever only remembers the highest number that he saw skips what is committed later.
 */
import type { Selectable } from 'kysely';
import type { EpochMs } from '../domain/time.ts';
import { eventOf, type RecordedEvent } from './events.ts';
import type { EventRow } from './schema.ts';
import { prepared, type Reader, type Tx } from './store.ts';

/** Any number will do that nobody else uses in this database. */
const ADVISORY_LOCK = 4_207_115_002;

const first = prepared<object, { event_number: number }>((sql) =>
  sql.selectFrom('outbox').select('event_number').orderBy('event_number').limit(1),
);

/** Only a hint, without a lock: another worker may be at it. */
export async function hasOutbox(db: Reader): Promise<boolean> {
  return (await first(db, {})).rows.length > 0;
}

/**
 * Lets one distributor in at a time, until the end of its transaction: two at once would hand out the events of one
 * family in any order. @returns false while another one is at it
 */
export async function lockOutbox(tx: Tx): Promise<boolean> {
  if (tx.dialect === 'sqlite') return true;
  const { rows } = await tx.connection.execute('select pg_try_advisory_xact_lock($1) as taken', [ADVISORY_LOCK]);
  return (rows as readonly { taken: boolean }[])[0]?.taken === true;
}

const next = prepared<{ limit: number }, Selectable<EventRow>>((sql, slot) =>
  sql
    .selectFrom('outbox')
    .innerJoin('events', 'events.number', 'outbox.event_number')
    .selectAll('events')
    .orderBy('outbox.event_number')
    .limit(slot.limit),
);

/** In order of their numbers, which within a family is the order of its changes. Needs the lock. */
export async function listOutbox(tx: Tx, limit: number): Promise<readonly RecordedEvent[]> {
  return (await next(tx, { limit })).rows.map(eventOf);
}

/** Only these, not all up to the last: what is committed meanwhile may have a lower number. */
export async function clearOutbox(tx: Tx, numbers: readonly number[]): Promise<void> {
  await tx.sql.deleteFrom('outbox').where('event_number', 'in', numbers).execute();
}

/** When the oldest event in it happened; undefined for an empty one. */
export async function oldestInOutbox(db: Reader): Promise<EpochMs | undefined> {
  const row = await db.sql
    .selectFrom('outbox')
    .innerJoin('events', 'events.number', 'outbox.event_number')
    .select('events.timestamp')
    .orderBy('outbox.event_number')
    .limit(1)
    .executeTakeFirst();
  return row?.timestamp;
}
