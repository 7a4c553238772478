/** Key rings for tests, made as the server makes them, and a family whose tokens they sign. */
import { ACCESS_TOKEN_TYPE, type AccessTokenClaims, signAccessToken } from '../../src/crypto/access-token.ts';
import { encodeHeader } from '../../src/crypto/jws.ts';
import { importHmacSecret, importPrivateKey, importPublicJwk, makeKey } from '../../src/crypto/key-pair.ts';
import { type ActiveAccessKey, type KeyRings, makeKeyRings, type RefreshKey } from '../../src/crypto/key-ring.ts';
import { REFRESH_TOKEN_TYPE } from '../../src/crypto/refresh-token.ts';
import type { ClientId, FamilyId, Generation, KeyId, Subject, TokenId } from '../../src/domain/ids.ts';
import type { SigningAlgorithm } from '../../src/domain/signing-key.ts';
import { DAY, type EpochSeconds, epochMs, toSeconds } from '../../src/domain/time.ts';
import type { TokenFamily } from '../../src/domain/token-family.ts';
import type { Claims } from '../../src/domain/user-directory.ts';

export const ISSUER = 'https://auth.example';
export const NOW = epochMs(1_750_000_000_000);

export async function makeAccessKey(alg: SigningAlgorithm): Promise<ActiveAccessKey> {
  const { kid, material, publicJwk } = await makeKey(alg);
  if (publicJwk === null) throw new Error('an asymmetric key has a public part');
  return {
    kid,
    alg,
    state: 'active',
    publicKey: importPublicJwk(publicJwk),
    privateKey: importPrivateKey(material),
    publicJwk,
    header: encodeHeader(alg, kid, ACCESS_TOKEN_TYPE),
  };
}

export function refreshKeyOf(kid: string, material: string): RefreshKey {
  const id = kid as KeyId;
  return { kid: id, secret: importHmacSecret(material), header: encodeHeader('HS256', id, REFRESH_TOKEN_TYPE) };
}

export async function makeRefreshKey(): Promise<RefreshKey> {
  const { kid, material } = await makeKey('HS256');
  return refreshKeyOf(kid, material);
}

/** A ring whose active access key is of this algorithm, beside one of each of the other two. */
export async function makeRing(alg: SigningAlgorithm): Promise<KeyRings> {
  const others = (['ES256', 'EdDSA', 'RS256'] as const).filter((other) => other !== alg);
  const retiring = await Promise.all(others.map(makeAccessKey));
  const active = await makeAccessKey(alg);
  const [refresh, older] = [await makeRefreshKey(), await makeRefreshKey()];
  const access = [active, ...retiring.map((key) => ({ ...key, state: 'retiring' as const }))];
  return makeKeyRings({
    access,
    activeAccess: active,
    refresh: [refresh, older],
    activeRefresh: refresh,
    unreadable: [],
  });
}

export const claims: AccessTokenClaims = {
  iss: ISSUER,
  sub: 'ada' as Subject,
  aud: 'api',
  client_id: 'default' as ClientId,
  iat: toSeconds(NOW),
  exp: (toSeconds(NOW) + 300) as EpochSeconds,
  jti: '01976ce4-e5b0-7000-8000-000000000001' as TokenId,
  sid: '01976ce4-e5b0-7000-8000-000000000002' as FamilyId,
  auth_time: toSeconds(NOW),
};

export const accessTokenOf = (ring: KeyRings, extra: Claims = {}): string =>
  signAccessToken(claims, extra, ring.access.active);

export const familyOf = (kid: KeyId): TokenFamily => ({
  id: claims.sid,
  subject: claims.sub,
  clientId: claims.client_id,
  generation: 7 as Generation,
  current: {
    jti: '01976ce4-e5b0-7000-8000-000000000003' as TokenId,
    kid,
    issuedAt: NOW,
    expiresAt: epochMs(NOW + 90 * DAY),
    requestKeyHash: null,
  },
  createdAt: NOW,
  lastRefreshedAt: NOW,
  endsAt: epochMs(NOW + 365 * DAY),
  revoked: null,
  device: null,
  origin: { userAgent: null, ip: null },
});

export const base64url = (data: string | Uint8Array): string => Buffer.from(data).toString('base64url');
