/**
 * The rule of rotation for any input at all: it is total, its outcomes exclude each other, what is behind never rotates, and
 * an access token can only take away. And for any sequence of requests: one successor for each generation.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Sha256 } from '../../src/domain/ids.ts';
import {
  type Attempt,
  decideRotation,
  type Presented,
  type Proof,
  type RotationDecision,
  type RotationPolicy,
} from '../../src/domain/rotation.ts';
import { DAY, durationMs, epochMs } from '../../src/domain/time.ts';
import type { TokenFamily } from '../../src/domain/token-family.ts';
import { ENDS, family, generation, LOGIN, tokenId } from './families.ts';

const keyHash = fc.constantFrom<Sha256 | null>(null, 'key-a' as Sha256, 'key-b' as Sha256);
const moment = fc.integer({ min: LOGIN - DAY, max: ENDS + DAY }).map(epochMs);
const proof = fc.constantFrom<Proof>('held', 'unchecked', 'absent', 'bad');
const jti = fc.constantFrom(tokenId('jti-a'), tokenId('jti-b'));

const families: fc.Arbitrary<TokenFamily> = fc
  .record({
    at: fc.integer({ min: 0, max: 6 }),
    jti,
    issuedAt: moment,
    requestKeyHash: keyHash,
    isRevoked: fc.boolean(),
  })
  .map(({ at, isRevoked, issuedAt, ...rest }) => ({
    ...family,
    generation: generation(at),
    current: { ...family.current, issuedAt, ...rest },
    lastRefreshedAt: issuedAt,
    revoked: isRevoked ? { at: issuedAt, cause: 'admin', note: null } : null,
  }));

const presented: fc.Arbitrary<Presented> = fc.record({
  generation: fc.oneof(fc.integer({ min: 0, max: 7 }), fc.maxSafeNat()).map(generation),
  jti,
  proof,
});

const attempts: fc.Arbitrary<Attempt> = fc.record({ now: moment, requestKeyHash: keyHash });

const policies: fc.Arbitrary<RotationPolicy> = fc.record({
  leeway: fc.integer({ min: 0, max: 300_000 }).map(durationMs),
  replayWindow: fc.integer({ min: 0, max: 7 * DAY }).map(durationMs),
  idleTimeout: fc.option(fc.integer({ min: 1_000, max: 90 * DAY }).map(durationMs)),
  requireAccessToken: fc.boolean(),
});

const RUNS = { numRuns: 500 };

/** Spread over the cases by hand: at random most families would be revoked, over or far from their last rotation. */
const inputs = fc.tuple(families, presented, attempts, policies).chain(([row, token, attempt, policy]) =>
  fc
    .record({
      isNear: fc.boolean(),
      offset: fc.integer({ min: -2_000, max: 600_000 }),
      step: fc.integer({ min: -2, max: 1 }),
      isClose: fc.boolean(),
    })
    .map(({ isNear, offset, step, isClose }) => ({
      row: isNear ? { ...row, revoked: null } : row,
      token: isClose ? { ...token, generation: generation(Math.max(0, row.generation + step)) } : token,
      attempt: isNear ? { ...attempt, now: epochMs(row.current.issuedAt + offset) } : attempt,
      policy,
    })),
);

const shapeOf = (decision: RotationDecision): string => Object.values(decision).join(' ');

const SHAPES = new Set([
  'rotate',
  'replay',
  'rolled_back',
  'reuse late_retry',
  'reuse stale',
  'reuse fork',
  'reject unknown',
  'reject revoked',
  'reject expired',
  'reject mismatch',
]);

describe('for any family, token, moment and policy', () => {
  test('the rule answers, one of its ten answers, the same each time, and changes nothing it was given', () => {
    fc.assert(
      fc.property(
        fc.option(families, { nil: undefined }),
        presented,
        attempts,
        policies,
        (row, token, attempt, policy) => {
          const before = JSON.stringify([row, token, attempt, policy]);
          const decision = decideRotation(row, token, attempt, policy);
          expect(SHAPES).toContain(shapeOf(decision));
          expect(decideRotation(row, token, attempt, policy)).toEqual(decision);
          expect(JSON.stringify([row, token, attempt, policy])).toBe(before);
        },
      ),
      RUNS,
    );
  });

  test('what is behind never rotates; what rotates is current, with its jti, in a live family', () => {
    fc.assert(
      fc.property(inputs, ({ row, token, attempt, policy }) => {
        const { kind } = decideRotation(row, token, attempt, policy);
        if (kind !== 'rotate') return;
        expect(token.generation).toBe(row.generation);
        expect(token.jti).toBe(row.current.jti);
        expect(row.revoked).toBeNull();
        expect(attempt.now).toBeLessThan(row.endsAt);
      }),
      RUNS,
    );
  });

  test('a replay is of the generation just before, with its key inside the window or inside the leeway', () => {
    fc.assert(
      fc.property(inputs, ({ row, token, attempt, policy }) => {
        const { kind } = decideRotation(row, token, attempt, policy);
        if (kind !== 'replay') return;
        expect(token.generation).toBe(row.generation - 1);
        const age = attempt.now - row.current.issuedAt;
        const hasKey = attempt.requestKeyHash !== null && attempt.requestKeyHash === row.current.requestKeyHash;
        expect((hasKey && age <= policy.replayWindow) || age < policy.leeway).toBe(true);
      }),
      RUNS,
    );
  });

  test('no access token hides a reuse: with any other one the family ends all the same', () => {
    fc.assert(
      fc.property(inputs, proof, ({ row, token, attempt, policy }, other) => {
        const decision = decideRotation(row, token, attempt, policy);
        if (decision.kind !== 'reuse' && decision.kind !== 'rolled_back') return;
        expect(decideRotation(row, { ...token, proof: other }, attempt, policy)).toEqual(decision);
      }),
      RUNS,
    );
  });

  test('a bad access token is never rewarded: what it gets is refused, whatever the policy', () => {
    fc.assert(
      fc.property(inputs, ({ row, token, attempt, policy }) => {
        const { kind } = decideRotation(row, { ...token, proof: 'bad' }, attempt, policy);
        expect(['rotate', 'replay']).not.toContain(kind);
      }),
      RUNS,
    );
  });

  test('a revoked family is revoked at any moment and for any token', () => {
    fc.assert(
      fc.property(inputs, ({ row, token, attempt, policy }) => {
        const ended: TokenFamily = { ...row, revoked: { at: LOGIN, cause: 'admin', note: null } };
        expect(decideRotation(ended, token, attempt, policy)).toEqual({ kind: 'reject', reason: 'revoked' });
      }),
      RUNS,
    );
  });

  test('a longer leeway or window never turns an acceptance into a refusal', () => {
    fc.assert(
      fc.property(inputs, fc.nat(DAY), ({ row, token, attempt, policy }, more) => {
        const { kind } = decideRotation(row, token, attempt, policy);
        if (kind !== 'rotate' && kind !== 'replay') return;
        const wider = {
          ...policy,
          leeway: durationMs(policy.leeway + more),
          replayWindow: durationMs(policy.replayWindow + more),
        };
        expect(decideRotation(row, token, attempt, wider).kind).toBe(kind);
      }),
      RUNS,
    );
  });
});

describe('for any sequence of requests', () => {
  const steps = fc.array(
    fc.record({
      /** How far behind the newest token that was ever given out. */
      behind: fc.integer({ min: 0, max: 3 }),
      key: keyHash,
      elapsed: fc.integer({ min: -5_000, max: 3_600_000 }),
    }),
    { maxLength: 40 },
  );

  test('a generation has at most one successor, and after a reuse there is none', () => {
    fc.assert(
      fc.property(steps, policies, (requests, policy) => {
        let row: TokenFamily = family;
        let now: number = row.current.issuedAt;
        const jtis = new Map([[row.generation as number, row.current.jti]]);
        for (const { behind, key, elapsed } of requests) {
          now += elapsed;
          const wanted = generation(Math.max(5, row.generation - behind));
          const token: Presented = { generation: wanted, jti: jtis.get(wanted) ?? tokenId(''), proof: 'held' };
          const decision = decideRotation(row, token, { now: epochMs(now), requestKeyHash: key }, policy);
          if (decision.kind === 'rotate') {
            const successor = generation(row.generation + 1);
            expect(jtis.has(successor)).toBe(false);
            expect(row.revoked).toBeNull();
            const jtiOfNext = tokenId(`jti-${jtis.size}`);
            jtis.set(successor, jtiOfNext);
            const issued = { ...row.current, jti: jtiOfNext, issuedAt: epochMs(now), requestKeyHash: key };
            row = { ...row, generation: successor, current: issued, lastRefreshedAt: epochMs(now) };
          }
          if (decision.kind === 'reuse') row = { ...row, revoked: { at: epochMs(now), cause: 'reuse', note: null } };
        }
      }),
      { numRuns: 500 },
    );
  });
});
