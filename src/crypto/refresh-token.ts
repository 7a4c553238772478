/**
 * A refresh token is a function of its family row: nothing secret is stored, and a replay is the same row encoded again,
 * byte for byte, by every release (a known-answer test guards the spelling).
 */
import {
  type ClientId,
  type FamilyId,
  type Generation,
  parseClientId,
  parseFamilyId,
  parseGeneration,
  parseSubject,
  parseTokenId,
  type Subject,
  type TokenId,
} from '../domain/ids.ts';
import type { RefreshTokenString } from '../domain/secret.ts';
import { type EpochMs, type EpochSeconds, toSeconds } from '../domain/time.ts';
import type { TokenFamily } from '../domain/token-family.ts';
import { decodePayload, signHmac, splitCompact, type TokenReading, verifyHmac } from './jws.ts';
import type { KeyRings, RefreshKey } from './key-ring.ts';

/** `typ` of the header: one of its own, so that neither kind of token passes for the other (RFC 8725 §3.11). */
export const REFRESH_TOKEN_TYPE = 'rt+jwt';

/** What the token says of its family's row; whether the row still says so is `decideRotation`'s question. */
export interface RefreshTokenClaims {
  readonly sub: Subject;
  readonly clientId: ClientId;
  readonly jti: TokenId;
  readonly sid: FamilyId;
  readonly generation: Generation;
  readonly exp: EpochSeconds;
}

/** The family's current refresh token. `key` is the one that the row names. */
export function encodeRefreshToken(family: TokenFamily, key: RefreshKey, issuer: string): RefreshTokenString {
  const claims = {
    iss: issuer,
    sub: family.subject,
    aud: issuer,
    client_id: family.clientId,
    iat: toSeconds(family.current.issuedAt),
    exp: toSeconds(family.current.expiresAt),
    jti: family.current.jti,
    sid: family.id,
    gen: family.generation,
  };
  const signed = `${key.header}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
  return `${signed}.${signHmac(signed, key.secret)}` as RefreshTokenString;
}

/**
 * Spelling, header, MAC, then claims (`iss` and `aud` exact; of `iat` only that it is a number). Expired from the
 * second of `exp` on. The family is the caller's to judge.
 */
export function readRefreshToken(
  token: string,
  ring: KeyRings,
  issuer: string,
  now: EpochMs,
): TokenReading<RefreshTokenClaims> {
  const parts = splitCompact(token);
  const key = parts === undefined ? undefined : ring.refresh.byHeader.get(parts.header);
  if (parts === undefined || key === undefined || !verifyHmac(parts, key.secret)) return { kind: 'malformed' };
  const claims = claimsOf(decodePayload(parts.payload), issuer);
  if (claims === undefined) return { kind: 'malformed' };
  return { kind: claims.exp <= toSeconds(now) ? 'expired' : 'valid', claims };
}

/** Required claims are required: a missing one refuses, it is never skipped. */
function claimsOf(
  payload: Readonly<Record<string, unknown>> | undefined,
  issuer: string,
): RefreshTokenClaims | undefined {
  if (payload === undefined || payload.iss !== issuer || payload.aud !== issuer || !Number.isSafeInteger(payload.iat))
    return undefined;
  const sub = parseSubject(payload.sub);
  const clientId = parseClientId(payload.client_id);
  const jti = parseTokenId(payload.jti);
  const sid = parseFamilyId(payload.sid);
  const generation = parseGeneration(payload.gen);
  const exp = Number.isSafeInteger(payload.exp) ? (payload.exp as EpochSeconds) : undefined;
  if (sub === undefined || clientId === undefined || jti === undefined) return undefined;
  if (sid === undefined || generation === undefined || exp === undefined) return undefined;
  return { sub, clientId, jti, sid, generation, exp };
}
