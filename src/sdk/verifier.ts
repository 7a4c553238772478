/**
 * `auth-server/verifier`: judges access tokens without a request for each, and yet refuses a revoked session within a
 * second. Signatures are checked against the published keys, revocations come by the feed (contract §11). What `/verify`
 * would answer is what this answers, in the same words and the same order of judgement.
 */
import { compactVerify } from 'jose';
import { makeFeed } from './feed.ts';
import { makeKeys, type VerificationKey } from './keys.ts';
import { makeRevocations } from './revocations.ts';
import { parseDuration, wallClock } from './timing.ts';

export interface VerifierOptions {
  /** The auth server's issuer, letter by letter; it is its address, too. */
  readonly issuer: string;
  /** What this API is called: a token has to be for it, or for one of several. */
  readonly audience: string | readonly string[];
  /** A `resource-server` client of the server, for the feed. */
  readonly clientId: string;
  readonly clientSecret: string;
  /** How long the feed may be lost before the verifier is stale: `"10s"`, which is the default; `"500ms"`, `"1m"`. */
  readonly maxStaleness?: string;
  /**
   * What to do with a good token while revocations are not heard of: `reject` it, which is the default, or `accept` it,
   * and with it those that were revoked since. A signature is never taken on trust.
   */
  readonly whenStale?: 'reject' | 'accept';
}

/** What an access token says (RFC 9068), with the claims that the server's `tokens.claims` lets through. Times are seconds. */
export interface AccessTokenClaims {
  readonly iss: string;
  /** Who the user is. */
  readonly sub: string;
  readonly aud: string | readonly string[];
  /** The app. */
  readonly client_id: string;
  readonly iat: number;
  readonly exp: number;
  readonly jti: string;
  /** The session. */
  readonly sid: string;
  readonly auth_time: number;
  readonly [claim: string]: unknown;
}

/**
 * The reasons of `/verify`, and `stale`: whether the token is good cannot be told now. That is the API's trouble and not its
 * caller's: answer `503`, never `401`, or the caller throws a good session away.
 */
export type Verdict =
  | { readonly active: true; readonly claims: AccessTokenClaims }
  | {
      readonly active: false;
      readonly reason: 'malformed' | 'expired' | 'wrong_audience' | 'revoked' | 'stale';
    };

export interface VerifierStatus {
  /** Revocations are not heard of: since the start, for longer than `maxStaleness`, or because nobody asked for longer. */
  readonly stale: boolean;
  /** What is wrong, for a log; undefined after a question to the server that was answered. It holds no secret. */
  readonly fault: string | undefined;
}

export interface Verifier {
  /** Never rejects. The first call, and one after a long silence, waits for the server, for three seconds at most each. */
  verify(token: string): Promise<Verdict>;
  status(): VerifierStatus;
  /** Ends the request that waits for revocations. From then on the verifier is stale. */
  close(): void;
}

/** Characters; the server makes no token that long, and refuses it unread. */
const MAX_TOKEN_LENGTH = 8_192;
const COMPACT = /^([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const CLIENT_ID = /^[A-Za-z0-9._-]{1,64}$/;
const SUBJECT = /^[\x21-\x7e]{1,255}$/;

const isSeconds = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0;
const fits = (value: unknown, form: RegExp): boolean => typeof value === 'string' && form.test(value);

/** A string when one, an array when several. */
function isAudience(value: unknown): boolean {
  if (typeof value === 'string') return value !== '';
  return Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === 'string');
}

/** Required claims are required, each in its form: a missing one refuses, it is never skipped. */
function claimsOf(payload: Uint8Array, issuer: string): AccessTokenClaims | undefined {
  let claims: Record<string, unknown> | null;
  try {
    claims = JSON.parse(new TextDecoder().decode(payload));
  } catch {
    return undefined;
  }
  if (typeof claims !== 'object' || claims === null || claims.iss !== issuer || !isAudience(claims.aud))
    return undefined;
  const { sub, client_id, jti, sid, iat, exp, auth_time } = claims;
  const isNamed = fits(sub, SUBJECT) && fits(client_id, CLIENT_ID) && fits(jti, UUID) && fits(sid, UUID);
  // The type is what has just been checked, member by member, which the compiler does not follow.
  return isNamed && [iat, exp, auth_time].every(isSeconds) ? (claims as unknown as AccessTokenClaims) : undefined;
}

/** Whether the spelling is the one that the bytes have: no bits set that no byte uses (RFC 4648 §3.5). */
function isCanonical(text: string): boolean {
  const bits = (text.length * 6) % 8;
  const last = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'.indexOf(text.slice(-1));
  return bits < 6 && last % 2 ** bits === 0;
}

interface Settings extends VerifierOptions {
  readonly url: string;
  readonly audiences: readonly string[];
  readonly maxStalenessMs: number;
}

/** @throws TypeError for an option that cannot work, without its value: one of them is a secret */
function settingsOf(options: VerifierOptions): Settings {
  const { issuer, audience, clientId, clientSecret, maxStaleness = '10s', whenStale = 'reject' } = options;
  const audiences = typeof audience === 'string' ? [audience] : audience;
  const maxStalenessMs = parseDuration(maxStaleness);
  const wrong = (name: string, expected: string): TypeError =>
    new TypeError(`createVerifier: ${name} has to be ${expected}.`);
  if (!URL.canParse(issuer)) throw wrong('issuer', 'the address of the auth server');
  if (!isAudience(audiences)) throw wrong('audience', 'a name, or a list of names');
  if (!fits(clientId, CLIENT_ID)) throw wrong('clientId', 'the id of a resource-server client');
  if (!fits(clientSecret, /^[\x21-\x7e]+$/)) throw wrong('clientSecret', 'the secret of that client');
  if (maxStalenessMs === undefined || maxStalenessMs === 0) throw wrong('maxStaleness', 'a duration such as "10s"');
  if (whenStale !== 'reject' && whenStale !== 'accept') throw wrong('whenStale', '"reject" or "accept"');
  return { ...options, audiences, maxStalenessMs, whenStale, url: issuer.replace(/\/$/, '') };
}

/** To be made once for each process, and kept. @throws TypeError for options that cannot work */
export function createVerifier(options: VerifierOptions): Verifier {
  const { issuer, url, audiences, clientId, clientSecret, maxStalenessMs, whenStale } = settingsOf(options);
  const keys = makeKeys(`${url}/.well-known/jwks.json`);
  const revocations = makeRevocations({
    keyEnded(kid) {
      keys.end(kid);
      // Its successor signs already, and nobody published it ahead.
      keys.refetch();
    },
    begunAnew: keys.refetch,
  });
  const authorization = `Basic ${btoa(`${clientId}:${clientSecret}`)}`;
  const feed = makeFeed(revocations, { url, authorization, maxStalenessMs });

  async function read(
    token: string,
  ): Promise<{ claims: AccessTokenClaims; key: VerificationKey } | 'malformed' | 'stale'> {
    if (typeof token !== 'string' || token.length > MAX_TOKEN_LENGTH) return 'malformed';
    const [, header, signature = ''] = COMPACT.exec(token) ?? [];
    if (header === undefined || !isCanonical(signature)) return 'malformed';
    const key = await keys.find(header);
    if (key === 'none') return 'malformed';
    if (key === 'unavailable') return 'stale';
    const verified = await compactVerify(token, key.key, { algorithms: [key.alg] }).catch(() => undefined);
    const claims = verified === undefined ? undefined : claimsOf(verified.payload, issuer);
    return claims === undefined ? 'malformed' : { claims, key };
  }

  async function verify(token: string): Promise<Verdict> {
    const heard = feed.ready();
    const reading = await read(token);
    if (typeof reading === 'string') return { active: false, reason: reading };
    const { claims, key } = reading;
    if (claims.exp <= Math.floor(wallClock() / 1_000)) return { active: false, reason: 'expired' };
    if (![claims.aud].flat().some((one) => audiences.includes(one))) return { active: false, reason: 'wrong_audience' };
    await heard;
    // What is known to be revoked is refused, however old the news.
    if (!keys.isGood(key) || revocations.isRevoked(claims.sid, claims.iat)) return { active: false, reason: 'revoked' };
    if (feed.isStale() && whenStale === 'reject') return { active: false, reason: 'stale' };
    return { active: true, claims };
  }

  return {
    verify,
    status: () => ({ stale: feed.isStale(), fault: feed.fault() ?? keys.fault() }),
    close: feed.close,
  };
}
