/**
 * The rule asked inside one transaction, and its answer carried out: the family moves on, stays as it is, or ends with its
 * events. It stands apart from `refresh.ts` because here a verdict becomes durable: whatever this returns has been committed.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { App } from '../app.ts';
import type { RefreshTokenClaims } from '../crypto/refresh-token.ts';
import type { ClientId, FamilyId, KeyId, Sha256, Subject, TokenId } from '../domain/ids.ts';
import { decideRotation, type Proof, type ReuseClass, type RotationDecision } from '../domain/rotation.ts';
import { after, type EpochMs, epochMs } from '../domain/time.ts';
import type { CurrentToken, Origin, TokenFamily } from '../domain/token-family.ts';
import { Refusal } from '../refusal.ts';
import { recordEvent } from '../store/events.ts';
import { insertRefreshToken } from '../store/refresh-tokens.ts';
import { isCompromised } from '../store/signing-keys.ts';
import type { Tx } from '../store/store.ts';
import { advanceFamily, findFamily, lockFamily, revokeFamilies } from '../store/token-families.ts';
import type { AppPolicy } from './policy.ts';

/** Why a refresh is refused (contract §3); `invalid_client` is a `Refusal`. */
export type RefreshRejection = 'malformed' | 'expired' | 'mismatch' | 'unknown' | 'revoked' | 'reused';

/** Of a refusal that a real session stands behind: for the log. */
export interface About {
  readonly sid: FamilyId;
  readonly subject: Subject;
  readonly class?: ReuseClass;
  /** The client that brought the token of another one: a leak, or a mistake in its set-up. */
  readonly presentedBy?: ClientId;
}

/** A refusal is a value: what it has ended stays ended. */
export interface Rejected {
  readonly kind: 'rejected';
  readonly reason: RefreshRejection;
  readonly about?: About;
}

/** One request to rotate, as the transaction needs it. */
export interface RotationRequest {
  readonly claims: RefreshTokenClaims;
  readonly proof: Proof;
  /** Of the access token, when its key was declared compromised. */
  readonly uncheckedKid: KeyId | undefined;
  readonly requestKeyHash: Sha256 | null;
  readonly origin: Origin;
  readonly policy: AppPolicy;
  readonly next: { readonly jti: TokenId; readonly kid: KeyId; readonly requestKeyHash: Sha256 | null };
}

/** What has become of the family. */
export type Verdict =
  | { readonly kind: 'rotated' | 'replayed'; readonly family: TokenFamily; readonly now: EpochMs }
  /** A key that this server still believes in has been declared compromised. */
  | { readonly kind: 'keys_changed' }
  | Rejected;

/** With what there is to say about the session, where there is one. */
export const rejected = (reason: RefreshRejection, about?: About): Rejected =>
  about === undefined ? { kind: 'rejected', reason } : { kind: 'rejected', reason, about };

/** The verdict of the rule on this request at this moment. */
export const judge = (family: TokenFamily | undefined, request: RotationRequest, now: EpochMs): RotationDecision =>
  decideRotation(
    family,
    { generation: request.claims.generation, jti: request.claims.jti, proof: request.proof },
    { requestKeyHash: request.requestKeyHash, now },
    request.policy,
  );

/**
 * Ends the family of a subject that the directory says is disabled. The decision is made again: what has changed meanwhile
 * counts more than what the directory said. @throws Refusal temporarily_unavailable
 */
export function endDisabled(app: App, request: RotationRequest): Promise<Verdict> {
  return app.store.write(async (tx): Promise<Verdict> => {
    const family = await lockFamily(tx, request.claims.sid);
    const decision = judge(family, request, tx.now);
    if (decision.kind !== 'rotate' && decision.kind !== 'replay') return carryOut(tx, family, decision, request);
    const { sid, sub: subject } = request.claims;
    await revokeFamilies(tx, { family: sid }, { cause: 'subject_disabled' });
    return rejected('revoked', { sid, subject });
  });
}

/**
 * Decides, and moves the family on where the rule says so.
 * @throws Refusal temporarily_unavailable: the outcome is not known, the same request again tells it
 */
export async function decideAndMove(app: App, request: RotationRequest): Promise<Verdict> {
  try {
    return (await plainRotation(app, request)) ?? (await app.store.write((tx) => decideInside(tx, request)));
  } catch (error) {
    // A commit that failed may have happened all the same: what the database says now is the truth.
    const family = await findAgain(app, request, error);
    if (family?.current.jti !== request.next.jti) throw error;
    return { kind: 'rotated', family, now: family.current.issuedAt };
  }
}

/** How long to look for the outcome, ms: the change has already waited as long as a database that stands still makes it. */
const LOOK_AGAIN = 2_000;

async function findAgain(app: App, request: RotationRequest, error: unknown): Promise<TokenFamily | undefined> {
  if (!(error instanceof Refusal) || error.code !== 'temporarily_unavailable') throw error;
  const over = new AbortController();
  const found = app.store.read((db) => findFamily(db, request.claims.sid)).catch(() => undefined);
  const late = delay(LOOK_AGAIN, undefined, { signal: over.signal }).catch(() => undefined);
  return Promise.race([found, late]).finally(() => over.abort());
}

/** On Postgres: one statement for all plain rotations of a turn; undefined leaves the decision to the rule. */
async function plainRotation(app: App, request: RotationRequest): Promise<Verdict | undefined> {
  const hasProof = request.proof === 'held' || (request.proof === 'absent' && !request.policy.requireAccessToken);
  if (app.rotateAtOnce === undefined || !hasProof) return undefined;
  const { claims, policy, next, origin } = request;
  const family = await app.rotateAtOnce({
    id: claims.sid,
    generation: claims.generation,
    jti: claims.jti,
    next,
    refreshTokenTtl: policy.refreshTokenTtl,
    idleTimeout: policy.idleTimeout,
    origin,
  });
  return family === undefined ? undefined : { kind: 'rotated', family, now: family.current.issuedAt };
}

async function decideInside(tx: Tx, request: RotationRequest): Promise<Verdict> {
  const family = await lockFamily(tx, request.claims.sid);
  return carryOut(tx, family, judge(family, request, tx.now), request);
}

async function carryOut(
  tx: Tx,
  family: TokenFamily | undefined,
  decision: RotationDecision,
  request: RotationRequest,
): Promise<Verdict> {
  if (family === undefined) return rejected('unknown');
  const about = { sid: family.id, subject: family.subject };
  if (decision.kind === 'reject') return rejected(decision.reason, about);
  switch (decision.kind) {
    case 'replay':
      return { kind: 'replayed', family, now: tx.now };
    case 'rotate':
      return rotate(tx, family, request);
    case 'reuse':
      await recordReuse(tx, family, decision.class, request);
      await revokeFamilies(tx, { family: family.id }, { cause: 'reuse' });
      return rejected('reused', { ...about, class: decision.class });
    case 'rolled_back':
      await recordEvent(tx, {
        type: 'token.generation_ahead',
        data: {
          ...subjectOf(family),
          ...from(request.origin),
          presented_generation: request.claims.generation,
          generation: family.generation,
        },
      });
      await revokeFamilies(tx, { family: family.id }, { cause: 'rolled_back' });
      return rejected('unknown', about);
  }
}

async function rotate(tx: Tx, family: TokenFamily, request: RotationRequest): Promise<Verdict> {
  if (await isCompromised(tx, family.current.kid, request.next.kid)) return { kind: 'keys_changed' };
  const next: CurrentToken = {
    ...request.next,
    issuedAt: tx.now,
    expiresAt: epochMs(Math.min(after(tx.now, request.policy.refreshTokenTtl), family.endsAt)),
  };
  const moved = await advanceFamily(tx, family, next, request.origin);
  // The row is locked (Postgres) or this is the only writer (SQLite): losing here means that a promise of the store is broken.
  if (moved === undefined) throw new Error('the family moved under its lock');
  await insertRefreshToken(tx, moved);
  if (request.uncheckedKid !== undefined) {
    await recordEvent(tx, {
      type: 'refresh.unchecked_access_token',
      data: { ...subjectOf(family), ...from(request.origin), kid: request.uncheckedKid },
    });
  }
  return { kind: 'rotated', family: moved, now: tx.now };
}

const subjectOf = (family: TokenFamily) => ({ sid: family.id, subject: family.subject, client_id: family.clientId });
const from = (origin: Origin) => ({ ip: origin.ip, user_agent: origin.userAgent });

async function recordReuse(tx: Tx, family: TokenFamily, reuse: ReuseClass, request: RotationRequest): Promise<void> {
  await recordEvent(tx, {
    type: 'token.reuse_detected',
    data: {
      ...subjectOf(family),
      ...from(request.origin),
      class: reuse,
      presented_generation: request.claims.generation,
      generation: family.generation,
      address_differs: request.origin.ip !== family.origin.ip,
      user_agent_differs: request.origin.userAgent !== family.origin.userAgent,
      last_ip: family.origin.ip,
      last_user_agent: family.origin.userAgent,
    },
  });
}
