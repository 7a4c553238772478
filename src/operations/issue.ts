/** Making the token pair of a family: the step that login and refresh share, after their commit and outside any lock. */
import type { App } from '../app.ts';
import { type AccessTokenClaims, signAccessToken } from '../crypto/access-token.ts';
import type { KeyRings } from '../crypto/key-ring.ts';
import { encodeRefreshToken } from '../crypto/refresh-token.ts';
import type { Client } from '../domain/client.ts';
import { type FamilyId, type TokenId, uuidv7 } from '../domain/ids.ts';
import type { AccessTokenString, RefreshTokenString } from '../domain/secret.ts';
import { after, type EpochMs, epochMs, toSeconds } from '../domain/time.ts';
import type { TokenFamily } from '../domain/token-family.ts';
import type { Claims } from '../domain/user-directory.ts';
import { unavailable } from '../store/store.ts';

export interface TokenPair {
  readonly accessToken: AccessTokenString;
  /** Seconds. */
  readonly expiresIn: number;
  readonly refreshToken: RefreshTokenString;
  /** Seconds; of a replay, what is left. */
  readonly refreshExpiresIn: number;
  readonly sessionId: FamilyId;
}

/** The pair of the family's current generation. The refresh token is the row encoded; the access token is new each time. */
export async function issuePair(
  app: App,
  ring: KeyRings,
  family: TokenFamily,
  { client, claims, now }: { readonly client: Client | undefined; readonly claims: Claims; readonly now: EpochMs },
): Promise<TokenPair> {
  const { issuer, tokens } = app.config;
  // A row may name a key that was made after this ring was read.
  const refreshKey =
    ring.refresh.byId.get(family.current.kid) ?? (await app.keys.reload()).refresh.byId.get(family.current.kid);
  if (refreshKey === undefined)
    throw unavailable(new Error(`the refresh key ${family.current.kid} is not in the ring`));

  const audiences = client === undefined || client.audiences.length === 0 ? [tokens.audience] : client.audiences;
  const iat = toSeconds(now);
  const accessClaims: AccessTokenClaims = {
    iss: issuer,
    sub: family.subject,
    aud: audiences.length === 1 ? (audiences[0] ?? tokens.audience) : audiences,
    client_id: family.clientId,
    iat,
    exp: toSeconds(epochMs(Math.min(after(now, tokens.accessTokenTtl), family.endsAt))),
    jti: uuidv7(now, app.random.bytes(10)) as TokenId,
    sid: family.id,
    auth_time: toSeconds(family.createdAt),
  };
  const active = ring.access.active;
  const accessToken = signAccessToken(accessClaims, claims, active);
  app.issued.add(accessToken, { claims: accessClaims, extra: claims, kid: active.kid });
  return {
    accessToken,
    expiresIn: accessClaims.exp - iat,
    refreshToken: encodeRefreshToken(family, refreshKey, issuer),
    refreshExpiresIn: toSeconds(family.current.expiresAt) - iat,
    sessionId: family.id,
  };
}
