/** The rule of login throttling: where the limit is, when the window is over, and that no clock locks anybody out for long. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { countFailure, decideThrottle, type FailureCount } from '../../src/domain/login-throttle.ts';
import { durationMs, epochMs } from '../../src/domain/time.ts';

const NOW = epochMs(1_750_000_000_000);
const policy = { maxFailures: 3, window: durationMs(60_000) };
const failed = (failures: number, ago = 0): FailureCount => ({ failures, since: epochMs(NOW - ago) });
const admitted = { kind: 'admitted' };

test('nobody starts throttled', () => {
  expect(decideThrottle(undefined, policy, NOW)).toEqual(admitted);
});

test('below the limit the next attempt is admitted, at the limit it is not', () => {
  expect(decideThrottle(failed(2), policy, NOW)).toEqual(admitted);
  expect(decideThrottle(failed(3), policy, NOW)).toEqual({ kind: 'throttled', retryAfter: 60_000 });
  expect(decideThrottle(failed(4), policy, NOW)).toEqual({ kind: 'throttled', retryAfter: 60_000 });
});

test('the wait is what is left of the window, and ends with it', () => {
  expect(decideThrottle(failed(3, 45_000), policy, NOW)).toEqual({ kind: 'throttled', retryAfter: 15_000 });
  expect(decideThrottle(failed(3, 59_999), policy, NOW)).toEqual({ kind: 'throttled', retryAfter: 1 });
  expect(decideThrottle(failed(3, 60_000), policy, NOW)).toEqual(admitted);
});

test('a failure within the window adds to it and does not prolong it; one after it starts another', () => {
  expect(countFailure(undefined, policy, NOW)).toEqual({ failures: 1, since: NOW });
  expect(countFailure(failed(2, 59_999), policy, NOW)).toEqual(failed(3, 59_999));
  expect(countFailure(failed(2, 60_000), policy, NOW)).toEqual(failed(1));
});

test('a window from the future, left by a clock that stepped back, is over', () => {
  expect(decideThrottle(failed(9, -1), policy, NOW)).toEqual(admitted);
  expect(countFailure(failed(9, -1), policy, NOW)).toEqual(failed(1));
});

test('whatever the clock does, exactly the limit fails before somebody waits, and never longer than a window', () => {
  const steps = fc.array(fc.integer({ min: -120_000, max: 120_000 }), { maxLength: 60 });
  fc.assert(
    fc.property(steps, (waits) => {
      let now = NOW;
      let count: FailureCount | undefined;
      for (const wait of waits) {
        now = epochMs(now + wait);
        const decision = decideThrottle(count, policy, now);
        if (decision.kind === 'throttled') {
          expect(count?.failures).toBe(policy.maxFailures);
          expect(decision.retryAfter).toBeGreaterThan(0);
          expect(decision.retryAfter).toBeLessThanOrEqual(policy.window);
        } else {
          count = countFailure(count, policy, now);
          expect(count.failures).toBeLessThanOrEqual(policy.maxFailures);
        }
      }
    }),
  );
});
