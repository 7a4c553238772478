/** Deliveries as people look at them, and what people do about dead letters. */
import { sql } from 'kysely';
import type { DeliveryRecord, DeliveryState, ReceiverKey } from '../domain/delivery.ts';
import type { EventId, FamilyId } from '../domain/ids.ts';
import type { EpochMs } from '../domain/time.ts';
import { deliveryOf, laneOf, promote } from './deliveries.ts';
import type { Reader, Tx } from './store.ts';

/** Left out: any. */
export interface DeliveryFilter {
  readonly state?: DeliveryState | undefined;
  readonly eventId?: EventId | undefined;
  /** Of the event of the last delivery seen, and its receiver. */
  readonly after?: { readonly number: number; readonly receiver: string } | undefined;
  readonly limit: number;
}

/** In order of their events. */
export async function listDeliveries(db: Reader, filter: DeliveryFilter): Promise<readonly DeliveryRecord[]> {
  const { state, eventId, after: last } = filter;
  let query = db.sql
    .selectFrom('deliveries as d')
    .innerJoin('events as e', 'e.number', 'd.event_number')
    .leftJoin('receivers as r', 'r.key', 'd.receiver')
    .selectAll('d')
    .select(['e.id', 'e.type', 'r.label'])
    .orderBy('d.event_number')
    .orderBy('d.receiver')
    .limit(filter.limit);
  if (state !== undefined) query = query.where('d.state', '=', state);
  if (eventId !== undefined) query = query.where('e.id', '=', eventId);
  if (last !== undefined) {
    // As a pair: spelled out, each page would read all those before it.
    query = query.where((eb) =>
      eb(eb.refTuple('d.event_number', 'd.receiver'), '>', eb.tuple(last.number, last.receiver as ReceiverKey)),
    );
  }
  const rows = await query.execute();
  return rows.map((row) => ({
    ...deliveryOf(row),
    eventId: row.id,
    type: row.type,
    label: row.label ?? undefined,
  }));
}

/** How far the worker is behind. */
export interface Backlog {
  /** When the delivery that is longest due was due; undefined when none is. */
  readonly dueSince: EpochMs | undefined;
  readonly dead: number;
}

/** What is due to these receivers and not delivered, and how many dead letters there are, counted up to `limit`. */
export async function backlogOf(
  db: Reader,
  receivers: readonly ReceiverKey[],
  now: EpochMs,
  limit: number,
): Promise<Backlog> {
  let dueSince: EpochMs | undefined;
  for (const receiver of receivers) {
    const row = await db.sql
      .selectFrom('deliveries')
      .select('next_attempt_at')
      .where('receiver', '=', receiver)
      .where('state', '=', 'pending')
      .where('next_attempt_at', '<=', now)
      .orderBy('next_attempt_at')
      .limit(1)
      .executeTakeFirst();
    if (row !== undefined && row.next_attempt_at < (dueSince ?? Number.POSITIVE_INFINITY))
      dueSince = row.next_attempt_at;
  }
  const dead = await db.sql
    .selectFrom('deliveries')
    .select('event_number')
    .where('state', '=', 'dead')
    .limit(limit)
    .execute();
  return { dueSince, dead: dead.length };
}

/**
 * When the delivery that is next for this receiver is due, if an attempt at it has failed before; none is under way.
 * @returns undefined for a first attempt, and when nothing waits
 */
export async function nextRetry(db: Reader, receiver: ReceiverKey): Promise<EpochMs | undefined> {
  const row = await db.sql
    .selectFrom('deliveries')
    .select(['next_attempt_at', 'attempts'])
    .where('receiver', '=', receiver)
    .where('state', '=', sql.lit<DeliveryState>('pending'))
    .where('leased_until', 'is', null)
    .orderBy('next_attempt_at')
    .limit(1)
    .executeTakeFirst();
  return row === undefined || row.attempts === 0 ? undefined : row.next_attempt_at;
}

/** How many there are of each state that is not the end of it, each counted up to `limit`. */
export async function countDeliveries(
  db: Reader,
  limit: number,
): Promise<Readonly<Record<'waiting' | 'pending' | 'dead', number>>> {
  const count = async (condition: string): Promise<number> => {
    // As the partial indexes have it, word for word: otherwise every delivery that ever was would be looked at.
    const text = `select count(*) as count from (select 1 from deliveries where ${condition} limit ${limit}) as counted`;
    const { rows } = await db.connection.execute(text, []);
    return Number((rows as readonly { readonly count: number | string }[])[0]?.count ?? 0);
  };
  return {
    waiting: await count("state = 'waiting' and family_id is not null and state in ('waiting', 'pending')"),
    pending: await count("state = 'pending'"),
    dead: await count("state = 'dead'"),
  };
}

/** Lets dead letters begin anew, in their order behind what is on its way in their family. @returns their receivers, one for each */
export async function reviveDeliveries(tx: Tx, numbers: readonly number[]): Promise<readonly ReceiverKey[]> {
  if (numbers.length === 0) return [];
  const rows = await tx.sql
    .updateTable('deliveries')
    .set((eb) => ({
      state: eb
        .case()
        .when('family_id', 'is', null)
        .then(eb.val<DeliveryState>('pending'))
        .else(eb.val<DeliveryState>('waiting'))
        .end(),
      attempts: 0,
      first_attempt_at: null,
      next_attempt_at: tx.now,
      settled_at: null,
    }))
    .where('event_number', 'in', numbers)
    .where('state', '=', 'dead')
    .returning(['receiver', 'family_id'])
    .execute();
  const lanes = new Map<string, { receiver: ReceiverKey; family_id: FamilyId; now: EpochMs }>();
  for (const { receiver, family_id } of rows) {
    if (family_id !== null) lanes.set(laneOf(receiver, family_id), { receiver, family_id, now: tx.now });
  }
  for (const lane of lanes.values()) await promote(tx, lane);
  return rows.map((row) => row.receiver);
}

/** Has what failed tried again now. What is under way is left alone. @returns how many */
export async function hastenDeliveries(tx: Tx, numbers: readonly number[]): Promise<number> {
  if (numbers.length === 0) return 0;
  const result = await tx.sql
    .updateTable('deliveries')
    .set({ next_attempt_at: tx.now })
    .where('event_number', 'in', numbers)
    .where('state', '=', 'pending')
    .where((eb) => eb.or([eb('leased_until', 'is', null), eb('leased_until', '<=', tx.now)]))
    .executeTakeFirst();
  return Number(result.numUpdatedRows);
}

/** Events with a dead letter, the oldest first. */
export async function listDeadNumbers(db: Reader, after: number, limit: number): Promise<readonly number[]> {
  const rows = await db.sql
    .selectFrom('deliveries')
    .select('event_number')
    .distinct()
    .where('state', '=', 'dead')
    .where('event_number', '>', after)
    .orderBy('event_number')
    .limit(limit)
    .execute();
  return rows.map((row) => row.event_number);
}
