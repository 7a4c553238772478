/**
 * The rule of rotation (RFC 9700 §4.14.2): what does generation N mean, now, for this family? Pure and total: everything
 * it judges is an argument. Generations count and clocks do not, but for the two windows of a replay.
 *
 *   family missing ─────────────────────────► reject unknown   nothing to touch
 *   family revoked ─────────────────────────► reject revoked   nothing to touch
 *   family past its end, or idle ───────────► reject expired   nothing to touch
 *   N < current, no replay ─────────────────► reuse            revoke the family, in this transaction
 *   N = current, other jti ─────────────────► reuse (fork)     two holders of one generation
 *   N > current ────────────────────────────► rolled_back      revoke: the database was restored or failed over
 *   access token required and no proof ─────► reject mismatch  nothing to touch
 *   N = current, same jti ──────────────────► rotate           to N+1
 *   N+1 = current, same request or in leeway ► replay          the same row, encoded again
 */
import type { Generation, Sha256, TokenId } from './ids.ts';
import type { DurationMs, EpochMs } from './time.ts';
import { hasEnded, type TokenFamily } from './token-family.ts';

/**
 * The verdict on the access token that came along: `held` proves possession; `unchecked` is genuine but by a key since
 * declared compromised, so neither proof nor fault; `bad` is any fault.
 */
export type Proof = 'held' | 'unchecked' | 'absent' | 'bad';

/** What the refresh token claims, and the verdict on the access token beside it. */
export interface Presented {
  readonly generation: Generation;
  readonly jti: TokenId;
  readonly proof: Proof;
}

/** This request: its `Idempotency-Key`, hashed, and its time. */
export interface Attempt {
  readonly requestKeyHash: Sha256 | null;
  readonly now: EpochMs;
}

/** The policy in force for the client of the family. */
export interface RotationPolicy {
  /** How long a rotated-away token still gets its successor without a key; 0 is strict. */
  readonly leeway: DurationMs;
  /** How long the request that rotated may be repeated with its key. */
  readonly replayWindow: DurationMs;
  readonly idleTimeout: DurationMs | null;
  readonly requireAccessToken: boolean;
}

/** `late_retry`: the one before the current; `stale`: older; `fork`: the current generation with another `jti`. */
export type ReuseClass = 'late_retry' | 'stale' | 'fork';

/** What is to be done with the family; the reasons are those of contract §3. */
export type RotationDecision =
  | { readonly kind: 'rotate' }
  | { readonly kind: 'replay' }
  | { readonly kind: 'reuse'; readonly class: ReuseClass }
  | { readonly kind: 'rolled_back' }
  | { readonly kind: 'reject'; readonly reason: 'unknown' | 'revoked' | 'expired' | 'mismatch' };

const reject = (reason: 'unknown' | 'revoked' | 'expired' | 'mismatch'): RotationDecision => ({
  kind: 'reject',
  reason,
});

/** Same inputs, same verdict; writes nothing and reads no clock. */
export function decideRotation(
  family: TokenFamily | undefined,
  presented: Presented,
  attempt: Attempt,
  policy: RotationPolicy,
): RotationDecision {
  if (family === undefined) return reject('unknown');
  if (family.revoked !== null) return reject('revoked');
  if (hasEnded(family, policy.idleTimeout, attempt.now)) return reject('expired');

  if (presented.generation > family.generation) return { kind: 'rolled_back' };
  const isCurrent = presented.generation === family.generation;
  if (isCurrent && presented.jti !== family.current.jti) return { kind: 'reuse', class: 'fork' };
  if (!isCurrent && !isReplay(family, presented, attempt, policy)) {
    return { kind: 'reuse', class: presented.generation === family.generation - 1 ? 'late_retry' : 'stale' };
  }

  // Judged last, so that no fault of the access token can hide a reuse.
  if (presented.proof === 'bad' || (presented.proof === 'absent' && policy.requireAccessToken))
    return reject('mismatch');
  return isCurrent ? { kind: 'rotate' } : { kind: 'replay' };
}

/** The successor is unused, and either this is the request that made it, or its rotation is younger than the leeway. */
function isReplay(family: TokenFamily, presented: Presented, attempt: Attempt, policy: RotationPolicy): boolean {
  if (presented.generation !== family.generation - 1) return false;
  // A clock that stepped back makes the rotation young, never a window longer than it is.
  const age = Math.max(0, attempt.now - family.current.issuedAt);
  const sameRequest = attempt.requestKeyHash !== null && attempt.requestKeyHash === family.current.requestKeyHash;
  return (sameRequest && age <= policy.replayWindow) || age < policy.leeway;
}
