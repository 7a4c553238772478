/**
 * The life of a delivery: one event on its way to one receiver. `waiting` behind an earlier event of its family → `pending`
 * → `delivered`, or after a day of attempts `dead`. The schedule of the attempts is decided here and nowhere else.
 */
import type { EventId, FamilyId } from './ids.ts';
import type { SecurityEventType } from './security-event.ts';
import { after, DAY, type DurationMs, durationMs, type EpochMs, epochMs, HOUR, SECOND } from './time.ts';

/** `delivered` is the end; `dead` is, too, until somebody retries it. */
export const DELIVERY_STATES = ['waiting', 'pending', 'delivered', 'dead'] as const;
export type DeliveryState = (typeof DELIVERY_STATES)[number];

/** Whom a delivery is for, as the database knows it: derived from the URL without its login, so that it outlives a change of secrets. */
export type ReceiverKey = string & { readonly receiverKey: unique symbol };

/** Where an event is to go, without how it gets there. */
export interface Subscription {
  readonly key: ReceiverKey;
  /** How people know it: the URL without login and query. */
  readonly label: string;
  /** Empty: all. */
  readonly types: readonly SecurityEventType[];
}

/** An event of any type is for a subscription that names none. */
export const isFor = (subscription: Subscription, type: SecurityEventType): boolean =>
  subscription.types.length === 0 || subscription.types.includes(type);

/** A row of `deliveries`: its receiver and the number of its event name it. */
export interface Delivery {
  readonly receiver: ReceiverKey;
  /** Of its event. */
  readonly number: number;
  readonly familyId: FamilyId | null;
  readonly state: DeliveryState;
  /** Those begun, also one that a killed worker never finished. Who settles a delivery names it, so that only its last claim counts. */
  readonly attempts: number;
  readonly firstAttemptAt: EpochMs | null;
  /** From then on anybody may begin an attempt. */
  readonly nextAttemptAt: EpochMs;
  /** While an attempt is under way: until then nobody else begins one. */
  readonly leasedUntil: EpochMs | null;
  readonly settledAt: EpochMs | null;
  /** One printable line without secrets. */
  readonly lastError: string | null;
}

/** A delivery as a list shows it. */
export interface DeliveryRecord extends Delivery {
  readonly eventId: EventId;
  readonly type: SecurityEventType;
  /** Undefined for a receiver that no worker has known. */
  readonly label: string | undefined;
}

/** What came of one attempt. */
export type AttemptResult =
  | { readonly kind: 'delivered' }
  | { readonly kind: 'failed'; readonly error: string; readonly retryAfter?: DurationMs | undefined }
  /** The receiver wants nothing any more. */
  | { readonly kind: 'gone'; readonly error: string };

/** What `nextAttempt` goes by: milliseconds, and one share. */
export const BACKOFF = {
  first: durationMs(5 * SECOND),
  longest: HOUR,
  /** From the first attempt to the last. */
  total: DAY,
  /** Up to this share of a delay is added to it, so that many that failed at once do not come back at once. */
  jitter: 0.25,
} as const;

/** What `nextAttempt` goes by of the attempt that failed. */
export interface FailedAttempt {
  /** Including this one. */
  readonly attempts: number;
  readonly firstAttemptAt: EpochMs;
  readonly now: EpochMs;
  /** 0 up to, not including, 1. */
  readonly jitter: number;
  /** What the receiver asked for. */
  readonly retryAfter?: DurationMs | undefined;
}

/**
 * When to try again: after 5 s, then twice as long each time up to an hour, never before the receiver asked for. The last
 * attempt is a day after the first. @returns undefined when that was the last: a dead letter
 */
export function nextAttempt({
  attempts,
  firstAttemptAt,
  now,
  jitter,
  retryAfter = durationMs(0),
}: FailedAttempt): EpochMs | undefined {
  const deadline = after(firstAttemptAt, BACKOFF.total);
  if (now >= deadline) return undefined;
  // Beyond 2^30 the delay is at its longest anyway, and the power stays exact.
  const doubled = BACKOFF.first * 2 ** Math.min(Math.max(attempts, 1) - 1, 30);
  const delay = Math.round(Math.min(doubled, BACKOFF.longest) * (1 + BACKOFF.jitter * jitter));
  return epochMs(Math.min(after(now, Math.max(delay, retryAfter)), deadline));
}
