/** Access tokens (RFC 9068): made for a family, and read as strictly as they were made. */
import {
  type ClientId,
  type FamilyId,
  type KeyId,
  parseClientId,
  parseFamilyId,
  parseSubject,
  parseTokenId,
  type Subject,
  type TokenId,
} from '../domain/ids.ts';
import type { AccessTokenString } from '../domain/secret.ts';
import { type EpochMs, type EpochSeconds, toSeconds } from '../domain/time.ts';
import type { Claims } from '../domain/user-directory.ts';
import { decodePayload, signAsymmetric, splitCompact, type TokenReading, verifyAsymmetric } from './jws.ts';
import type { AccessKey, ActiveAccessKey, KeyRings } from './key-ring.ts';

/** `typ` of the header (RFC 9068 §2.1). */
export const ACCESS_TOKEN_TYPE = 'at+jwt';

/** The claims of RFC 9068 §2.2, all required here; `sid` is the family, `auth_time` its login. */
export interface AccessTokenClaims {
  readonly iss: string;
  readonly sub: Subject;
  /** A string when one, an array when several. */
  readonly aud: string | readonly string[];
  readonly client_id: ClientId;
  readonly iat: EpochSeconds;
  readonly exp: EpochSeconds;
  readonly jti: TokenId;
  readonly sid: FamilyId;
  readonly auth_time: EpochSeconds;
}

/** What a genuine token says: the registered claims, and those that the configuration let through. */
export interface GenuineAccessToken {
  readonly claims: AccessTokenClaims;
  readonly extra: Claims;
  readonly kid: KeyId;
}

/**
 * Compact JWS by the active key. @param extra let-through claims: one of a registered name is overridden, not an error
 */
export function signAccessToken(claims: AccessTokenClaims, extra: Claims, key: ActiveAccessKey): AccessTokenString {
  // Registered claims come last in the spread, so that nothing let through can stand in for one.
  const payload = { ...claims, ...extra, ...claims };
  const signed = `${key.header}.${Buffer.from(JSON.stringify(payload)).toString('base64url')}`;
  return `${signed}.${signAsymmetric(signed, key.alg, key.privateKey)}` as AccessTokenString;
}

/**
 * Spelling, header, signature, then claims (`iss` exact; `iat` is not judged). Audience, key state and revocation are the
 * caller's to judge: they depend on who asks, and on when.
 */
export function readAccessToken(
  token: string,
  ring: KeyRings,
  issuer: string,
  now: EpochMs,
): TokenReading<GenuineAccessToken> {
  const genuine = readGenuine(token, ring, issuer);
  if (genuine === undefined) return { kind: 'malformed' };
  return { kind: isExpired(genuine, now) ? 'expired' : 'valid', claims: genuine };
}

/** From the second of `exp` on, without leeway (RFC 7519 §4.1.4). */
export const isExpired = (token: GenuineAccessToken, now: EpochMs): boolean => token.claims.exp <= toSeconds(now);

function readGenuine(token: string, ring: KeyRings, issuer: string): GenuineAccessToken | undefined {
  const parts = splitCompact(token);
  const key = parts === undefined ? undefined : ring.access.byHeader.get(parts.header);
  if (parts === undefined || key === undefined || !verifyAsymmetric(parts, key.alg, key.publicKey)) return undefined;
  return genuineOf(decodePayload(parts.payload), key, issuer);
}

const REGISTERED = new Set(['iss', 'sub', 'aud', 'client_id', 'iat', 'exp', 'jti', 'sid', 'auth_time']);

const isSeconds = (value: unknown): value is EpochSeconds => Number.isSafeInteger(value) && (value as number) >= 0;

function isAudience(value: unknown): value is string | string[] {
  if (typeof value === 'string') return value !== '';
  return Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === 'string');
}

/** Required claims are required: a missing one refuses, it is never skipped. */
function genuineOf(
  payload: Readonly<Record<string, unknown>> | undefined,
  key: Pick<AccessKey, 'kid'>,
  issuer: string,
): GenuineAccessToken | undefined {
  if (payload === undefined || payload.iss !== issuer) return undefined;
  const { aud, iat, exp, auth_time } = payload;
  const sub = parseSubject(payload.sub);
  const client_id = parseClientId(payload.client_id);
  const jti = parseTokenId(payload.jti);
  const sid = parseFamilyId(payload.sid);
  if (sub === undefined || client_id === undefined || jti === undefined || sid === undefined) return undefined;
  if (!isAudience(aud) || !isSeconds(iat) || !isSeconds(exp) || !isSeconds(auth_time)) return undefined;
  const extra = Object.fromEntries(Object.entries(payload).filter(([name]) => !REGISTERED.has(name)));
  return { claims: { iss: issuer, sub, aud, client_id, iat, exp, jti, sid, auth_time }, extra, kid: key.kid };
}
