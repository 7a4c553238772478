/**
 * Exchanging a refresh token for a new pair. Order of judgement (contract §3): the refresh token, the client, the family, the
 * generation, and only for what would be rotated or replayed the access token and the subject. One transaction decides; a
 * reuse is durable before this returns.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { App } from '../app.ts';
import { readAccessToken } from '../crypto/access-token.ts';
import { sha256 } from '../crypto/client-secret.ts';
import { type RefreshTokenClaims, readRefreshToken } from '../crypto/refresh-token.ts';
import { type Client, isConfidential } from '../domain/client.ts';
import {
  type ClientId,
  type FamilyId,
  type KeyId,
  type Sha256,
  type Subject,
  type TokenId,
  uuidv7,
} from '../domain/ids.ts';
import { decideRotation, type Proof, type ReuseClass, type RotationDecision } from '../domain/rotation.ts';
import { after, type EpochMs, epochMs } from '../domain/time.ts';
import type { CurrentToken, Origin, TokenFamily } from '../domain/token-family.ts';
import { type Claims, letThrough } from '../domain/user-directory.ts';
import { Refusal } from '../refusal.ts';
import { recordEvent } from '../store/events.ts';
import { insertRefreshToken } from '../store/refresh-tokens.ts';
import { isCompromised } from '../store/signing-keys.ts';
import type { Tx } from '../store/store.ts';
import { advanceFamily, findFamily, lockFamily, revokeFamilies } from '../store/token-families.ts';
import { type ClientCredentials, familyClient } from './authenticate-client.ts';
import { issuePair, type TokenPair } from './issue.ts';
import { keyRingFor } from './key-ring.ts';
import { type AppPolicy, policyOf } from './policy.ts';

export const RefreshBody = z.object({ refresh_token: z.string(), access_token: z.string().optional() });

export interface RefreshRequest {
  readonly refreshToken: string;
  readonly accessToken: string | undefined;
  /** `Idempotency-Key`, 1 to 128 visible ASCII characters. */
  readonly requestKey: string | null;
  readonly credentials: ClientCredentials | undefined;
  readonly origin: Origin;
}

export type RefreshRejection = 'malformed' | 'expired' | 'mismatch' | 'unknown' | 'revoked' | 'reused';

/** Of a refusal that a real session stands behind: for the log. */
export interface About {
  readonly sid: FamilyId;
  readonly subject: Subject;
  readonly class?: ReuseClass;
  /** The client that brought the token of another one: a leak, or a mistake in its set-up. */
  readonly presentedBy?: ClientId;
}

interface Rejected {
  readonly kind: 'rejected';
  readonly reason: RefreshRejection;
  readonly about?: About;
}

export type RefreshOutcome =
  | { readonly kind: 'issued'; readonly pair: TokenPair; readonly replayed: boolean }
  | Rejected;

/** One request to rotate, as the transaction needs it. */
interface Attempt {
  readonly claims: RefreshTokenClaims;
  readonly proof: Proof;
  /** Of the access token, when its key was declared compromised. */
  readonly uncheckedKid: KeyId | undefined;
  readonly requestKeyHash: Sha256 | null;
  readonly origin: Origin;
  readonly policy: AppPolicy;
  readonly next: { readonly jti: TokenId; readonly kid: KeyId; readonly requestKeyHash: Sha256 | null };
}

type Verdict =
  | { readonly kind: 'rotated' | 'replayed'; readonly family: TokenFamily; readonly now: EpochMs }
  /** A key that this server still believes in has been declared compromised. */
  | { readonly kind: 'keys_changed' }
  | Rejected;

const rejected = (reason: RefreshRejection, about?: About): Rejected =>
  about === undefined ? { kind: 'rejected', reason } : { kind: 'rejected', reason, about };

/** @throws Refusal invalid_client, user_directory_unavailable, temporarily_unavailable (outcome unknown: retry with the same key) */
export function refresh(app: App, request: RefreshRequest): Promise<RefreshOutcome> {
  return refreshFor(app, request, async ({ clientId }) => {
    const client = await familyClient(app, clientId, request.credentials);
    return { kind: 'found', client, policy: policyOf(app, client) };
  });
}

/**
 * The same for a client that has authenticated before its token is looked at (RFC 6749 §6): the token must be its own, and
 * a confidential client's authentication stands in for the access token.
 * @throws Refusal user_directory_unavailable, temporarily_unavailable
 */
export function refreshAs(app: App, client: Client, request: RefreshRequest): Promise<RefreshOutcome> {
  return refreshFor(app, request, async ({ clientId }) => {
    if (clientId !== client.id) return { kind: 'foreign', presentedBy: client.id };
    const policy = policyOf(app, client);
    return {
      kind: 'found',
      client,
      policy: { ...policy, requireAccessToken: policy.requireAccessToken && !isConfidential(client) },
    };
  });
}

type OwnerOf = (
  claims: RefreshTokenClaims,
) => Promise<
  | { readonly kind: 'found'; readonly client: Client | undefined; readonly policy: AppPolicy }
  | { readonly kind: 'foreign'; readonly presentedBy: ClientId }
>;

async function refreshFor(app: App, request: RefreshRequest, ownerOf: OwnerOf): Promise<RefreshOutcome> {
  const outcome = await tryRefresh(app, request, ownerOf);
  if (outcome.kind === 'issued') {
    app.metrics.refreshed(outcome.replayed ? 'replayed' : 'rotated');
  } else {
    app.metrics.refreshed(outcome.reason);
    if (outcome.about?.class !== undefined) app.metrics.reused(outcome.about.class);
  }
  return outcome;
}

async function tryRefresh(
  app: App,
  request: RefreshRequest,
  ownerOf: OwnerOf,
  isLast = false,
): Promise<RefreshOutcome> {
  const ring = await keyRingFor(app, request.refreshToken);
  const reading = readRefreshToken(request.refreshToken, ring, app.config.issuer, app.clock.now());
  if (reading.kind !== 'valid') return rejected(reading.kind);
  const { claims } = reading;
  const owner = await ownerOf(claims);
  // Another client's token tells its presenter nothing, and costs its owner nothing.
  if (owner.kind === 'foreign')
    return rejected('malformed', { sid: claims.sid, subject: claims.sub, presentedBy: owner.presentedBy });
  const { client, policy } = owner;
  const requestKeyHash = request.requestKey === null ? null : sha256(`${claims.sid}.${request.requestKey}`);
  const attempt: Attempt = {
    claims,
    ...(await proofOf(app, request.accessToken, claims.sid)),
    requestKeyHash,
    origin: request.origin,
    policy,
    next: {
      jti: uuidv7(app.clock.now(), app.random.bytes(10)) as TokenId,
      kid: ring.refresh.active.kid,
      requestKeyHash,
    },
  };
  const status = await subjectStatus(app, attempt);
  const verdict = status.kind === 'disabled' ? await endDisabled(app, attempt) : await decideAndMove(app, attempt);
  if (verdict.kind === 'rejected') return verdict;
  if (verdict.kind === 'keys_changed') {
    if (isLast) return rejected('revoked', { sid: claims.sid, subject: claims.sub });
    await app.keys.reload();
    return tryRefresh(app, request, ownerOf, true);
  }
  const pair = await issuePair(app, ring, verdict.family, { client, claims: status.claims, now: verdict.now });
  return { kind: 'issued', pair, replayed: verdict.kind === 'replayed' };
}

/** Signature, `typ`, `iss` and `sid` are judged; not `exp`, not `aud`, nor whether it is the very sibling. */
async function proofOf(
  app: App,
  token: string | undefined,
  sid: FamilyId,
): Promise<{ proof: Proof; uncheckedKid: KeyId | undefined }> {
  if (token === undefined) return { proof: 'absent', uncheckedKid: undefined };
  const ring = await keyRingFor(app, token);
  const remembered = app.issued.get(token);
  const reading =
    remembered === undefined ? readAccessToken(token, ring, app.config.issuer, app.clock.now()) : undefined;
  const genuine = remembered ?? (reading?.kind === 'malformed' ? undefined : reading?.claims);
  const key = genuine === undefined ? undefined : ring.access.byId.get(genuine.kid);
  if (genuine === undefined || key === undefined || genuine.claims.sid !== sid)
    return { proof: 'bad', uncheckedKid: undefined };
  return key.state === 'compromised'
    ? { proof: 'unchecked', uncheckedKid: key.kid }
    : { proof: 'held', uncheckedKid: undefined };
}

const judge = (family: TokenFamily | undefined, attempt: Attempt, now: EpochMs): RotationDecision =>
  decideRotation(
    family,
    { generation: attempt.claims.generation, jti: attempt.claims.jti, proof: attempt.proof },
    { requestKeyHash: attempt.requestKeyHash, now },
    attempt.policy,
  );

/** Asks the directory about the subject, outside any transaction, and only for what would be rotated or replayed. */
async function subjectStatus(app: App, attempt: Attempt): Promise<{ kind: 'active' | 'disabled'; claims: Claims }> {
  if (app.users.status === undefined) return { kind: 'active', claims: {} };
  const family = await app.store.read((db) => findFamily(db, attempt.claims.sid));
  const { kind } = judge(family, attempt, app.clock.now());
  if (kind !== 'rotate' && kind !== 'replay') return { kind: 'active', claims: {} };
  const status = await app.users.status(attempt.claims.sub);
  return status.kind === 'disabled'
    ? { kind: 'disabled', claims: {} }
    : { kind: 'active', claims: letThrough(status.claims, app.config.tokens.claims) };
}

/** The decision is made again: what has changed meanwhile counts more than what the directory said. */
function endDisabled(app: App, attempt: Attempt): Promise<Verdict> {
  return app.store.write(async (tx): Promise<Verdict> => {
    const family = await lockFamily(tx, attempt.claims.sid);
    const decision = judge(family, attempt, tx.now);
    if (decision.kind !== 'rotate' && decision.kind !== 'replay') return carryOut(tx, family, decision, attempt);
    await revokeFamilies(tx, { family: attempt.claims.sid }, { cause: 'subject_disabled' });
    return rejected('revoked');
  });
}

async function decideAndMove(app: App, attempt: Attempt): Promise<Verdict> {
  try {
    return (await plainRotation(app, attempt)) ?? (await app.store.write((tx) => decideInside(tx, attempt)));
  } catch (error) {
    // A commit that failed may have happened all the same: what the database says now is the truth.
    const family = await findAgain(app, attempt, error);
    if (family?.current.jti !== attempt.next.jti) throw error;
    return { kind: 'rotated', family, now: family.current.issuedAt };
  }
}

/** How long to look for the outcome, ms: the change has already waited as long as a database that stands still makes it. */
const LOOK_AGAIN = 2_000;

async function findAgain(app: App, attempt: Attempt, error: unknown): Promise<TokenFamily | undefined> {
  if (!(error instanceof Refusal) || error.code !== 'temporarily_unavailable') throw error;
  const over = new AbortController();
  const found = app.store.read((db) => findFamily(db, attempt.claims.sid)).catch(() => undefined);
  const late = delay(LOOK_AGAIN, undefined, { signal: over.signal }).catch(() => undefined);
  return Promise.race([found, late]).finally(() => over.abort());
}

/** On Postgres: one statement for all plain rotations of a turn; undefined leaves the decision to the rule. */
async function plainRotation(app: App, attempt: Attempt): Promise<Verdict | undefined> {
  const hasProof = attempt.proof === 'held' || (attempt.proof === 'absent' && !attempt.policy.requireAccessToken);
  if (app.rotateAtOnce === undefined || !hasProof) return undefined;
  const { claims, policy, next, origin } = attempt;
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

async function decideInside(tx: Tx, attempt: Attempt): Promise<Verdict> {
  const family = await lockFamily(tx, attempt.claims.sid);
  return carryOut(tx, family, judge(family, attempt, tx.now), attempt);
}

async function carryOut(
  tx: Tx,
  family: TokenFamily | undefined,
  decision: RotationDecision,
  attempt: Attempt,
): Promise<Verdict> {
  if (family === undefined) return rejected('unknown');
  const about = { sid: family.id, subject: family.subject };
  if (decision.kind === 'reject') return rejected(decision.reason, about);
  switch (decision.kind) {
    case 'replay':
      return { kind: 'replayed', family, now: tx.now };
    case 'rotate':
      return rotate(tx, family, attempt);
    case 'reuse':
      await recordReuse(tx, family, decision.class, attempt);
      await revokeFamilies(tx, { family: family.id }, { cause: 'reuse' });
      return rejected('reused', { ...about, class: decision.class });
    case 'rolled_back':
      await recordEvent(tx, {
        type: 'token.generation_ahead',
        data: {
          ...subjectOf(family),
          ...from(attempt.origin),
          presented_generation: attempt.claims.generation,
          generation: family.generation,
        },
      });
      await revokeFamilies(tx, { family: family.id }, { cause: 'rolled_back' });
      return rejected('unknown', about);
  }
}

async function rotate(tx: Tx, family: TokenFamily, attempt: Attempt): Promise<Verdict> {
  if (await isCompromised(tx, family.current.kid, attempt.next.kid)) return { kind: 'keys_changed' };
  const next: CurrentToken = {
    ...attempt.next,
    issuedAt: tx.now,
    expiresAt: epochMs(Math.min(after(tx.now, attempt.policy.refreshTokenTtl), family.endsAt)),
  };
  const moved = await advanceFamily(tx, family, next, attempt.origin);
  // The row is locked (Postgres) or this is the only writer (SQLite): losing here means that a promise of the store is broken.
  if (moved === undefined) throw new Error('the family moved under its lock');
  await insertRefreshToken(tx, moved);
  if (attempt.uncheckedKid !== undefined) {
    await recordEvent(tx, {
      type: 'refresh.unchecked_access_token',
      data: { ...subjectOf(family), ...from(attempt.origin), kid: attempt.uncheckedKid },
    });
  }
  return { kind: 'rotated', family: moved, now: tx.now };
}

const subjectOf = (family: TokenFamily) => ({ sid: family.id, subject: family.subject, client_id: family.clientId });
const from = (origin: Origin) => ({ ip: origin.ip, user_agent: origin.userAgent });

async function recordReuse(tx: Tx, family: TokenFamily, reuse: ReuseClass, attempt: Attempt): Promise<void> {
  await recordEvent(tx, {
    type: 'token.reuse_detected',
    data: {
      ...subjectOf(family),
      ...from(attempt.origin),
      class: reuse,
      presented_generation: attempt.claims.generation,
      generation: family.generation,
      address_differs: attempt.origin.ip !== family.origin.ip,
      user_agent_differs: attempt.origin.userAgent !== family.origin.userAgent,
      last_ip: family.origin.ip,
      last_user_agent: family.origin.userAgent,
    },
  });
}
