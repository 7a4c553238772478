/**
 * The token family: the record everything turns on. One row answers every question about a refresh token; the timeline
 * (`refresh_tokens`) is for people and may be purged without harm.
 */
import type { ClientId, FamilyId, Generation, KeyId, Sha256, Subject, TokenId } from './ids.ts';
import type { DurationMs, EpochMs } from './time.ts';

/** Why a family was ended (contract §9). */
export const REVOCATION_CAUSES = [
  'reuse',
  'logout',
  'admin',
  'subject_disabled',
  'client_removed',
  'key_compromised',
  'restored',
  'rolled_back',
  'session_limit',
] as const;
export type RevocationCause = (typeof REVOCATION_CAUSES)[number];

/** Where a request came from, as far as it told: cut and cleaned at the edge. */
export interface Origin {
  readonly userAgent: string | null;
  readonly ip: string | null;
}

/** What the current refresh token is made of: the token itself is `encodeRefreshToken(family, key)`. */
export interface CurrentToken {
  readonly jti: TokenId;
  readonly kid: KeyId;
  /** Also the moment the one before was rotated away. */
  readonly issuedAt: EpochMs;
  readonly expiresAt: EpochMs;
  /** Of the `Idempotency-Key` of the request that made it. */
  readonly requestKeyHash: Sha256 | null;
}

/** A row of `token_families`: what began at one login. `revoked` is set once, and never taken back. */
export interface TokenFamily {
  readonly id: FamilyId;
  readonly subject: Subject;
  readonly clientId: ClientId;
  readonly generation: Generation;
  readonly current: CurrentToken;
  readonly createdAt: EpochMs;
  readonly lastRefreshedAt: EpochMs;
  /** No token of the family lives longer (`tokens.familyMaxLifetime`). */
  readonly endsAt: EpochMs;
  readonly revoked: { readonly at: EpochMs; readonly cause: RevocationCause; readonly note: string | null } | null;
  readonly device: string | null;
  /** Of the login or the last rotation. */
  readonly origin: Origin;
}

/** `expired`: its refresh token, its idle limit or its life has ended. `revoked` wins over it. */
export type FamilyState = 'live' | 'revoked' | 'expired';

/** Whether the family can still be refreshed, for lists and sessions; a refresh is judged by `decideRotation`. */
export function familyState(family: TokenFamily, idleTimeout: DurationMs | null, now: EpochMs): FamilyState {
  if (family.revoked !== null) return 'revoked';
  return hasEnded(family, idleTimeout, now) || family.current.expiresAt <= now ? 'expired' : 'live';
}

/** Past the family's maximum lifetime, or its idle limit. */
export const hasEnded = (family: TokenFamily, idleTimeout: DurationMs | null, now: EpochMs): boolean =>
  family.endsAt <= now || (idleTimeout !== null && family.lastRefreshedAt + idleTimeout <= now);
