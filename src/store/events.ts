/**
 * The event log, written in the transaction of the change it tells of: only a `Tx` can record, so none is lost and none
 * invented. Each event also enters the outbox, from where a worker takes it to the receivers.
 */
import { type Selectable, sql } from 'kysely';
import { type EventId, type FamilyId, type Subject, uuidv7 } from '../domain/ids.ts';
import type { SecurityEvent, SecurityEventType } from '../domain/security-event.ts';
import type { EpochMs } from '../domain/time.ts';
import type { EventRow } from './schema.ts';
import { announcement } from './settled-events.ts';
import { prepared, type Reader, type Tx } from './store.ts';

/** `number` is its place in the log, `id` what the outside knows it by. */
export interface RecordedEvent {
  readonly number: number;
  readonly id: EventId;
  readonly type: SecurityEventType;
  readonly timestamp: EpochMs;
  readonly data: Readonly<Record<string, unknown>>;
}

interface NewEvent {
  id: EventId;
  type: SecurityEventType;
  family_id: FamilyId | null;
  subject: Subject | null;
  timestamp: EpochMs;
  data: string;
}

const COLUMNS = ['id', 'type', 'family_id', 'subject', 'timestamp', 'data'] as const;

const rowOf = ({ id, type, family_id, subject, timestamp, data }: NewEvent) => ({
  id,
  type,
  family_id,
  subject,
  timestamp,
  data,
});

const insertSqlite = prepared<NewEvent>((db, slot) => db.insertInto('events').values(rowOf(slot)));

const queueLast = prepared<object>((db) =>
  db.insertInto('outbox').values({ event_number: sql<number>`last_insert_rowid()` }),
);

/** On Postgres the event and its place in the outbox are one statement, one round trip. */
const insertPostgres = prepared<NewEvent>((db, slot) =>
  db
    .with('recorded', (cte) => cte.insertInto('events').values(rowOf(slot)).returning('number'))
    .insertInto('outbox')
    .columns(['event_number'])
    .expression((eb) => eb.selectFrom('recorded').select('recorded.number')),
);

/** The same for the first event of a transaction: what has to be told before its number is taken is in front. */
const insertFirst = prepared<NewEvent>((db, slot) =>
  db
    .with(
      (cte) => cte('announced').materialized(),
      (cte) => cte.selectNoFrom(announcement.as('by')),
    )
    .with('recorded', (cte) =>
      cte
        .insertInto('events')
        .columns(COLUMNS)
        .expression(cte.selectFrom('announced').select((eb) => COLUMNS.map((name) => eb.val(slot[name]).as(name))))
        .returning('number'),
    )
    .insertInto('outbox')
    .columns(['event_number'])
    .expression((eb) => eb.selectFrom('recorded').select('recorded.number')),
);

/** Transactions that have told that they take numbers. */
const announced = new WeakSet<Tx>();

/** At the time of the transaction, and gone with its rollback. */
export async function recordEvent(tx: Tx, event: SecurityEvent): Promise<void> {
  const { data } = event;
  const row: NewEvent = {
    id: tx.newId() as EventId,
    type: event.type,
    family_id: 'sid' in data ? data.sid : null,
    subject: 'subject' in data ? data.subject : null,
    timestamp: tx.now,
    data: JSON.stringify(data),
  };
  if (tx.dialect === 'sqlite') {
    await insertSqlite(tx, row);
    await queueLast(tx, {});
    return;
  }
  await (announced.has(tx) ? insertPostgres : insertFirst)(tx, row);
  announced.add(tx);
}

/** Left out: any. */
export interface EventFilter {
  readonly type?: SecurityEventType;
  /** The number of the last event seen. */
  readonly after?: number;
  /** The number of the last event wanted. */
  readonly upTo?: number;
  readonly familyId?: FamilyId;
  readonly limit: number;
}

/** The event that a row tells of. */
export const eventOf = (row: Selectable<EventRow>): RecordedEvent => ({
  number: row.number,
  id: row.id,
  type: row.type,
  timestamp: row.timestamp,
  data: JSON.parse(row.data) as Record<string, unknown>,
});

/** Oldest first. */
export async function listEvents(db: Reader, filter: EventFilter): Promise<RecordedEvent[]> {
  let query = db.sql.selectFrom('events').selectAll().orderBy('number').limit(filter.limit);
  if (filter.after !== undefined) query = query.where('number', '>', filter.after);
  if (filter.upTo !== undefined) query = query.where('number', '<=', filter.upTo);
  if (filter.type !== undefined) query = query.where('type', '=', filter.type);
  if (filter.familyId !== undefined) query = query.where('family_id', '=', filter.familyId);
  return (await query.execute()).map(eventOf);
}

/** The newest `limit` of these events, the oldest of them first. */
export async function listLatestEvents(
  db: Reader,
  { type, upTo, limit }: Pick<EventFilter, 'type' | 'upTo' | 'limit'>,
): Promise<RecordedEvent[]> {
  let query = db.sql.selectFrom('events').selectAll().orderBy('number', 'desc').limit(limit);
  if (upTo !== undefined) query = query.where('number', '<=', upTo);
  if (type !== undefined) query = query.where('type', '=', type);
  return (await query.execute()).map(eventOf).reverse();
}

/** Number, type and time of the newest `limit` events at most, and of none that is older than `since`; newest first. */
export async function listEventTimes(
  db: Reader,
  since: EpochMs,
  limit: number,
): Promise<readonly Pick<RecordedEvent, 'number' | 'type' | 'timestamp'>[]> {
  // The id begins with the time, and has an index.
  return db.sql
    .selectFrom('events')
    .select(['number', 'type', 'timestamp'])
    .where('id', '>=', uuidv7(since, new Uint8Array(10)) as EventId)
    .orderBy('id', 'desc')
    .limit(limit)
    .execute();
}

/** @returns undefined for an event that never was, or that is purged */
export async function findEventNumber(db: Reader, id: EventId): Promise<number | undefined> {
  return (await db.sql.selectFrom('events').select('number').where('id', '=', id).executeTakeFirst())?.number;
}

/** The events whose ids begin and end like a short form, at most `limit`. */
export async function findEventsByShortId(
  db: Reader,
  start: string,
  end: string,
  limit: number,
): Promise<readonly { readonly id: EventId; readonly number: number }[]> {
  return db.sql
    .selectFrom('events')
    .select(['id', 'number'])
    .where('id', '>=', start as EventId)
    .where('id', '<', `${start}~` as EventId)
    .where('id', 'like', `%${end}` as EventId)
    .orderBy('id')
    .limit(limit)
    .execute();
}
