/** The schedule of attempts, as properties: it begins at 5 s, ends after a day, and never comes too early. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BACKOFF, isFor, nextAttempt, type ReceiverKey } from '../../src/domain/delivery.ts';
import { DAY, durationMs, epochMs, HOUR, SECOND } from '../../src/domain/time.ts';

const failed = fc.record({
  attempts: fc.integer({ min: 1, max: 10_000 }),
  firstAttemptAt: fc.integer({ min: 0, max: 4e12 }).map(epochMs),
  elapsed: fc.integer({ min: 0, max: 2 * DAY }),
  jitter: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  retryAfter: fc.option(fc.integer({ min: 0, max: 3 * DAY }).map(durationMs), { nil: undefined }),
});

describe('the next attempt', () => {
  test('is later than now and at most a day after the first, or there is none because that day is over', () => {
    fc.assert(
      fc.property(failed, ({ elapsed, ...rest }) => {
        const now = epochMs(rest.firstAttemptAt + elapsed);
        const next = nextAttempt({ ...rest, now });
        if (next === undefined) {
          expect(elapsed).toBeGreaterThanOrEqual(DAY);
        } else {
          expect(next).toBeGreaterThan(now);
          expect(next).toBeLessThanOrEqual(rest.firstAttemptAt + DAY);
          expect(Number.isSafeInteger(next)).toBe(true);
        }
      }),
    );
  });

  test('is never earlier than the receiver asked for, but for the last of all', () => {
    fc.assert(
      fc.property(failed, ({ elapsed, ...rest }) => {
        const now = epochMs(rest.firstAttemptAt + (elapsed % DAY));
        const next = nextAttempt({ ...rest, now }) ?? 0;
        const isLast = next === rest.firstAttemptAt + DAY;
        expect(isLast || next - now >= (rest.retryAfter ?? 0)).toBe(true);
      }),
    );
  });

  test('jitter only delays, by a quarter at most', () => {
    fc.assert(
      fc.property(failed, ({ attempts, jitter }) => {
        const at = epochMs(0);
        const plain = nextAttempt({ attempts, firstAttemptAt: at, now: at, jitter: 0 }) ?? 0;
        const shaken = nextAttempt({ attempts, firstAttemptAt: at, now: at, jitter }) ?? 0;
        expect(shaken).toBeGreaterThanOrEqual(plain);
        expect(shaken).toBeLessThanOrEqual(Math.ceil(plain * (1 + BACKOFF.jitter)));
      }),
    );
  });

  test('comes after 5 s, 10 s, 20 s and so on up to every hour, 34 attempts in a day', () => {
    const first = epochMs(0);
    const delays: number[] = [];
    let now = first;
    for (let attempts = 1; ; attempts += 1) {
      const next = nextAttempt({ attempts, firstAttemptAt: first, now, jitter: 0 });
      if (next === undefined) break;
      delays.push(next - now);
      now = next;
    }
    expect(delays.slice(0, 5)).toEqual([5, 10, 20, 40, 80].map((seconds) => seconds * SECOND));
    expect(Math.max(...delays)).toBe(HOUR);
    expect(now).toBe(DAY);
    expect(delays.length + 1).toBe(34);
  });
});

test('a receiver without types gets all of them, one with types only those', () => {
  const subscription = { key: 'k' as ReceiverKey, label: 'l' };
  expect(isFor({ ...subscription, types: [] }, 'login.failed')).toBe(true);
  expect(isFor({ ...subscription, types: ['login.failed'] }, 'login.failed')).toBe(true);
  expect(isFor({ ...subscription, types: ['login.failed'] }, 'login.succeeded')).toBe(false);
});
