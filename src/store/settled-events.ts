/**
 * How far the event log can be read without skipping. On Postgres a number is taken before its commit, so an event may come
 * after one with a higher number. Who records tells, until the end of its transaction, what its numbers will be above; who
 * reads goes no further. Nobody waits for anybody. On SQLite there is one writer, and numbers are in the order of commits.
 */
import { sql } from 'kysely';
import type { Reader } from './store.ts';

/** Keys of advisory locks from here on are ours, one for each number of an event. */
const FIRST_KEY = 4_207_115n << 40n;

const NEWEST = '(select coalesce(max(number), 0) from events)';

/** Selects, on Postgres, the lock that tells. Before the transaction takes its first number; one such lock does for all. */
export const announcement = sql<string>`pg_advisory_xact_lock_shared(
  ${sql.lit(FIRST_KEY.toString())}::bigint + ${sql.raw(NEWEST)})::text`;

const SETTLED = `select least(
  ${NEWEST},
  (select min((classid::bigint << 32 | objid::bigint) - ${FIRST_KEY}) from pg_locks
    where locktype = 'advisory' and objsubid = 1 and classid::bigint >> 8 = ${FIRST_KEY >> 40n}
      and database = (select oid from pg_database where datname = current_database()))
) as number`;

/**
 * No event that is committed later has this number or a lower one. To be asked before the events are read, by a statement
 * of its own: what it counts on is committed by then.
 */
export async function settledEventNumber(db: Reader): Promise<number> {
  // On Postgres the newest number is that of the statement's beginning, the locks are those of a moment later. Whoever then
  // holds none, and took a lower number than that newest one, has ended.
  const { rows } = await db.connection.execute(db.dialect === 'sqlite' ? `select ${NEWEST} as number` : SETTLED, []);
  return (rows as readonly { number: number }[])[0]?.number ?? 0;
}
