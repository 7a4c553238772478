/** The event log, written in the transaction of the change it tells of: only a `Tx` can record, so none is lost and none invented. */
import type { EventId, FamilyId, Subject } from '../domain/ids.ts';
import type { SecurityEvent, SecurityEventType } from '../domain/security-event.ts';
import type { EpochMs } from '../domain/time.ts';
import { prepared, type Reader, type Tx } from './store.ts';

export interface RecordedEvent {
  readonly number: number;
  readonly id: EventId;
  readonly type: SecurityEventType;
  readonly timestamp: EpochMs;
  readonly data: Readonly<Record<string, unknown>>;
}

const insert = prepared<{
  id: EventId;
  type: SecurityEventType;
  family_id: FamilyId | null;
  subject: Subject | null;
  timestamp: EpochMs;
  data: string;
}>((sql, slot) =>
  sql.insertInto('events').values({
    id: slot.id,
    type: slot.type,
    family_id: slot.family_id,
    subject: slot.subject,
    timestamp: slot.timestamp,
    data: slot.data,
  }),
);

export async function recordEvent(tx: Tx, event: SecurityEvent): Promise<void> {
  const { data } = event;
  await insert(tx, {
    id: tx.newId() as EventId,
    type: event.type,
    family_id: 'sid' in data ? data.sid : null,
    subject: 'subject' in data ? data.subject : null,
    timestamp: tx.now,
    data: JSON.stringify(data),
  });
}

export interface EventFilter {
  readonly type?: SecurityEventType;
  /** The number of the last event seen. */
  readonly after?: number;
  readonly familyId?: FamilyId;
  readonly limit: number;
}

/** Oldest first. */
export async function listEvents(db: Reader, filter: EventFilter): Promise<RecordedEvent[]> {
  let query = db.sql.selectFrom('events').selectAll().orderBy('number').limit(filter.limit);
  if (filter.after !== undefined) query = query.where('number', '>', filter.after);
  if (filter.type !== undefined) query = query.where('type', '=', filter.type);
  if (filter.familyId !== undefined) query = query.where('family_id', '=', filter.familyId);
  return (await query.execute()).map((row) => ({
    number: row.number,
    id: row.id,
    type: row.type,
    timestamp: row.timestamp,
    data: JSON.parse(row.data) as Record<string, unknown>,
  }));
}
