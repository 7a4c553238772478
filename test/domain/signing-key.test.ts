/** The life of signing keys, step by step: who signs, who is published, who is still believed, and when each changes. */
import { describe, expect, test } from 'vitest';
import {
  decideKeyCompromise,
  decideKeyRotation,
  decideKeySchedule,
  isRipe,
  type KeyPolicy,
  type SigningKey,
} from '../../src/domain/signing-key.ts';
import { DAY, durationMs, epochMs, MINUTE } from '../../src/domain/time.ts';
import { applyChanges, policy, START, states } from './key-rings.ts';

const schedule = (keys: readonly SigningKey[], at: number, rules: KeyPolicy = policy): SigningKey[] =>
  applyChanges(keys, [...decideKeySchedule('access', keys, epochMs(at), rules)], epochMs(at));
const scheduleRefresh = (keys: readonly SigningKey[], at: number): SigningKey[] =>
  applyChanges(keys, [...decideKeySchedule('refresh', keys, epochMs(at), policy)], epochMs(at));

const only = (keys: readonly SigningKey[], state: SigningKey['state']): SigningKey => {
  const [found, ...more] = keys.filter((key) => key.state === state);
  if (found === undefined || more.length > 0) throw new Error(`not exactly one ${state} key: ${states(keys)}`);
  return found;
};

/** One active and one next key, as a new database has them. */
const fresh = (): SigningKey[] => schedule([], START);

describe('the schedule', () => {
  test('an empty ring gets a key that signs at once and one that is published', () => {
    expect(decideKeySchedule('access', [], START, policy)).toEqual([
      { kind: 'create', ring: 'access', alg: 'ES256', state: 'active' },
      { kind: 'create', ring: 'access', alg: 'ES256', state: 'next' },
    ]);
    expect(decideKeySchedule('refresh', [], START, policy)).toEqual([
      { kind: 'create', ring: 'refresh', alg: 'HS256', state: 'active' },
      { kind: 'create', ring: 'refresh', alg: 'HS256', state: 'next' },
    ]);
  });

  test('each ring sees its own keys alone', () => {
    expect(decideKeySchedule('refresh', fresh(), START, policy)).toHaveLength(2);
    const both = scheduleRefresh(fresh(), START);
    expect(decideKeySchedule('access', both, START, policy)).toEqual([]);
    expect(decideKeySchedule('refresh', both, START, policy)).toEqual([]);
  });

  test('a key hands over at its age, not a millisecond earlier', () => {
    const keys = fresh();
    expect(decideKeySchedule('access', keys, epochMs(START + 30 * DAY - 1), policy)).toEqual([]);
    const after = schedule(keys, START + 30 * DAY);
    expect(states(after)).toBe('active next retiring');
    expect(only(after, 'active').kid).toBe(only(keys, 'next').kid);
    expect(only(after, 'retiring').kid).toBe(only(keys, 'active').kid);
    expect(only(after, 'active').activatedAt).toBe(START + 30 * DAY);
  });

  test('a next key that is not yet published long enough waits, however old the active one is', () => {
    const keys = fresh().map((key) => (key.state === 'next' ? { ...key, createdAt: epochMs(START + 30 * DAY) } : key));
    expect(isRipe(only(keys, 'next'), epochMs(START + 31 * DAY - 1), policy)).toBe(false);
    expect(decideKeySchedule('access', keys, epochMs(START + 31 * DAY - 1), policy)).toEqual([]);
    expect(states(schedule(keys, START + 31 * DAY))).toBe('active next retiring');
  });

  test('a retiring key leaves the JWKS when its last access token has expired', () => {
    const rotated = schedule(fresh(), START + 30 * DAY);
    const end = START + 30 * DAY + policy.accessTokenTtl;
    expect(decideKeySchedule('access', rotated, epochMs(end - 1), policy)).toEqual([]);
    expect(states(schedule(rotated, end))).toBe('active next verify_only');
  });

  test('a key is known for the longest refresh token that came with one of its access tokens, and a day', () => {
    const end = START + 30 * DAY + policy.accessTokenTtl;
    const verifyOnly = schedule(schedule(fresh(), START + 30 * DAY), end);
    const gone = end + policy.longestRefreshTokenTtl + DAY;
    expect(only(verifyOnly, 'verify_only').retiresAt).toBe(gone);
    const oldest = only(verifyOnly, 'verify_only').kid;
    const kids = (at: number): string[] => schedule(verifyOnly, at).map((key) => key.kid);
    expect(kids(gone - 1)).toContain(oldest);
    expect(kids(gone)).not.toContain(oldest);
  });

  test('a refresh key, which is never published, is at once for verification only', () => {
    const rotated = scheduleRefresh(scheduleRefresh([], START), START + 30 * DAY);
    expect(states(rotated)).toBe('active next verify_only');
    expect(only(rotated, 'verify_only').retiresAt).toBe(START + 30 * DAY + policy.longestRefreshTokenTtl + DAY);
  });

  test('after a long stop one call does all that is due, and a second finds nothing', () => {
    const rotated = schedule(fresh(), START + 30 * DAY);
    const muchLater = START + 900 * DAY;
    const woken = schedule(rotated, muchLater);
    expect(states(woken)).toBe('active next retiring');
    expect(decideKeySchedule('access', woken, epochMs(muchLater), policy)).toEqual([]);
  });

  test('a change of algorithm is published for its time, then takes over whatever the age of the active key', () => {
    const edDsa: KeyPolicy = { ...policy, algorithm: 'EdDSA' };
    const keys = fresh();
    const changed = schedule(keys, START + MINUTE, edDsa);
    expect(states(changed)).toBe('active next');
    expect(only(changed, 'active').alg).toBe('ES256');
    expect(only(changed, 'next').alg).toBe('EdDSA');
    expect(changed.map((key) => key.kid)).not.toContain(only(keys, 'next').kid);
    const ripe = START + MINUTE + policy.publishAhead;
    expect(decideKeySchedule('access', changed, epochMs(ripe - 1), edDsa)).toEqual([]);
    const taken = schedule(changed, ripe, edDsa);
    expect(only(taken, 'active').alg).toBe('EdDSA');
    expect(only(taken, 'next').alg).toBe('EdDSA');
    expect(only(taken, 'retiring').alg).toBe('ES256');
    expect(decideKeySchedule('refresh', scheduleRefresh([], START), START, edDsa)).toEqual([]);
  });

  test('an algorithm that is changed back before its time costs nothing but the next key', () => {
    const changed = schedule(fresh(), START + MINUTE, { ...policy, algorithm: 'RS256' });
    const back = schedule(changed, START + 2 * MINUTE);
    expect(back.map((key) => key.alg)).toEqual(['ES256', 'ES256']);
    expect(only(back, 'active').kid).toBe(only(changed, 'active').kid);
  });

  test('a step back of the clock changes nothing', () => {
    const rotated = schedule(fresh(), START + 30 * DAY);
    expect(decideKeySchedule('access', rotated, START, policy)).toEqual([]);
  });

  test('a ring that lost its active key lets the next one sign', () => {
    const keys = fresh().filter((key) => key.state === 'next');
    const after = schedule(keys, START + MINUTE);
    expect(only(after, 'active').kid).toBe(keys[0]?.kid);
    expect(states(after)).toBe('active next');
  });
});

describe('by hand', () => {
  test('a rotation hands over whatever the ages', () => {
    const keys = fresh();
    const after = applyChanges(keys, decideKeyRotation('access', keys, START, policy), START);
    expect(states(after)).toBe('active next retiring');
    expect(only(after, 'active').kid).toBe(only(keys, 'next').kid);
  });

  test('a rotation of a refresh ring leaves the old key for verification', () => {
    const keys = scheduleRefresh([], START);
    expect(states(applyChanges(keys, decideKeyRotation('refresh', keys, START, policy), START))).toBe(
      'active next verify_only',
    );
  });
});

describe('a compromise', () => {
  const compromise = (keys: readonly SigningKey[], ...kids: SigningKey['kid'][]): SigningKey[] =>
    applyChanges(keys, decideKeyCompromise('access', keys, { kids: new Set(kids), now: START }, policy), START);

  test('of the active key: the next one signs at once', () => {
    const keys = fresh();
    const after = compromise(keys, only(keys, 'active').kid);
    expect(states(after)).toBe('active compromised next');
    expect(only(after, 'active').kid).toBe(only(keys, 'next').kid);
  });

  test('of active and next: a key that nobody has seen signs', () => {
    const keys = fresh();
    const after = compromise(keys, ...keys.map((key) => key.kid));
    expect(states(after)).toBe('active compromised compromised next');
    expect(keys.map((key) => key.kid)).not.toContain(only(after, 'active').kid);
  });

  test('of the next key: it never signs, another is published for its own time', () => {
    const keys = fresh();
    const after = compromise(keys, only(keys, 'next').kid);
    expect(states(after)).toBe('active compromised next');
    expect(only(after, 'active').kid).toBe(only(keys, 'active').kid);
    expect(only(after, 'next').createdAt).toBe(START);
  });

  test('of a retiring key, or one for verification: it alone changes', () => {
    const rotated = schedule(fresh(), START + 30 * DAY);
    const after = compromise(rotated, only(rotated, 'retiring').kid);
    expect(states(after)).toBe('active compromised next');
    expect(only(after, 'active').kid).toBe(only(rotated, 'active').kid);
  });

  test('it is remembered as long as a refresh token may come with one of its access tokens, and then forgotten', () => {
    const keys = fresh();
    const after = compromise(keys, only(keys, 'active').kid);
    const bad = only(after, 'compromised');
    expect(bad.retiresAt).toBe(START + policy.longestRefreshTokenTtl + DAY);
    const at = (bad.retiresAt ?? epochMs(0)) as number;
    expect(schedule(after, at - 1).map((key) => key.kid)).toContain(bad.kid);
    expect(schedule(after, at).map((key) => key.kid)).not.toContain(bad.kid);
  });

  test('said twice, it is one', () => {
    const keys = fresh();
    const { kid } = only(keys, 'active');
    const after = compromise(keys, kid);
    expect(decideKeyCompromise('access', after, { kids: new Set([kid]), now: START }, policy)).toEqual([]);
  });

  test('the schedule never brings a compromised key back', () => {
    const keys = fresh();
    const { kid } = only(keys, 'active');
    let later = compromise(keys, kid);
    for (let day = 0; day < 200; day += 5) {
      later = schedule(later, START + day * DAY);
      const state = later.find((key) => key.kid === kid)?.state ?? 'compromised';
      expect(state).toBe('compromised');
    }
    expect(later.map((key) => key.kid)).not.toContain(kid);
  });
});

test('no time is negative or fractional', () => {
  const rules: KeyPolicy = { ...policy, accessTokenTtl: durationMs(1_000) };
  const rotated = schedule(fresh(), START + 30 * DAY, rules);
  expect(only(rotated, 'retiring').retiresAt).toBe(START + 30 * DAY + 1_000);
});
