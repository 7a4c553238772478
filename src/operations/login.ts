/**
 * Beginning a token family: the client, then the throttle, then the directory, then one transaction. One answer and one
 * duration for an unknown user, a wrong password and a disabled user.
 */
import { z } from 'zod';
import type { App } from '../app.ts';
import { hashUsername } from '../crypto/master-key.ts';
import { throttleBucket } from '../domain/address.ts';
import type { Client } from '../domain/client.ts';
import {
  type ClientId,
  type FamilyId,
  type Generation,
  type KeyId,
  type Sha256,
  type Subject,
  type TokenId,
  uuidv7,
} from '../domain/ids.ts';
import { countFailure, decideThrottle, type FailureCount, type ThrottlePolicy } from '../domain/login-throttle.ts';
import { isPrintable } from '../domain/printable.ts';
import { Secret } from '../domain/secret.ts';
import { after, type DurationMs, type EpochMs, epochMs } from '../domain/time.ts';
import { familyState, type Origin, type TokenFamily } from '../domain/token-family.ts';
import { type Authentication, canonicalUsername, letThrough } from '../domain/user-directory.ts';
import { holdClient, lockClient } from '../store/clients.ts';
import { recordEvent } from '../store/events.ts';
import { clearFailures, findFailures, lockFailures, storeFailures } from '../store/login-attempts.ts';
import { insertRefreshToken } from '../store/refresh-tokens.ts';
import { isCompromised } from '../store/signing-keys.ts';
import type { Tx } from '../store/store.ts';
import { insertFamily, listLiveFamilies, revokeFamilies } from '../store/token-families.ts';
import { lockUser } from '../store/users.ts';
import { type ClientCredentials, invalidClient, loginClient } from './authenticate-client.ts';
import { issuePair, type TokenPair } from './issue.ts';
import { type AppPolicy, policyOf } from './policy.ts';

/** Characters of a username and a device label; bytes of a password (contract §3). */
const limits = { username: 256, password: 1_024, device: 128 } as const;

/** `POST /login` (contract §3). The password comes out as a `Secret`, not normalized in any way. */
export const LoginBody = z.object({
  username: z
    .string()
    .max(limits.username, 'is longer than 256 characters')
    .refine((name) => canonicalUsername(name) !== '', 'is empty')
    .refine(isPrintable, 'holds control characters'),
  password: z
    .string()
    .min(1, 'is empty')
    .refine((password) => Buffer.byteLength(password) <= limits.password, 'is longer than 1,024 bytes')
    .transform((password) => new Secret(password)),
  client_id: z.string().optional(),
  device: z
    .string()
    .max(limits.device, 'is longer than 128 characters')
    .refine(isPrintable, 'holds control characters')
    .optional(),
});

export interface LoginRequest {
  readonly username: string;
  readonly password: Secret;
  readonly clientId: string | null;
  readonly device: string | null;
  readonly credentials: ClientCredentials | undefined;
  readonly origin: Origin;
}

export type LoginOutcome =
  | { readonly kind: 'issued'; readonly pair: TokenPair }
  | { readonly kind: 'rejected' }
  | { readonly kind: 'throttled'; readonly retryAfter: DurationMs };

/** One login on its way, as its transactions need it. */
interface Attempt {
  readonly request: LoginRequest;
  readonly client: Client;
  readonly usernameHash: Sha256;
  readonly userBucket: string;
  readonly addressBucket: string;
}

type Throttled = Extract<LoginOutcome, { kind: 'throttled' }>;

/** @throws Refusal invalid_client, overloaded, user_directory_unavailable, temporarily_unavailable */
export async function login(app: App, request: LoginRequest): Promise<LoginOutcome> {
  const outcome = await tryLogin(app, request);
  app.metrics.loggedIn(outcome.kind);
  return outcome;
}

async function tryLogin(app: App, request: LoginRequest): Promise<LoginOutcome> {
  const client = await loginClient(app, request.clientId, request.credentials);
  const usernameHash = hashUsername(await app.master(), canonicalUsername(request.username));
  const attempt: Attempt = {
    request,
    client,
    usernameHash,
    userBucket: `u:${usernameHash}`,
    addressBucket: `a:${throttleBucket(request.origin.ip)}`,
  };
  const throttled = await admit(app, attempt);
  if (throttled !== undefined) return throttled;

  const authentication = await app.users.authenticate({
    username: request.username,
    password: request.password,
    clientId: client.id,
    ip: request.origin.ip,
    userAgent: request.origin.userAgent,
  });
  if (authentication.kind === 'rejected') return app.store.write((tx) => fail(app, tx, attempt));
  return begin(app, attempt, authentication);
}

const userPolicy = (app: App): ThrottlePolicy => ({
  maxFailures: app.config.login.maxFailuresPerUser,
  window: app.config.login.window,
});
const addressPolicy = (app: App): ThrottlePolicy => ({
  maxFailures: app.config.login.maxFailuresPerAddress,
  window: app.config.login.window,
});

type Failures = Awaited<ReturnType<typeof findFailures>>;

function throttledBy(
  app: App,
  failures: Failures,
  now: EpochMs,
): (Throttled & { readonly by: 'username' | 'address' }) | undefined {
  const byAddress = decideThrottle(failures.address, addressPolicy(app), now);
  if (byAddress.kind === 'throttled') return { ...byAddress, by: 'address' };
  const byUser = decideThrottle(failures.user, userPolicy(app), now);
  return byUser.kind === 'throttled' ? { ...byUser, by: 'username' } : undefined;
}

/** Before any hash, and blind: an unknown name is counted like a known one. */
async function admit(app: App, attempt: Attempt): Promise<Throttled | undefined> {
  const failures = await app.store.read((db) => findFailures(db, attempt.userBucket, attempt.addressBucket));
  const throttled = throttledBy(app, failures, app.clock.now());
  if (throttled === undefined) return undefined;
  await app.store.write((tx) => noteThrottled(app, tx, attempt));
  return { kind: 'throttled', retryAfter: throttled.retryAfter };
}

/** The count that a `login.throttled` is due for: one for each window, so that who is throttled cannot fill the log. */
function dueNote(app: App, attempt: Attempt, failures: Failures, now: EpochMs) {
  const by = throttledBy(app, failures, now)?.by;
  if (by === undefined) return undefined;
  const [bucket, count, policy] =
    by === 'address'
      ? ([attempt.addressBucket, failures.address, addressPolicy(app)] as const)
      : ([attempt.userBucket, failures.user, userPolicy(app)] as const);
  // One more than the limit: the mark that the event was written.
  return count === undefined || count.failures > policy.maxFailures ? undefined : { by, bucket, count, policy };
}

/** Looks before it locks: a flood of throttled requests must not write a thing. */
async function noteThrottled(app: App, tx: Tx, attempt: Attempt): Promise<void> {
  const look = async () =>
    dueNote(app, attempt, await findFailures(tx, attempt.userBucket, attempt.addressBucket), tx.now);
  if ((await look()) === undefined) return;
  await lockFailures(tx, attempt.userBucket, attempt.addressBucket);
  const due = await look();
  if (due === undefined) return;
  await storeFailures(tx, due.bucket, countFailure(due.count, due.policy, tx.now));
  await recordEvent(tx, {
    type: 'login.throttled',
    data: {
      username_hash: attempt.usernameHash,
      by: due.by,
      ip: attempt.request.origin.ip,
      user_agent: attempt.request.origin.userAgent,
    },
  });
}

/** Counts a failure, judged again: beyond the limit none of those side by side learns whether its password was right. */
async function fail(app: App, tx: Tx, attempt: Attempt): Promise<LoginOutcome> {
  await lockFailures(tx, attempt.userBucket, attempt.addressBucket);
  const failures = await findFailures(tx, attempt.userBucket, attempt.addressBucket);
  const throttled = throttledBy(app, failures, tx.now);
  if (throttled !== undefined) return { kind: 'throttled', retryAfter: throttled.retryAfter };
  await count(tx, attempt.userBucket, failures.user, userPolicy(app));
  await count(tx, attempt.addressBucket, failures.address, addressPolicy(app));
  await recordEvent(tx, {
    type: 'login.failed',
    data: {
      username_hash: attempt.usernameHash,
      client_id: attempt.client.id,
      ip: attempt.request.origin.ip,
      user_agent: attempt.request.origin.userAgent,
    },
  });
  return { kind: 'rejected' };
}

const count = (tx: Tx, bucket: string, failures: FailureCount | undefined, policy: ThrottlePolicy): Promise<void> =>
  storeFailures(tx, bucket, countFailure(failures, policy, tx.now));

type Authenticated = Extract<Authentication, { kind: 'authenticated' }>;

type Begun = { readonly family: TokenFamily; readonly now: EpochMs } | { readonly kind: 'keys_changed' } | LoginOutcome;

async function begin(app: App, attempt: Attempt, authenticated: Authenticated): Promise<LoginOutcome> {
  const { client } = attempt;
  const policy = policyOf(app, client);
  const ring = await app.keys.current();
  const result = await app.store.write(async (tx): Promise<Begun> => {
    const failures = await findFailures(tx, attempt.userBucket, attempt.addressBucket);
    const throttled = throttledBy(app, failures, tx.now);
    if (throttled !== undefined) return { kind: 'throttled', retryAfter: throttled.retryAfter };
    // Removed since this server read the clients: a family begun now would outlive its client's removal.
    // Where sessions are limited, alone: two logins at once must not both find room.
    const hold = policy.maxSessions === null ? holdClient : lockClient;
    if (!(await hold(tx, client.id))) throw invalidClient();
    // Disabled, or its password changed, since the directory looked.
    if (!(await stillHolds(tx, authenticated))) return { kind: 'rejected' };
    // Declared compromised since this server read the keys: the session would be dead, and nobody would end it.
    if (await isCompromised(tx, ring.refresh.active.kid)) return { kind: 'keys_changed' };
    await limitSessions(tx, policy, client.id, authenticated.subject);
    const family = newFamily(app, tx, attempt, { subject: authenticated.subject, kid: ring.refresh.active.kid });
    await insertFamily(tx, family);
    await insertRefreshToken(tx, family);
    if (failures.user !== undefined) await clearFailures(tx, attempt.userBucket);
    await recordEvent(tx, {
      type: 'login.succeeded',
      data: {
        sid: family.id,
        subject: family.subject,
        client_id: family.clientId,
        device: family.device,
        ip: family.origin.ip,
        user_agent: family.origin.userAgent,
      },
    });
    return { family, now: tx.now };
  });
  if ('kind' in result) {
    if (result.kind !== 'keys_changed') return result;
    await app.keys.reload();
    return begin(app, attempt, authenticated);
  }
  const claims = letThrough(authenticated.claims, app.config.tokens.claims);
  return { kind: 'issued', pair: await issuePair(app, ring, result.family, { client, claims, now: result.now }) };
}

async function stillHolds(tx: Tx, { subject, evidence }: Authenticated): Promise<boolean> {
  if (evidence === null) return true;
  const user = await lockUser(tx, subject);
  return user !== undefined && user.disabledAt === null && user.passwordHash === evidence;
}

function newFamily(
  app: App,
  tx: Tx,
  { request, client }: Attempt,
  { subject, kid }: { readonly subject: Subject; readonly kid: KeyId },
): TokenFamily {
  const policy = policyOf(app, client);
  const endsAt = after(tx.now, app.config.tokens.familyMaxLifetime);
  return {
    id: uuidv7(tx.now, app.random.bytes(10)) as FamilyId,
    subject,
    clientId: client.id,
    generation: 0 as Generation,
    current: {
      jti: uuidv7(tx.now, app.random.bytes(10)) as TokenId,
      kid,
      issuedAt: tx.now,
      expiresAt: epochMs(Math.min(after(tx.now, policy.refreshTokenTtl), endsAt)),
      requestKeyHash: null,
    },
    createdAt: tx.now,
    lastRefreshedAt: tx.now,
    endsAt,
    revoked: null,
    device: request.device,
    origin: request.origin,
  };
}

/** Makes room under the client's `--max-sessions`: the least recently refreshed goes. */
async function limitSessions(
  tx: Tx,
  { maxSessions, idleTimeout }: AppPolicy,
  client: ClientId,
  subject: Subject,
): Promise<void> {
  if (maxSessions === null) return;
  const sessions = (await listLiveFamilies(tx, subject, tx.now, client)).filter(
    (family) => familyState(family, idleTimeout, tx.now) === 'live',
  );
  for (const family of sessions.slice(maxSessions - 1).reverse()) {
    await revokeFamilies(tx, { family: family.id }, { cause: 'session_limit' });
  }
}
