/** How long a verifier remembers an end: until no clock, however it was moved, could take a revoked token for a good one. */
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { makeRevocations, newsOf } from '../../src/sdk/revocations.ts';

const LIFETIME = 300_000;
const START = Date.UTC(2026, 2, 1);
let monotonic = 0;
let wall = START;

beforeEach(() => {
  monotonic = 0;
  wall = START;
  vi.spyOn(performance, 'now').mockImplementation(() => monotonic);
  vi.spyOn(Date, 'now').mockImplementation(() => wall);
  onTestFinished(() => void vi.restoreAllMocks());
});

const time = (ms: number): string => new Date(ms).toISOString();

function hearOf(sid: string) {
  const revocations = makeRevocations({ keyEnded: () => undefined, begunAnew: () => undefined });
  let number = 0;
  const learn = (entries: readonly object[], reset = false): void => {
    number += 1;
    revocations.learn(newsOf({ entries, cursor: `e.${number}`, reset }), START);
  };
  learn([{ cursor: 'e.1', sid, revoked_at: time(START), until: time(START + LIFETIME) }], true);
  /** Whether it is still known after the next answer. */
  const isKnown = (): boolean => {
    learn([]);
    return revocations.isRevoked(sid, START / 1_000);
  };
  return { learn, isKnown };
}

test.each<[string, number, number, boolean]>([
  ['just before the last token has expired', LIFETIME - 1, LIFETIME - 1, true],
  ['when it has', LIFETIME + 1, LIFETIME + 1, false],
  ['by a clock that was set on', 1_000, 10 * LIFETIME, true],
  ['by a clock that was set back', 2 * LIFETIME, -LIFETIME, true],
  ['by a machine that slept', 10, LIFETIME + 1, true],
])('%s', (_name, monotonicPassed, wallPassed, expected) => {
  const { isKnown } = hearOf('one');
  monotonic += monotonicPassed;
  wall += wallPassed;
  expect(isKnown()).toBe(expected);
});

test('the whole set replaces what was known', () => {
  const { learn, isKnown } = hearOf('one');
  expect(isKnown()).toBe(true);
  // All that was issued by then is void all the same: see the other tests. This token is of later.
  const later = makeRevocations({ keyEnded: () => undefined, begunAnew: () => undefined });
  later.learn(newsOf({ entries: [], cursor: 'e.1', reset: true }), START);
  expect(later.isRevoked('one', START / 1_000)).toBe(false);
  later.learn(newsOf({ entries: [], cursor: 'f.1', reset: true }), START);
  expect(later.isRevoked('one', START / 1_000)).toBe(true);
  expect(later.isRevoked('one', START / 1_000 + 1)).toBe(false);
  learn([], true);
  expect(isKnown()).toBe(true);
});
