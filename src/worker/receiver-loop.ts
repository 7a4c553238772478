/**
 * The way of one receiver's deliveries: claim what is due, send some at once, settle each. Every receiver has its own, so
 * that a dead one delays nobody else's events.
 */
import type { App } from '../app.ts';
import { type DurationMs, durationMs } from '../domain/time.ts';
import { describeError } from '../log.ts';
import type { Receiver } from '../operations/receivers.ts';
import { buryDeliveries, type ClaimedDelivery, claimDeliveries, hasDue } from '../store/deliveries.ts';
import { holdReceivers, listReceivers } from '../store/receivers.ts';
import type { Reader } from '../store/store.ts';
import { deliver, openSender, type Sender } from './deliver.ts';
import { type Bell, type Loop, makeBell } from './loop.ts';

export interface ReceiverLoopOptions {
  /** How often to look, when nobody rings. */
  readonly poll: DurationMs;
  /** Attempts under way at once. */
  readonly concurrency: number;
  readonly timeout: DurationMs;
  /** Longer than the time-out: an attempt has ended before anybody may begin the next. */
  readonly lease: DurationMs;
}

export interface ReceiverLoop extends Loop {
  readonly bell: Bell;
  /** Waits for the attempts under way; those that take longer than this are given up, and are due at once. */
  finish(patience: DurationMs): Promise<void>;
}

/** Dead letters made in one transaction. */
const BURIED_AT_ONCE = 200;

/** Its way is opened at the first delivery, and kept. A step begins attempts and does not wait for them. */
export function receiverLoop(app: App, receiver: Receiver, options: ReceiverLoopOptions): ReceiverLoop {
  const { poll, concurrency, timeout, lease } = options;
  const bell = makeBell();
  const cutOff = new AbortController();
  const underWay = new Set<Promise<void>>();
  let sender: Sender | undefined;

  function begin(claimed: ClaimedDelivery, way: Sender): void {
    const attempt = deliver(app, claimed, { receiver, sender: way, timeout, cutOff: cutOff.signal })
      .catch((error: unknown) => {
        // Its lease ends by itself, and it is sent again.
        app.log.warn('a delivery could not be settled', { receiver: receiver.label, ...describeError(error) });
      })
      .finally(() => {
        underWay.delete(attempt);
        bell.ring();
      });
    underWay.add(attempt);
  }

  /** Why the receiver is disabled; undefined while it is not. */
  const reasonOf = async (db: Reader): Promise<string | undefined> =>
    (await listReceivers(db)).find(({ key }) => key === receiver.key)?.disabled?.reason;

  async function claim(): Promise<readonly ClaimedDelivery[]> {
    const { store, clock } = app;
    // On SQLite a claim takes the one write lock. On Postgres it costs nobody anything, and only its clock counts.
    if (store.dialect === 'sqlite' && !(await store.read((db) => hasDue(db, receiver.key, clock.now())))) return [];
    const limit = concurrency - underWay.size;
    return store.write(async (tx) => {
      const claimed = await claimDeliveries(tx, { receiver: receiver.key, limit, lease });
      // Asked after the claim: what became due when a 410 was settled must not be sent. The next step buries it.
      return claimed.length > 0 && (await reasonOf(tx)) !== undefined ? [] : claimed;
    });
  }

  /** A receiver that is disabled gets nothing: all of it becomes dead letters. @returns how many */
  function bury(): Promise<number> {
    return app.store.write(async (tx) => {
      // Asked again: it may have been enabled a moment ago.
      const known = (await holdReceivers(tx)).find(({ key }) => key === receiver.key);
      const reason = known?.disabled?.reason;
      return reason === undefined ? 0 : buryDeliveries(tx, receiver.key, reason, BURIED_AT_ONCE);
    });
  }

  async function step(): Promise<DurationMs> {
    if ((await app.store.read(reasonOf)) !== undefined) {
      return (await bury()) === BURIED_AT_ONCE ? durationMs(0) : poll;
    }
    // A claim for each single place that gets free would be a commit for each event.
    if (underWay.size > concurrency / 2) return poll;
    sender ??= await openSender(app, receiver);
    for (const claimed of await claim()) begin(claimed, sender);
    return poll;
  }

  return {
    name: `deliver to ${receiver.label}`,
    bell,
    step,
    async finish(patience) {
      const timer = setTimeout(() => cutOff.abort(), patience);
      await Promise.all(underWay);
      clearTimeout(timer);
      await sender?.close();
    },
  };
}
