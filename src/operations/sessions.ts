/**
 * What the holder of a refresh token may see and end: its own session, and with a current token of a live family the
 * subject's others. Nothing here rotates, and nothing here is a reuse: only a refresh can be one.
 */
import { z } from 'zod';
import type { App } from '../app.ts';
import { type RefreshTokenClaims, readRefreshToken } from '../crypto/refresh-token.ts';
import type { ClientId, FamilyId } from '../domain/ids.ts';
import { isUuidv7 } from '../domain/ids.ts';
import type { DurationMs, EpochMs } from '../domain/time.ts';
import { familyState, hasEnded, type TokenFamily } from '../domain/token-family.ts';
import { Refusal } from '../refusal.ts';
import type { Tx } from '../store/store.ts';
import { type FamilySelector, findFamily, listLiveFamilies, revokeFamilies } from '../store/token-families.ts';
import { findClientById } from './authenticate-client.ts';
import { keyRingsFor } from './key-ring.ts';
import { policyOf } from './policy.ts';
import type { RefreshRejection } from './rotate.ts';

/** `POST /sessions` (contract §3). */
export const SessionsBody = z.object({ refresh_token: z.string() });

/** `POST /logout` (contract §3); without an option it ends the token's own session. */
export const LogoutBody = z
  .object({
    refresh_token: z.string(),
    session_id: z.string().refine(isUuidv7, 'is not a session id').optional(),
    others: z.literal(true, 'must be true where it is given').optional(),
    everywhere: z.literal(true, 'must be true where it is given').optional(),
  })
  .refine(
    ({ session_id, others, everywhere }) =>
      [session_id, others, everywhere].filter((option) => option !== undefined).length <= 1,
    {
      message: 'of session_id, others and everywhere, give at most one',
    },
  );

/** Which sessions a logout ends. */
export type LogoutScope =
  | { readonly kind: 'own' | 'others' | 'everywhere' }
  | { readonly kind: 'session'; readonly sid: FamilyId };

/** As a refresh would say, but `spent` for a token that was rotated away: here that is no reuse. */
export type HolderRejection = Exclude<RefreshRejection, 'malformed' | 'mismatch' | 'reused'> | 'spent';
export type Rejected = { readonly kind: 'rejected'; readonly reason: HolderRejection };

export type LogoutOutcome = { readonly kind: 'ended' } | Rejected;
/** `sessions`: the last refreshed first; `current` is one of them. */
export type SessionsOutcome =
  | { readonly kind: 'listed'; readonly sessions: readonly TokenFamily[]; readonly current: FamilyId }
  | Rejected;

const rejected = (reason: HolderRejection): Rejected => ({ kind: 'rejected', reason });

/** @throws Refusal invalid_request for anything that this server did not make */
async function readHolder(
  app: App,
  refreshToken: string,
): Promise<{ readonly claims: RefreshTokenClaims; readonly isExpired: boolean }> {
  const ring = await keyRingsFor(app, refreshToken);
  const reading = readRefreshToken(refreshToken, ring, app.config.issuer, app.clock.now());
  if (reading.kind === 'malformed') {
    throw new Refusal(
      'invalid_request',
      'refresh_token is not a refresh token of this server; send the newest one as it was received.',
    );
  }
  return { claims: reading.claims, isExpired: reading.kind === 'expired' };
}

/** Only a current, unexpired token of a live family speaks for the subject. */
function judgeHolder(
  family: TokenFamily | undefined,
  claims: RefreshTokenClaims,
  idleTimeout: DurationMs | null,
  now: EpochMs,
): HolderRejection | undefined {
  if (family === undefined) return 'unknown';
  if (family.revoked !== null) return 'revoked';
  if (hasEnded(family, idleTimeout, now)) return 'expired';
  if (claims.generation > family.generation) return 'unknown';
  return claims.generation < family.generation || claims.jti !== family.current.jti ? 'spent' : undefined;
}

/** @throws Refusal invalid_request, not_found, temporarily_unavailable */
export async function logout(app: App, refreshToken: string, scope: LogoutScope): Promise<LogoutOutcome> {
  const { claims, isExpired } = await readHolder(app, refreshToken);
  if (scope.kind === 'own') {
    // RFC 7009 §2.2: a token that means nothing any more is as good as revoked.
    await app.store.write((tx) => revokeFamilies(tx, { family: claims.sid }, { cause: 'logout' }));
    return { kind: 'ended' };
  }
  if (isExpired) return rejected('expired');
  const { idleTimeout } = policyOf(app, await findClientById(app, claims.clientId));
  const outcome = await app.store.write(async (tx): Promise<LogoutOutcome | undefined> => {
    // Not locked: families are locked in the order of their ids, or two that end each other's would wait in a circle.
    const rejection = judgeHolder(await findFamily(tx, claims.sid), claims, idleTimeout, tx.now);
    if (rejection !== undefined) return rejected(rejection);
    return (await endSessions(tx, claims, scope)) ? { kind: 'ended' } : undefined;
  });
  // Not thrown inside: on SQLite it would undo, and run again, all changes that share the commit.
  if (outcome === undefined) throw new Refusal('not_found', 'There is no such session; list the sessions again.');
  return outcome;
}

/** @returns false when the one session is not there, not the subject's, or has ended before */
async function endSessions(
  tx: Tx,
  { sub, sid }: RefreshTokenClaims,
  scope: Exclude<LogoutScope, { kind: 'own' }>,
): Promise<boolean> {
  if (scope.kind === 'session') {
    const other = await findFamily(tx, scope.sid);
    return other?.subject === sub && (await revokeFamilies(tx, { family: scope.sid }, { cause: 'logout' })).length > 0;
  }
  const which: FamilySelector = scope.kind === 'others' ? { subject: sub, except: sid } : { subject: sub };
  while ((await revokeFamilies(tx, which, { cause: 'logout' })).length > 0);
  return true;
}

/** The subject's own live families. @throws Refusal invalid_request, temporarily_unavailable */
export async function listSessions(app: App, refreshToken: string): Promise<SessionsOutcome> {
  const { claims, isExpired } = await readHolder(app, refreshToken);
  if (isExpired) return rejected('expired');
  const { byId } = await app.clients.current();
  const idleTimeout = (client: ClientId): DurationMs | null => policyOf(app, byId.get(client)).idleTimeout;
  return app.store.read(async (db): Promise<SessionsOutcome> => {
    const now = app.clock.now();
    const rejection = judgeHolder(await findFamily(db, claims.sid), claims, idleTimeout(claims.clientId), now);
    if (rejection !== undefined) return rejected(rejection);
    const families = await listLiveFamilies(db, claims.sub, now);
    const sessions = families.filter((family) => familyState(family, idleTimeout(family.clientId), now) === 'live');
    return { kind: 'listed', sessions, current: claims.sid };
  });
}
