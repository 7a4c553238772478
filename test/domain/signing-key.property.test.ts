/**
 * The key rings under any clock, any hand and any compromise: always one key that signs, published ahead of its first
 * token when the schedule chose it, and known for as long as anything that it signed may come back (I33 to I35).
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { KeyId } from '../../src/domain/ids.ts';
import {
  decideKeyCompromise,
  decideKeyRotation,
  decideKeySchedule,
  type KeyChange,
  type KeyPolicy,
  type KeyRingName,
  type SigningAlgorithm,
  type SigningKey,
} from '../../src/domain/signing-key.ts';
import { DAY, durationMs, type EpochMs, epochMs, MINUTE } from '../../src/domain/time.ts';
import { applyChanges, policy, START } from './key-rings.ts';

type Step =
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'rotate' }
  | { readonly kind: 'compromise'; readonly which: number }
  | { readonly kind: 'algorithm'; readonly alg: SigningAlgorithm };

const waits = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 40 * DAY }) },
  { weight: 2, arbitrary: fc.constantFrom(0, 1, MINUTE, 5 * MINUTE, DAY, 30 * DAY) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 400 * DAY }) },
  { weight: 1, arbitrary: fc.integer({ min: -2 * DAY, max: 0 }) },
);

const steps = fc.array(
  fc.oneof<fc.Arbitrary<Step>[]>(
    waits.map((ms): Step => ({ kind: 'wait', ms })),
    waits.map((ms): Step => ({ kind: 'wait', ms })),
    fc.constant<Step>({ kind: 'rotate' }),
    fc.nat(5).map((which): Step => ({ kind: 'compromise', which })),
    fc.constantFrom<SigningAlgorithm>('ES256', 'EdDSA', 'RS256').map((alg): Step => ({ kind: 'algorithm', alg })),
  ),
  { maxLength: 30 },
);

const rings = fc.constantFrom<KeyRingName>('access', 'refresh');

/** What happened to a ring, as whoever watches it sees it. */
interface Watched {
  keys: SigningKey[];
  now: EpochMs;
  rules: KeyPolicy;
  readonly lastSigned: Map<KeyId, number>;
}

/** Looks at the ring after each step: which keys are there, and which changes led to it. */
type Look = (watched: Watched, changes: readonly KeyChange[], by: Step['kind'] | 'schedule') => void;

/** @param clockError how far behind its latest reading the clock may ever be, ms */
function play(ring: KeyRingName, played: readonly Step[], look: Look, clockError: number = DAY): void {
  let latest: number = START;
  const watched: Watched = { keys: [], now: START, rules: policy, lastSigned: new Map() };
  const sign = (): void => {
    for (const key of watched.keys) if (key.state === 'active') watched.lastSigned.set(key.kid, watched.now);
  };
  const move = (changes: readonly KeyChange[], by: Step['kind'] | 'schedule'): void => {
    // A key may sign until the moment at which it hands over.
    sign();
    watched.keys = applyChanges(watched.keys, changes, watched.now);
    sign();
    look(watched, changes, by);
  };
  const bySchedule = (): void => move(decideKeySchedule(ring, watched.keys, watched.now, watched.rules), 'schedule');
  bySchedule();
  for (const step of played) {
    const { keys, now, rules } = watched;
    if (step.kind === 'wait') {
      watched.now = epochMs(Math.max(now + step.ms, latest - clockError));
      latest = Math.max(latest, watched.now);
    }
    if (step.kind === 'algorithm') watched.rules = { ...rules, algorithm: step.alg };
    if (step.kind === 'rotate') move(decideKeyRotation(ring, keys, now, rules), 'rotate');
    const chosen = step.kind === 'compromise' ? keys[step.which % keys.length] : undefined;
    if (chosen !== undefined)
      move(decideKeyCompromise(ring, keys, { kids: new Set([chosen.kid]), now }, rules), 'compromise');
    bySchedule();
  }
}

const forAll = (look: Look): void => {
  fc.assert(
    fc.property(rings, steps, (ring, played) => play(ring, played, look)),
    { numRuns: 150 },
  );
};

const of = (keys: readonly SigningKey[], state: SigningKey['state']): SigningKey[] =>
  keys.filter((key) => key.state === state);

test('there is always exactly one key that signs, and exactly one that is next', () => {
  forAll(({ keys }) => {
    expect(of(keys, 'active')).toHaveLength(1);
    expect(of(keys, 'next')).toHaveLength(1);
  });
});

test('applied, the schedule asks for nothing more until time has passed', () => {
  forAll(({ keys, now, rules }, _changes, by) => {
    const ring = keys[0]?.ring ?? 'access';
    if (by === 'schedule') expect(decideKeySchedule(ring, keys, now, rules)).toEqual([]);
  });
});

test('a key that the schedule lets sign has been published for as long as was promised', () => {
  forAll(({ keys, now, rules }, changes, by) => {
    const isHandOver = changes.some((change) => change.kind === 'move' && change.to === 'active');
    if (by !== 'schedule' || !isHandOver) return;
    const [active] = of(keys, 'active');
    expect(now - (active?.createdAt ?? now)).toBeGreaterThanOrEqual(rules.publishAhead);
  });
});

test('a key is known while a refresh token may come with what it signed, though the clock is wrong by a day', () => {
  forAll(({ keys, now, rules, lastSigned }) => {
    for (const [kid, signedAt] of lastSigned) {
      if (now < signedAt + rules.longestRefreshTokenTtl) expect(keys.map((key) => key.kid)).toContain(kid);
    }
  });
});

test('an access key stays published while an access token that it signed is good, unless it was compromised', () => {
  const look: Look = ({ keys, now, rules, lastSigned }) => {
    for (const [kid, signedAt] of lastSigned) {
      if (now >= signedAt + rules.accessTokenTtl) continue;
      expect(['active', 'retiring', 'compromised']).toContain(keys.find((key) => key.kid === kid)?.state);
    }
  };
  // A clock that steps back makes tokens of the future; how long those are published is nobody's promise.
  fc.assert(
    fc.property(steps, (played) => play('access', played, look, 0)),
    { numRuns: 150 },
  );
});

test('compromised is final, and what was forgotten does not come back', () => {
  fc.assert(
    fc.property(rings, steps, (ring, played) => {
      const bad = new Set<KeyId>();
      play(ring, played, ({ keys }) => {
        for (const key of keys) {
          if (key.state === 'compromised') bad.add(key.kid);
          else expect(bad).not.toContain(key.kid);
        }
      });
    }),
    { numRuns: 150 },
  );
});

test('no number of steps makes a ring grow without end', () => {
  const daily = Array.from({ length: 2_000 }, (): Step => ({ kind: 'wait', ms: DAY }));
  let most = 0;
  play('access', daily, ({ keys }) => {
    most = Math.max(most, keys.length);
  });
  expect(most).toBeLessThanOrEqual(7);
  const shortLived: KeyPolicy = { ...policy, longestRefreshTokenTtl: durationMs(DAY) };
  expect(decideKeySchedule('access', [], START, shortLived)).toHaveLength(2);
});
