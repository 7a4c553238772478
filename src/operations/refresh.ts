/**
 * Exchanging a refresh token for a new pair. Order of judgement (contract §3): the refresh token, the client, the family, the
 * generation, and only for what would be rotated or replayed the access token and the subject. One transaction decides
 * (`rotate.ts`); a reuse is durable before this returns.
 */
import { z } from 'zod';
import type { App } from '../app.ts';
import { readAccessToken } from '../crypto/access-token.ts';
import { sha256 } from '../crypto/client-secret.ts';
import { type RefreshTokenClaims, readRefreshToken } from '../crypto/refresh-token.ts';
import { type Client, isConfidential } from '../domain/client.ts';
import { type ClientId, type FamilyId, type KeyId, type TokenId, uuidv7 } from '../domain/ids.ts';
import type { Proof } from '../domain/rotation.ts';
import type { Origin } from '../domain/token-family.ts';
import { type Claims, letThrough } from '../domain/user-directory.ts';
import { findFamily } from '../store/token-families.ts';
import { type ClientCredentials, familyClient } from './authenticate-client.ts';
import { issuePair, type TokenPair } from './issue.ts';
import { keyRingsFor } from './key-ring.ts';
import { type AppPolicy, policyOf } from './policy.ts';
import { decideAndMove, endDisabled, judge, type Rejected, type RotationRequest, rejected } from './rotate.ts';

/** The body of `/refresh`; `access_token` may be missing where the policy says so, and the rule judges that. */
export const RefreshBody = z.object({ refresh_token: z.string(), access_token: z.string().optional() });

/** One refresh, as any front brings it. */
export interface RefreshRequest {
  readonly refreshToken: string;
  readonly accessToken: string | undefined;
  /** `Idempotency-Key`, 1 to 128 visible ASCII characters. */
  readonly requestKey: string | null;
  readonly credentials: ClientCredentials | undefined;
  readonly origin: Origin;
}

/** `replayed`: the successor was there already, and is given out again. */
export type RefreshOutcome =
  | { readonly kind: 'issued'; readonly pair: TokenPair; readonly replayed: boolean }
  | Rejected;

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
  const ring = await keyRingsFor(app, request.refreshToken);
  const reading = readRefreshToken(request.refreshToken, ring, app.config.issuer, app.clock.now());
  if (reading.kind !== 'valid') return rejected(reading.kind);
  const { claims } = reading;
  const owner = await ownerOf(claims);
  // Another client's token tells its presenter nothing, and costs its owner nothing.
  if (owner.kind === 'foreign')
    return rejected('malformed', { sid: claims.sid, subject: claims.sub, presentedBy: owner.presentedBy });
  const { client, policy } = owner;
  const requestKeyHash = request.requestKey === null ? null : sha256(`${claims.sid}.${request.requestKey}`);
  const rotation: RotationRequest = {
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
  const status = await subjectStatus(app, rotation);
  const verdict = status.kind === 'disabled' ? await endDisabled(app, rotation) : await decideAndMove(app, rotation);
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
  const ring = await keyRingsFor(app, token);
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

/** Asks the directory about the subject, outside any transaction, and only for what would be rotated or replayed. */
async function subjectStatus(
  app: App,
  rotation: RotationRequest,
): Promise<{ kind: 'active' | 'disabled'; claims: Claims }> {
  if (app.users.status === undefined) return { kind: 'active', claims: {} };
  const family = await app.store.read((db) => findFamily(db, rotation.claims.sid));
  const { kind } = judge(family, rotation, app.clock.now());
  if (kind !== 'rotate' && kind !== 'replay') return { kind: 'active', claims: {} };
  const status = await app.users.status(rotation.claims.sub);
  return status.kind === 'disabled'
    ? { kind: 'disabled', claims: {} }
    : { kind: 'active', claims: letThrough(status.claims, app.config.tokens.claims) };
}
