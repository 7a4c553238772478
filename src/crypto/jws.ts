/**
 * Compact JWS (RFC 7515 §3.1) for the two token kinds that this server issues, on node:crypto for speed. A header is one
 * fixed string for each key, compared whole: so the exact `alg`, `kid` and `typ` are implied, nothing in a token is ever
 * followed (RFC 8725 §3.10), and no unsigned byte is parsed.
 */
import { createHmac, type KeyObject, sign as signOnce, timingSafeEqual, verify as verifyOnce } from 'node:crypto';
import type { KeyId } from '../domain/ids.ts';
import type { SigningAlgorithm } from '../domain/signing-key.ts';

/** Characters; a longer token string is refused unparsed (contract §2). */
export const MAX_TOKEN_LENGTH = 8_192;

/** `valid` and `expired` both have a genuine signature; only `exp` tells them apart. */
export type TokenReading<C> =
  | { readonly kind: 'valid'; readonly claims: C }
  | { readonly kind: 'expired'; readonly claims: C }
  | { readonly kind: 'malformed' };

/** The segments of a token as they were sent, none decoded yet. */
export interface CompactParts {
  /** The protected header in its base64url spelling. */
  readonly header: string;
  /** What is signed: `header.payload`. */
  readonly signed: string;
  readonly payload: string;
  readonly signature: string;
}

const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

/** @returns undefined for anything but three segments of base64url within the size limit */
export function splitCompact(token: string): CompactParts | undefined {
  if (token.length > MAX_TOKEN_LENGTH || !COMPACT.test(token)) return undefined;
  const first = token.indexOf('.');
  const last = token.lastIndexOf('.');
  return {
    header: token.slice(0, first),
    signed: token.slice(0, last),
    payload: token.slice(first + 1, last),
    signature: token.slice(last + 1),
  };
}

/** The header of every token that a key signs, in its one spelling. */
export const encodeHeader = (alg: string, kid: KeyId, typ: string): string =>
  Buffer.from(JSON.stringify({ alg, kid, typ })).toString('base64url');

/** JSON of an object that begins with a name, and no longer than any header that this server makes. */
const HEADER = /^eyJ[A-Za-z0-9_-]{1,253}$/;

/** Whether a key that is not known here could spell this header: nothing else is worth a look for a new key. */
export function isHeaderOfOurs(header: string): boolean {
  if (!HEADER.test(header)) return false;
  const { alg, kid, typ } = decodePayload(header) ?? {};
  const isWhole = typeof alg === 'string' && typeof kid === 'string' && typeof typ === 'string';
  return isWhole && encodeHeader(alg, kid as KeyId, typ) === header;
}

/** @returns undefined where the spelling is not the canonical one: padding, or bits set that no byte uses (RFC 4648 §3.5) */
function decodeSignature(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : undefined;
}

/** The claims of a token whose signature was checked before. @returns undefined unless it is a JSON object */
export function decodePayload(payload: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** How node:crypto is asked for each algorithm, and how long its signatures are (RFC 7518 §3.3, §3.4; RFC 8037 §3.1). */
const ASYMMETRIC: Readonly<Record<SigningAlgorithm, { readonly digest: string | null; readonly length: number }>> = {
  ES256: { digest: 'sha256', length: 64 },
  EdDSA: { digest: null, length: 64 },
  RS256: { digest: 'sha256', length: 256 },
};

/** @param signed `header.payload`. @returns base64url; of ES256 the 64 bytes R and S (RFC 7518 §3.4), not DER */
export function signAsymmetric(signed: string, alg: SigningAlgorithm, key: KeyObject): string {
  const data = Buffer.from(signed);
  const signature = signOnce(ASYMMETRIC[alg].digest, data, alg === 'ES256' ? { key, dsaEncoding: 'ieee-p1363' } : key);
  return signature.toString('base64url');
}

/** False, never a throw, for a signature of another length or spelling. The key must be one for `alg`. */
export function verifyAsymmetric(parts: CompactParts, alg: SigningAlgorithm, key: KeyObject): boolean {
  const signature = decodeSignature(parts.signature);
  if (signature === undefined || signature.length !== ASYMMETRIC[alg].length) return false;
  const data = Buffer.from(parts.signed);
  return verifyOnce(
    ASYMMETRIC[alg].digest,
    data,
    alg === 'ES256' ? { key, dsaEncoding: 'ieee-p1363' } : key,
    signature,
  );
}

const hmac = (signed: string, key: KeyObject): Buffer => createHmac('sha256', key).update(signed).digest();

/** HMAC with SHA-256 (RFC 7518 §3.2). @param signed `header.payload`. @returns base64url */
export const signHmac = (signed: string, key: KeyObject): string => hmac(signed, key).toString('base64url');

/** In constant time. False, never a throw, for a signature of another length or spelling. */
export function verifyHmac(parts: CompactParts, key: KeyObject): boolean {
  const signature = decodeSignature(parts.signature);
  return signature !== undefined && signature.length === 32 && timingSafeEqual(signature, hmac(parts.signed, key));
}
