/**
 * From the outbox to deliveries: one for each receiver that wants an event. One distributor works at a time, in order of
 * the numbers, so that an event of a family is never handed out before an earlier one; see docs/decisions.
 */
import type { App } from '../app.ts';
import { isFor, type ReceiverKey } from '../domain/delivery.ts';
import type { FamilyId } from '../domain/ids.ts';
import type { Receiver } from '../operations/receivers.ts';
import { insertDeliveries, laneOf, listBusyLanes, type NewDelivery } from '../store/deliveries.ts';
import type { RecordedEvent } from '../store/events.ts';
import { clearOutbox, hasOutbox, listOutbox, lockOutbox } from '../store/outbox.ts';
import { holdReceivers, type KnownReceiver } from '../store/receivers.ts';
import type { Tx } from '../store/store.ts';

/** Events in one transaction: some 5 ms of the write lock on SQLite. */
const BATCH = 100;

const NOTHING = { taken: 0, isMore: false } as const;

/** @returns how many events it took, and whether there may be more */
export async function distribute(
  app: App,
  receivers: readonly Receiver[],
): Promise<{ readonly taken: number; readonly isMore: boolean }> {
  // Most times there is nothing: then nobody's write lock is taken.
  if (!(await app.store.read(hasOutbox))) return NOTHING;
  return app.store.write(async (tx) => {
    if (!(await lockOutbox(tx))) return NOTHING;
    const events = await listOutbox(tx, BATCH);
    if (events.length === 0) return NOTHING;
    const known = new Map((await holdReceivers(tx)).map((receiver) => [receiver.key, receiver]));
    await insertDeliveries(tx, await deliveriesOf(tx, events, receivers, known));
    await clearOutbox(
      tx,
      events.map((event) => event.number),
    );
    return { taken: events.length, isMore: events.length === BATCH };
  });
}

const familyOf = ({ data }: RecordedEvent): FamilyId | null => ('sid' in data ? (data.sid as FamilyId) : null);

async function deliveriesOf(
  tx: Tx,
  events: readonly RecordedEvent[],
  receivers: readonly Receiver[],
  known: ReadonlyMap<ReceiverKey, KnownReceiver>,
): Promise<readonly NewDelivery[]> {
  const families = new Set(events.map(familyOf).filter((family) => family !== null));
  const busy = await listBusyLanes(
    tx,
    receivers.map(({ key }) => key),
    [...families],
  );
  return events.flatMap((event) =>
    receivers
      .filter(
        (receiver) => isFor(receiver, event.type) && event.timestamp >= (known.get(receiver.key)?.since ?? tx.now),
      )
      .map(({ key }) => firstState(event, key, known.get(key)?.disabled?.reason, busy)),
  );
}

/** @param busy lanes with something in them; this one is added */
function firstState(
  event: RecordedEvent,
  receiver: ReceiverKey,
  disabled: string | undefined,
  busy: Set<string>,
): NewDelivery {
  const familyId = familyOf(event);
  const base = { receiver, number: event.number, familyId, lastError: null };
  // Not left out: whoever lets the receiver live again can have them.
  if (disabled !== undefined) return { ...base, state: 'dead', lastError: disabled };
  if (familyId === null) return { ...base, state: 'pending' };
  const lane = laneOf(receiver, familyId);
  const state = busy.has(lane) ? 'waiting' : 'pending';
  busy.add(lane);
  return { ...base, state };
}
