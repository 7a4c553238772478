/** Key rings for tests of their schedule: the changes that it asks for, carried out as the store does it. */
import type { KeyId } from '../../src/domain/ids.ts';
import type { KeyChange, KeyPolicy, SigningKey } from '../../src/domain/signing-key.ts';
import { DAY, durationMs, type EpochMs, epochMs, MINUTE } from '../../src/domain/time.ts';

export const START = epochMs(1_750_000_000_000);

export const policy: KeyPolicy = {
  algorithm: 'ES256',
  rotateEvery: durationMs(30 * DAY),
  publishAhead: DAY,
  accessTokenTtl: durationMs(5 * MINUTE),
  longestRefreshTokenTtl: durationMs(90 * DAY),
};

let made = 0;

/** @throws where a change names a key that is not there: the schedule must never ask for that */
export function applyChanges(keys: readonly SigningKey[], changes: readonly KeyChange[], now: EpochMs): SigningKey[] {
  let result = [...keys];
  for (const change of changes) {
    if (change.kind === 'create') {
      made += 1;
      const activatedAt = change.state === 'active' ? now : null;
      const { ring, alg, state } = change;
      result.push({ kid: `kid-${made}` as KeyId, ring, alg, state, createdAt: now, activatedAt, retiresAt: null });
      continue;
    }
    if (!result.some((key) => key.kid === change.kid)) throw new Error(`there is no key ${change.kid}`);
    if (change.kind === 'remove') {
      result = result.filter((key) => key.kid !== change.kid);
    } else {
      const { kid, to, retiresAt } = change;
      const move = (key: SigningKey): SigningKey => ({
        ...key,
        state: to,
        retiresAt,
        activatedAt: to === 'active' ? now : key.activatedAt,
      });
      result = result.map((key) => (key.kid === kid ? move(key) : key));
    }
  }
  return result;
}

/** Of all keys, in alphabetical order: `active next retiring`. */
export const states = (keys: readonly SigningKey[]): string =>
  keys
    .map((key) => key.state)
    .sort()
    .join(' ');
