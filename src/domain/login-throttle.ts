/** The rule of login throttling: so many failures for one key in one window, then no more answers until it has passed. */
import { after, type DurationMs, type EpochMs } from './time.ts';

/** What is known of one bucket (a username, an address) since its window began. */
export interface FailureCount {
  readonly failures: number;
  /** When the first failure of the window happened. */
  readonly since: EpochMs;
}

/** `login.maxFailuresPerUser` or `login.maxFailuresPerAddress`, with `login.window`. */
export interface ThrottlePolicy {
  readonly maxFailures: number;
  readonly window: DurationMs;
}

/** `retryAfter`: until the window is over. */
export type ThrottleDecision =
  | { readonly kind: 'admitted' }
  | { readonly kind: 'throttled'; readonly retryAfter: DurationMs };

/** Throttled from the failure on that fills the window, until the window is over. Undefined: none has failed yet. */
export function decideThrottle(
  count: FailureCount | undefined,
  policy: ThrottlePolicy,
  now: EpochMs,
): ThrottleDecision {
  const current = inWindow(count, policy, now);
  if (current === undefined || current.failures < policy.maxFailures) return { kind: 'admitted' };
  return { kind: 'throttled', retryAfter: (after(current.since, policy.window) - now) as DurationMs };
}

/** The count after one more failure. */
export function countFailure(count: FailureCount | undefined, policy: ThrottlePolicy, now: EpochMs): FailureCount {
  const current = inWindow(count, policy, now);
  return current === undefined ? { failures: 1, since: now } : { failures: current.failures + 1, since: current.since };
}

/** A window that lies in the future (a clock that stepped back) is over, too: it must not lock anybody out for long. */
function inWindow(count: FailureCount | undefined, policy: ThrottlePolicy, now: EpochMs): FailureCount | undefined {
  if (count === undefined) return undefined;
  return count.since <= now && now < count.since + policy.window ? count : undefined;
}
