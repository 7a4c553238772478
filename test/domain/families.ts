/** Token families for tests of the rule: a live one of generation 5, and the few words that change it. */
import type { ClientId, FamilyId, Generation, KeyId, Sha256, Subject, TokenId } from '../../src/domain/ids.ts';
import type { Attempt, Presented, RotationPolicy } from '../../src/domain/rotation.ts';
import { DAY, durationMs, epochMs, HOUR } from '../../src/domain/time.ts';
import type { TokenFamily } from '../../src/domain/token-family.ts';

export const LOGIN = epochMs(1_750_000_000_000);
/** When generation 5 was made, and generation 4 rotated away. */
export const ROTATED = epochMs(LOGIN + 10 * DAY);
export const ENDS = epochMs(LOGIN + 365 * DAY);

export const generation = (value: number): Generation => value as Generation;
export const tokenId = (value: string): TokenId => value as TokenId;
export const KEY_OF_ROTATION = 'hash-of-the-key' as Sha256;

export const family: TokenFamily = {
  id: '01900000-0000-7000-8000-000000000001' as FamilyId,
  subject: 'ada' as Subject,
  clientId: 'default' as ClientId,
  generation: generation(5),
  current: {
    jti: tokenId('jti-5'),
    kid: 'kid-1' as KeyId,
    issuedAt: ROTATED,
    expiresAt: epochMs(ROTATED + 90 * DAY),
    requestKeyHash: KEY_OF_ROTATION,
  },
  createdAt: LOGIN,
  lastRefreshedAt: ROTATED,
  endsAt: ENDS,
  revoked: null,
  device: null,
  origin: { userAgent: null, ip: null },
};

export const revoked: TokenFamily = { ...family, revoked: { at: ROTATED, cause: 'logout', note: null } };

export const current: Presented = { generation: generation(5), jti: tokenId('jti-5'), proof: 'held' };
export const previous: Presented = { generation: generation(4), jti: tokenId('jti-4'), proof: 'held' };

export const strict: RotationPolicy = {
  leeway: durationMs(0),
  replayWindow: HOUR,
  idleTimeout: null,
  requireAccessToken: true,
};

/** A request so long after the last rotation. */
export const later = (ms: number, requestKeyHash: Sha256 | null = null): Attempt => ({
  now: epochMs(ROTATED + ms),
  requestKeyHash,
});
