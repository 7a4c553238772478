/** Deliveries as people handle them: what is on its way, what is dead, and giving it another chance. */
import type { App } from '../app.ts';
import type { DeliveryState } from '../domain/delivery.ts';
import { type EventId, isUuidv7 } from '../domain/ids.ts';
import { Refusal } from '../refusal.ts';
import { hastenDeliveries, listDeadNumbers, listDeliveries, reviveDeliveries } from '../store/delivery-pages.ts';
import { findEventNumber, findEventsByShortId } from '../store/events.ts';
import { enableReceivers } from '../store/receivers.ts';
import type { Tx } from '../store/store.ts';
import { ambiguous, shortEnds } from './short-id.ts';
import { type DeliveryView, deliveryView } from './views.ts';

/** Deliveries on one page, at most. */
const DELIVERY_PAGE = { max: 500 } as const;

/** Events whose dead letters are revived in one transaction. */
const BATCH = 200;

/** Candidates that a refusal names. */
const CANDIDATES = 10;

/** `cursor`: the `nextCursor` of the page before. */
export interface DeliveryListRequest {
  readonly state?: DeliveryState | undefined;
  readonly cursor?: string | undefined;
  readonly limit: number;
}

const CURSOR = /^([0-9]{1,15})\.([A-Za-z0-9_-]{1,64})$/;

/** In order of their events. @throws Refusal invalid_request */
export async function listDeliveryPage(
  app: App,
  { state, cursor, limit }: DeliveryListRequest,
): Promise<{ readonly deliveries: readonly DeliveryView[]; readonly nextCursor: string | null }> {
  const [, number, receiver] = CURSOR.exec(cursor ?? '') ?? [];
  if (cursor !== undefined && (number === undefined || receiver === undefined)) {
    throw new Refusal('invalid_request', 'A cursor is what the page before ended with.');
  }
  const after = number === undefined || receiver === undefined ? undefined : { number: Number(number), receiver };
  const size = Math.max(1, Math.min(limit, DELIVERY_PAGE.max));
  const found = await app.store.read((db) => listDeliveries(db, { state, after, limit: size + 1 }));
  const page = found.slice(0, size);
  const last = page.at(-1);
  return {
    deliveries: page.map(deliveryView),
    nextCursor: found.length > size && last !== undefined ? `${last.number}.${last.receiver}` : null,
  };
}

/** Counted in deliveries: one for each receiver of an event. */
export interface Retried {
  /** Dead letters that begin anew, and failed deliveries that are tried now. */
  readonly retried: number;
  /** Of the event: deliveries that need none, because they have arrived. */
  readonly delivered: number;
  /** Deliveries that are under way, or wait behind an earlier event of their session. */
  readonly underWay: number;
}

/**
 * Tries one event again now, wherever it has not arrived. A receiver that was disabled is enabled by it.
 * @param text the id of an event, or its short form. @throws Refusal invalid_request, not_found, ambiguous
 */
export async function retryEvent(app: App, text: string): Promise<Retried> {
  const { id, number } = await resolveEvent(app, text);
  return app.store.write(async (tx) => {
    const before = await listDeliveries(tx, { eventId: id, limit: DELIVERY_PAGE.max });
    // In this order: what is revived is due at once, and would be counted again.
    const retried = (await hastenDeliveries(tx, [number])) + (await revive(tx, [number]));
    const delivered = before.filter(({ state }) => state === 'delivered').length;
    return { retried, delivered, underWay: before.length - delivered - retried };
  });
}

/** Gives every dead letter another chance, in small steps. @returns how many */
export async function retryDead(app: App): Promise<number> {
  let retried = 0;
  for (let after = 0; ; ) {
    const numbers = await app.store.read((db) => listDeadNumbers(db, after, BATCH));
    retried += await app.store.write((tx) => revive(tx, numbers));
    const last = numbers.at(-1);
    if (last === undefined || numbers.length < BATCH) return retried;
    after = last;
  }
}

async function revive(tx: Tx, numbers: readonly number[]): Promise<number> {
  const receivers = await reviveDeliveries(tx, numbers);
  await enableReceivers(tx, [...new Set(receivers)]);
  return receivers.length;
}

async function resolveEvent(app: App, text: string): Promise<{ readonly id: EventId; readonly number: number }> {
  const typed = text.toLowerCase();
  const ends = shortEnds(typed);
  const whole = isUuidv7(typed) ? (typed as EventId) : undefined;
  if (ends === undefined && whole === undefined) {
    throw new Refusal('invalid_request', 'An event is named by its id, or by its short form: 01993b2e..c4d1f7.', {
      remedy: 'auth-server events list',
    });
  }
  const found = await app.store.read(async (db) => {
    if (ends !== undefined) return findEventsByShortId(db, ends.start, ends.end, CANDIDATES + 1);
    const number = whole === undefined ? undefined : await findEventNumber(db, whole);
    return number === undefined || whole === undefined ? [] : [{ id: whole, number }];
  });
  if (found.length > 1) {
    throw ambiguous(
      'events',
      found.map(({ id }) => id),
    );
  }
  const [event] = found;
  if (event === undefined) {
    throw new Refusal('not_found', 'There is no such event.', { remedy: 'auth-server events list' });
  }
  return event;
}
