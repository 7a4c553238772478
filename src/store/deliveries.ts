/**
 * Deliveries and their leases. A claim moves `next_attempt_at` to the end of its lease, so a worker that dies needs nobody
 * to clean up after it; and it counts the attempt, so that a worker which slept through its lease settles nothing.
 */
import { sql as raw, type Selectable, type SqlBool } from 'kysely';
import type { Delivery, DeliveryState, ReceiverKey } from '../domain/delivery.ts';
import type { FamilyId } from '../domain/ids.ts';
import { after, type DurationMs, type EpochMs } from '../domain/time.ts';
import { eventOf, type RecordedEvent } from './events.ts';
import type { DeliveryRow } from './schema.ts';
import { prepared, type Reader, type Tx } from './store.ts';

/** SQLite takes 32,766 values in one statement, Postgres 65,535. */
const ROWS_AT_ONCE = 500;

/** Spelled out in the statement, so that the index of pending rows fits it. */
const PENDING = raw.lit<DeliveryState>('pending');
/** The same for the index of what is in a lane. */
const inLane = (state: string) => raw<SqlBool>`${raw.ref(state)} in ('waiting', 'pending')`;
/**
 * A receiver that leads to no index. SQLite, without statistics, would rather read all that a receiver was ever sent than
 * what is in a lane.
 */
const looked = (receiver: string) => raw<ReceiverKey>`${raw.ref(receiver)} || ''`;

/** The delivery that a row tells of. */
export const deliveryOf = (row: Selectable<DeliveryRow>): Delivery => ({
  receiver: row.receiver,
  number: row.event_number,
  familyId: row.family_id,
  state: row.state,
  attempts: row.attempts,
  firstAttemptAt: row.first_attempt_at,
  nextAttemptAt: row.next_attempt_at,
  leasedUntil: row.leased_until,
  settledAt: row.settled_at,
  lastError: row.last_error,
});

/** A family's way to one receiver, in which only the first event moves. */
export const laneOf = (receiver: ReceiverKey, familyId: FamilyId): string => `${receiver} ${familyId}`;

/** The lanes of these families that have something in them. Locked: whoever settles there waits, and then sees what was added. */
export async function listBusyLanes(
  tx: Tx,
  receivers: readonly ReceiverKey[],
  families: readonly FamilyId[],
): Promise<Set<string>> {
  if (receivers.length === 0 || families.length === 0) return new Set();
  const query = tx.sql
    .selectFrom('deliveries')
    .select(['receiver', 'family_id'])
    .where('family_id', 'in', families)
    .where(looked('receiver'), 'in', receivers)
    .where(inLane('state'))
    .orderBy('event_number');
  const rows = await (tx.dialect === 'postgres' ? query.forUpdate() : query).execute();
  return new Set(rows.flatMap((row) => (row.family_id === null ? [] : [laneOf(row.receiver, row.family_id)])));
}

/** `lastError` says why one is `dead` from the start. */
export type NewDelivery = Pick<Delivery, 'receiver' | 'number' | 'familyId' | 'state' | 'lastError'>;

/** Due at once where they are `pending`. A second delivery of an event to a receiver is the driver's error. */
export async function insertDeliveries(tx: Tx, deliveries: readonly NewDelivery[]): Promise<void> {
  for (let start = 0; start < deliveries.length; start += ROWS_AT_ONCE) {
    const rows = deliveries.slice(start, start + ROWS_AT_ONCE).map((delivery) => ({
      receiver: delivery.receiver,
      event_number: delivery.number,
      family_id: delivery.familyId,
      state: delivery.state,
      attempts: 0,
      first_attempt_at: null,
      next_attempt_at: tx.now,
      leased_until: null,
      settled_at: delivery.state === 'dead' ? tx.now : null,
      last_error: delivery.lastError,
    }));
    await tx.sql.insertInto('deliveries').values(rows).execute();
  }
}

const due = prepared<{ receiver: ReceiverKey; now: EpochMs; limit: number }, { event_number: number }>(
  (sql, slot, dialect) => {
    const query = sql
      .selectFrom('deliveries')
      .select('event_number')
      .where('receiver', '=', slot.receiver)
      .where('state', '=', PENDING)
      .where('next_attempt_at', '<=', slot.now)
      .orderBy('next_attempt_at')
      .orderBy('event_number')
      .limit(slot.limit);
    // Another worker's choice is no reason to wait.
    return dialect === 'postgres' ? query.forUpdate().skipLocked() : query;
  },
);

/** Whether a claim at this time would find something. Only a hint: it takes no lock. */
export async function hasDue(db: Reader, receiver: ReceiverKey, now: EpochMs): Promise<boolean> {
  const row = await db.sql
    .selectFrom('deliveries')
    .select('event_number')
    .where('receiver', '=', receiver)
    .where('state', '=', PENDING)
    .where('next_attempt_at', '<=', now)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** Whose deliveries, and at most how many. */
export interface Claim {
  readonly receiver: ReceiverKey;
  readonly limit: number;
  /** How long nobody else begins an attempt. */
  readonly lease: DurationMs;
}

/** With the event that it carries. It is ours until `leasedUntil`, and settled by `settleDelivery`. */
export interface ClaimedDelivery extends Delivery {
  readonly event: RecordedEvent;
}

/** Takes what is due, the longest due first. */
export async function claimDeliveries(tx: Tx, { receiver, limit, lease }: Claim): Promise<readonly ClaimedDelivery[]> {
  const { rows: chosen } = await due(tx, { receiver, now: tx.now, limit });
  if (chosen.length === 0) return [];
  const numbers = chosen.map((row) => row.event_number);
  const until = after(tx.now, lease);
  const rows = await tx.sql
    .updateTable('deliveries')
    .set((eb) => ({
      attempts: eb('attempts', '+', 1),
      first_attempt_at: eb.fn.coalesce('first_attempt_at', eb.val(tx.now)),
      next_attempt_at: until,
      leased_until: until,
    }))
    .where('receiver', '=', receiver)
    .where('event_number', 'in', numbers)
    .returningAll()
    .execute();
  const events = await tx.sql.selectFrom('events').selectAll().where('number', 'in', numbers).execute();
  const byNumber = new Map(events.map((row) => [row.number, eventOf(row)]));
  return rows
    .flatMap((row) => {
      const event = byNumber.get(row.event_number);
      return event === undefined ? [] : [{ ...deliveryOf(row), event }];
    })
    .sort((one, other) => one.number - other.number);
}

/** What becomes of a claim. `error` is null where the attempt was given up, and none had failed before. */
export type Settlement =
  | { readonly state: 'delivered' }
  | { readonly state: 'dead'; readonly error: string }
  | { readonly state: 'pending'; readonly error: string | null; readonly nextAttemptAt: EpochMs };

/** Ends a claim. @returns false when it was no longer one: its lease had ended, and somebody else began the next attempt */
export async function settleDelivery(tx: Tx, claimed: Delivery, settlement: Settlement): Promise<boolean> {
  const { affected } = await settle(tx, {
    receiver: claimed.receiver,
    event_number: claimed.number,
    attempts: claimed.attempts,
    state: settlement.state,
    next_attempt_at: settlement.state === 'pending' ? settlement.nextAttemptAt : claimed.nextAttemptAt,
    settled_at: settlement.state === 'pending' ? null : tx.now,
    last_error: settlement.state === 'delivered' ? null : settlement.error,
  });
  if (affected === 1 && settlement.state !== 'pending' && claimed.familyId !== null) {
    await promote(tx, { receiver: claimed.receiver, family_id: claimed.familyId, now: tx.now });
  }
  return affected === 1;
}

const settle = prepared<{
  receiver: ReceiverKey;
  event_number: number;
  attempts: number;
  state: Delivery['state'];
  next_attempt_at: EpochMs;
  settled_at: EpochMs | null;
  last_error: string | null;
}>((sql, slot) =>
  sql
    .updateTable('deliveries')
    .set({
      state: slot.state,
      next_attempt_at: slot.next_attempt_at,
      leased_until: null,
      settled_at: slot.settled_at,
      last_error: slot.last_error,
    })
    .where('receiver', '=', slot.receiver)
    .where('event_number', '=', slot.event_number)
    .where('attempts', '=', slot.attempts)
    .where('state', '=', 'pending'),
);

/** The first of those that wait in a lane gets its turn, unless one has it already. */
export const promote = prepared<{ receiver: ReceiverKey; family_id: FamilyId; now: EpochMs }>((sql, slot) =>
  sql
    .updateTable('deliveries')
    .set({ state: 'pending', next_attempt_at: slot.now })
    .where('receiver', '=', slot.receiver)
    .where('event_number', '=', (eb) =>
      eb
        .selectFrom('deliveries as first')
        .select((inner) => inner.fn.min('first.event_number').as('number'))
        .where(looked('first.receiver'), '=', slot.receiver)
        .where('first.family_id', '=', slot.family_id)
        .where(inLane('first.state')),
    )
    .where('state', '=', 'waiting'),
);

/**
 * Makes dead letters of what is still to be delivered to one receiver, but for what is being settled at this moment.
 * @returns how many; fewer than `limit`: none is left but that
 */
export async function buryDeliveries(tx: Tx, receiver: ReceiverKey, error: string, limit: number): Promise<number> {
  const some = tx.sql.selectFrom('deliveries').select('event_number');
  // Waiting for who settles, and then promotes what is buried here, the two would wait in a circle.
  const choose = async (query: typeof some, most: number) =>
    (await (tx.dialect === 'postgres' ? query.forUpdate().skipLocked() : query).limit(most).execute()).map(
      (row) => row.event_number,
    );
  // What waits first: whoever lets the receiver live again in between finds a first one in each lane that moves on.
  const waiting = await choose(
    some
      .where(looked('receiver'), '=', receiver)
      .where('family_id', 'is not', null)
      .where(inLane('state'))
      .where('state', '=', 'waiting'),
    limit,
  );
  const pending = some.where('receiver', '=', receiver).where('state', '=', PENDING);
  const chosen = waiting.length === limit ? waiting : [...waiting, ...(await choose(pending, limit - waiting.length))];
  if (chosen.length === 0) return 0;
  await tx.sql
    .updateTable('deliveries')
    .set({ state: 'dead', settled_at: tx.now, last_error: error })
    .where('receiver', '=', receiver)
    .where('event_number', 'in', chosen)
    .where('state', 'in', ['waiting', 'pending'])
    .execute();
  return chosen.length;
}
