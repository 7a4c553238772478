/** The rule of rotation, row by row in the order in which it judges, with every boundary on both of its sides. */
import { describe, expect, test } from 'vitest';
import type { Sha256 } from '../../src/domain/ids.ts';
import { decideRotation, type Presented, type Proof, type RotationPolicy } from '../../src/domain/rotation.ts';
import { DAY, durationMs, HOUR, MINUTE, SECOND } from '../../src/domain/time.ts';
import {
  current,
  ENDS,
  family,
  generation,
  KEY_OF_ROTATION,
  later,
  previous,
  ROTATED,
  revoked,
  strict,
  tokenId,
} from './families.ts';

const reject = (reason: string) => ({ kind: 'reject', reason });
const reuse = (name: string) => ({ kind: 'reuse', class: name });
const rotate = { kind: 'rotate' };
const replay = { kind: 'replay' };

const lenient: RotationPolicy = { ...strict, leeway: durationMs(10 * SECOND) };

describe('the row of the family', () => {
  test('no family: unknown', () => {
    expect(decideRotation(undefined, current, later(0), strict)).toEqual(reject('unknown'));
  });

  test.each([
    ['current', current],
    ['spent', previous],
    ['ahead', { ...current, generation: generation(6) }],
    ['forked', { ...current, jti: tokenId('other') }],
  ])('a revoked family: revoked, with a %s token too', (_name, presented) => {
    expect(decideRotation(revoked, presented, later(0), strict)).toEqual(reject('revoked'));
  });

  test('a revoked family that is also past its end is revoked', () => {
    expect(decideRotation(revoked, current, later(400 * DAY), strict)).toEqual(reject('revoked'));
  });

  test('the family lives until the millisecond before its end', () => {
    expect(decideRotation(family, current, later(ENDS - ROTATED - 1), strict)).toEqual(rotate);
    expect(decideRotation(family, current, later(ENDS - ROTATED), strict)).toEqual(reject('expired'));
  });

  test('an idle family ends when the limit is reached, not before', () => {
    const idle = { ...strict, idleTimeout: DAY };
    expect(decideRotation(family, current, later(DAY - 1), idle)).toEqual(rotate);
    expect(decideRotation(family, current, later(DAY), idle)).toEqual(reject('expired'));
  });

  test.each([
    ['spent', previous],
    ['ahead', { ...current, generation: generation(6) }],
    ['forked', { ...current, jti: tokenId('other') }],
  ])('past its end nothing is a reuse any more: a %s token is expired', (_name, presented) => {
    expect(decideRotation(family, presented, later(ENDS - ROTATED), strict)).toEqual(reject('expired'));
  });
});

describe('the generation', () => {
  test('the current token rotates, with a key, without, and with the key of the last rotation', () => {
    for (const key of [null, 'another' as Sha256, KEY_OF_ROTATION]) {
      expect(decideRotation(family, current, later(0, key), strict)).toEqual(rotate);
    }
  });

  test('ahead by one or by many: rolled back', () => {
    for (const ahead of [6, 7, Number.MAX_SAFE_INTEGER]) {
      const presented = { ...current, generation: generation(ahead) };
      expect(decideRotation(family, presented, later(0), strict)).toEqual({ kind: 'rolled_back' });
    }
  });

  test('the current generation with another jti is a fork', () => {
    expect(decideRotation(family, { ...current, jti: tokenId('other') }, later(0), strict)).toEqual(reuse('fork'));
  });

  test('a fork is a fork with the key of the rotation and within the leeway too', () => {
    const forked = { ...current, jti: tokenId('other') };
    expect(decideRotation(family, forked, later(0, KEY_OF_ROTATION), lenient)).toEqual(reuse('fork'));
  });

  test('the generation before, without its key, is a late retry', () => {
    expect(decideRotation(family, previous, later(0), strict)).toEqual(reuse('late_retry'));
    expect(decideRotation(family, previous, later(0, 'another' as Sha256), strict)).toEqual(reuse('late_retry'));
  });

  test.each([3, 2, 0])('generation %i of 5 is stale, with the key of its rotation and within the leeway too', (old) => {
    const presented = { ...previous, generation: generation(old) };
    expect(decideRotation(family, presented, later(0), strict)).toEqual(reuse('stale'));
    expect(decideRotation(family, presented, later(0, KEY_OF_ROTATION), lenient)).toEqual(reuse('stale'));
  });
});

describe('a replay', () => {
  test('with the key: up to and at the end of the window, not a millisecond later', () => {
    expect(decideRotation(family, previous, later(0, KEY_OF_ROTATION), strict)).toEqual(replay);
    expect(decideRotation(family, previous, later(HOUR, KEY_OF_ROTATION), strict)).toEqual(replay);
    expect(decideRotation(family, previous, later(HOUR + 1, KEY_OF_ROTATION), strict)).toEqual(reuse('late_retry'));
  });

  test('without the key: while the rotation is younger than the leeway, not at it', () => {
    expect(decideRotation(family, previous, later(10 * SECOND - 1), lenient)).toEqual(replay);
    expect(decideRotation(family, previous, later(10 * SECOND), lenient)).toEqual(reuse('late_retry'));
  });

  test('another key than that of the rotation falls back to the leeway', () => {
    const other = 'another' as Sha256;
    expect(decideRotation(family, previous, later(1, other), lenient)).toEqual(replay);
    expect(decideRotation(family, previous, later(10 * SECOND, other), lenient)).toEqual(reuse('late_retry'));
  });

  test('strict: a leeway of nothing lets nothing through, not even at the very millisecond', () => {
    expect(decideRotation(family, previous, later(0), strict)).toEqual(reuse('late_retry'));
  });

  test('a window of nothing still serves the same millisecond, as the window includes its end', () => {
    const none = { ...strict, replayWindow: durationMs(0) };
    expect(decideRotation(family, previous, later(0, KEY_OF_ROTATION), none)).toEqual(replay);
    expect(decideRotation(family, previous, later(1, KEY_OF_ROTATION), none)).toEqual(reuse('late_retry'));
  });

  test('a rotation without a key is not repeated by a request without one', () => {
    const keyless = { ...family, current: { ...family.current, requestKeyHash: null } };
    expect(decideRotation(keyless, previous, later(0), strict)).toEqual(reuse('late_retry'));
    expect(decideRotation(keyless, previous, later(0, KEY_OF_ROTATION), strict)).toEqual(reuse('late_retry'));
  });

  test('after a step back of the clock the rotation counts as new, and the windows are as long as ever', () => {
    expect(decideRotation(family, previous, later(-HOUR, KEY_OF_ROTATION), strict)).toEqual(replay);
    expect(decideRotation(family, previous, later(-HOUR), lenient)).toEqual(replay);
    expect(decideRotation(family, previous, later(-HOUR), strict)).toEqual(reuse('late_retry'));
    expect(decideRotation(family, { ...previous, generation: generation(3) }, later(-HOUR), lenient)).toEqual(
      reuse('stale'),
    );
  });

  test('a step back of the clock revives no fork and hides no rollback', () => {
    expect(decideRotation(family, { ...current, jti: tokenId('other') }, later(-DAY), lenient)).toEqual(reuse('fork'));
    expect(decideRotation(family, { ...current, generation: generation(6) }, later(-DAY), lenient)).toEqual({
      kind: 'rolled_back',
    });
  });
});

describe('the access token is judged last', () => {
  const withProof = (presented: Presented, proof: Proof): Presented => ({ ...presented, proof });
  const faulty: Proof[] = ['bad', 'absent'];

  test.each(faulty)('%s: the current token and a replay are refused, and nothing is touched', (proof) => {
    expect(decideRotation(family, withProof(current, proof), later(0), strict)).toEqual(reject('mismatch'));
    const repeated = later(MINUTE, KEY_OF_ROTATION);
    expect(decideRotation(family, withProof(previous, proof), repeated, strict)).toEqual(reject('mismatch'));
  });

  test.each(faulty)('%s: it hides no reuse, no fork and no rollback', (proof) => {
    expect(decideRotation(family, withProof(previous, proof), later(0), strict)).toEqual(reuse('late_retry'));
    const stale = withProof({ ...previous, generation: generation(0) }, proof);
    expect(decideRotation(family, stale, later(0), strict)).toEqual(reuse('stale'));
    const forked = withProof({ ...current, jti: tokenId('other') }, proof);
    expect(decideRotation(family, forked, later(0), strict)).toEqual(reuse('fork'));
    const ahead = withProof({ ...current, generation: generation(9) }, proof);
    expect(decideRotation(family, ahead, later(0), strict)).toEqual({ kind: 'rolled_back' });
  });

  test('genuine, by a key since compromised: the refresh token alone decides', () => {
    expect(decideRotation(family, withProof(current, 'unchecked'), later(0), strict)).toEqual(rotate);
  });

  test('where none is required it may be absent, but never bad', () => {
    const alone = { ...strict, requireAccessToken: false };
    expect(decideRotation(family, withProof(current, 'absent'), later(0), alone)).toEqual(rotate);
    expect(decideRotation(family, withProof(current, 'bad'), later(0), alone)).toEqual(reject('mismatch'));
  });
});
