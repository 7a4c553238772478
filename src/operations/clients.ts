/**
 * Registered callers as an administrator changes them. A secret is given out once and kept as a hash; a client that is
 * removed leaves no family that could be refreshed.
 */
import type { App } from '../app.ts';
import { makeClientSecret, sha256 } from '../crypto/client-secret.ts';
import { type Client, type ClientPolicy, type ClientType, NO_POLICY } from '../domain/client.ts';
import { type ClientId, DEFAULT_CLIENT, parseClientId } from '../domain/ids.ts';
import type { Secret } from '../domain/secret.ts';
import { DAY, formatDuration, MINUTE, SECOND } from '../domain/time.ts';
import { Refusal } from '../refusal.ts';
import {
  deleteClient,
  findClient,
  insertClient,
  listClients,
  lockClient,
  setClientSecret,
  updateClient,
} from '../store/clients.ts';
import { recordEvent } from '../store/events.ts';
import type { Tx } from '../store/store.ts';
import { countRevocable, type Revocation } from '../store/token-families.ts';
import { revokeAll, revokeInBatches } from './revoke-batches.ts';

const limits = {
  leeway: 5 * MINUTE,
  /** Longer is a slip of the keyboard. */
  lifetime: 3_650 * DAY,
  shortest: SECOND,
  /** A user with more sessions than this at one client is a machine. */
  maxSessions: 1_000,
  audiences: 32,
  /** Characters of all of them, which travel in every access token: with them, and the claims, it stays below 8 KiB. */
  audienceLength: 1_024,
} as const;

const AUDIENCE = /^[\x21-\x7e]{1,255}$/;

/** A member of `policy` that is left out, or null, is the server's own setting. */
export interface NewClient {
  readonly id: string;
  readonly type: ClientType;
  /** Of an `app`: it has no secret. */
  readonly isPublic: boolean;
  /** Empty: `tokens.audience`. */
  readonly audiences: readonly string[];
  readonly policy: Partial<ClientPolicy>;
}

/** What to change; the rest stays. `null` in a policy is the server's own setting. */
export interface ClientChange {
  readonly id: string;
  readonly audiences?: readonly string[] | undefined;
  readonly policy: Partial<ClientPolicy>;
}

const invalid = (description: string): Refusal => new Refusal('invalid_request', description);
const unknown = (): Refusal =>
  new Refusal('not_found', 'There is no such client.', { remedy: 'auth-server clients list' });

/** @throws Refusal invalid_request */
function readId(text: string): ClientId {
  const id = parseClientId(text);
  // RFC 7617 §2: a colon in an id would end it.
  if (id === undefined) throw invalid('A client id is 1 to 64 characters of A-Z, a-z, 0-9, ".", "_" and "-".');
  return id;
}

/** @throws Refusal invalid_request */
function checkClient(app: App, client: Pick<Client, 'type' | 'audiences' | 'policy'>): void {
  const { type, audiences, policy } = client;
  const hasPolicy = policy.refreshAlone || Object.values(policy).some((value) => typeof value === 'number');
  if (type !== 'app' && hasPolicy) throw invalid('Only a client of type app has a policy of its own.');
  if (type === 'admin' && audiences.length > 0) throw invalid('A client of type admin has no audience.');
  if (audiences.length > limits.audiences) throw invalid(`A client has at most ${limits.audiences} audiences.`);
  if (!audiences.every((audience) => AUDIENCE.test(audience))) {
    throw invalid('An audience is 1 to 255 visible ASCII characters.');
  }
  if (type === 'app' && audiences.join('').length > limits.audienceLength) {
    throw invalid(`The audiences of an app have at most ${limits.audienceLength} characters together.`);
  }
  checkPolicy(app, policy);
}

function checkPolicy(app: App, { leeway, refreshTokenTtl, idleTimeout, maxSessions }: ClientPolicy): void {
  const { accessTokenTtl } = app.config.tokens;
  if (leeway !== null && leeway > limits.leeway) throw invalid('A leeway is at most 5m.');
  // Its sibling would outlive it, and the session would end under a token that is still good.
  if (refreshTokenTtl !== null && (refreshTokenTtl < accessTokenTtl || refreshTokenTtl > limits.lifetime)) {
    throw invalid(
      `A refresh-token lifetime is from ${formatDuration(accessTokenTtl)} (tokens.accessTokenTtl) to 3650d.`,
    );
  }
  if (idleTimeout !== null && (idleTimeout < limits.shortest || idleTimeout > limits.lifetime)) {
    throw invalid('An idle timeout is from 1s to 3650d.');
  }
  if (
    maxSessions !== null &&
    !(Number.isInteger(maxSessions) && maxSessions >= 1 && maxSessions <= limits.maxSessions)
  ) {
    throw invalid(`The number of sessions is from 1 to ${limits.maxSessions}.`);
  }
}

/** @returns the secret, which nobody can read again; null for a public client. @throws Refusal invalid_request, conflict */
export async function addClient(
  app: App,
  request: NewClient,
): Promise<{ readonly client: Client; readonly secret: Secret | null }> {
  const id = readId(request.id);
  if (request.isPublic && request.type !== 'app') throw invalid('Only a client of type app can be public.');
  const secret = request.isPublic ? null : makeClientSecret();
  const audiences = [...new Set(request.audiences)];
  const fields = { type: request.type, audiences, policy: { ...NO_POLICY, ...request.policy } };
  checkClient(app, fields);
  const client = await app.store.write(async (tx) => {
    const secretHash = secret === null ? null : sha256(secret.reveal());
    const added: Client = { id, ...fields, secretHash, createdAt: tx.now, secretRotatedAt: null };
    if (!(await insertClient(tx, added))) {
      throw new Refusal('conflict', 'There is a client of this id.', {
        remedy: 'choose another, or change that one: auth-server clients set',
      });
    }
    await recordEvent(tx, { type: 'client.created', data: { client_id: id, client_type: request.type } });
    return added;
  });
  await lookAgain(app);
  return { client, secret };
}

/** After the commit. Who cannot look now sees the change within a second all the same, and a new secret must not be lost for it. */
const lookAgain = (app: App): Promise<unknown> => app.clients.reload().catch(() => undefined);

/** @throws Refusal not_found */
async function lockedClient(tx: Tx, id: ClientId): Promise<Client> {
  await lockClient(tx, id);
  const client = await findClient(tx, id);
  if (client === undefined) throw unknown();
  return client;
}

/** Seen by every server within two seconds. Type and publicness never change. @throws Refusal invalid_request, not_found */
export async function changeClient(app: App, request: ClientChange): Promise<Client> {
  const id = readId(request.id);
  const changed = await app.store.write(async (tx) => {
    const client = await lockedClient(tx, id);
    const audiences = request.audiences === undefined ? client.audiences : [...new Set(request.audiences)];
    const after: Client = { ...client, audiences, policy: { ...client.policy, ...request.policy } };
    checkClient(app, after);
    await updateClient(tx, after);
    return after;
  });
  await lookAgain(app);
  return changed;
}

/** All of them, by id: there are few. */
export const listAllClients = (app: App): Promise<readonly Client[]> => app.store.read(listClients);

/** After two seconds no server takes the old secret. @throws Refusal invalid_request, not_found, conflict if it is public */
export async function rotateClientSecret(
  app: App,
  text: string,
): Promise<{ readonly client: Client; readonly secret: Secret }> {
  const id = readId(text);
  const secret = makeClientSecret();
  const client = await app.store.write(async (tx) => {
    const before = await lockedClient(tx, id);
    if (before.secretHash === null) throw new Refusal('conflict', 'This client is public: it has no secret.');
    const secretHash = sha256(secret.reveal());
    await setClientSecret(tx, id, secretHash);
    await recordEvent(tx, { type: 'client.secret_rotated', data: { client_id: id } });
    return { ...before, secretHash, secretRotatedAt: tx.now };
  });
  await lookAgain(app);
  return { client, secret };
}

/** @returns how many sessions `removeClient` would end. @throws Refusal invalid_request, not_found, conflict */
export async function previewClientRemoval(
  app: App,
  text: string,
): Promise<{ readonly id: ClientId; readonly sessions: number }> {
  const id = removableId(text);
  return app.store.read(async (db) => {
    if ((await findClient(db, id)) === undefined) throw unknown();
    return { id, sessions: await countRevocable(db, { client: id }, app.clock.now()) };
  });
}

function removableId(text: string): ClientId {
  const id = readId(text);
  if (id !== DEFAULT_CLIENT) return id;
  throw new Refusal('conflict', 'The client default cannot be removed: logins that name no client belong to it.', {
    remedy: 'auth-server clients set default changes its policy; auth-server revoke --client default ends its sessions',
  });
}

/**
 * Ends the client's families, then removes it. Many families end in batches beforehand, so that the last transaction is
 * short: it locks the client, ends what has begun meanwhile, and deletes. Broken off, it can simply be run again.
 * @throws Refusal invalid_request, not_found, conflict
 */
export async function removeClient(
  app: App,
  request: { readonly id: string; readonly onProgress?: ((revoked: number) => void) | undefined },
): Promise<{ readonly revoked: number }> {
  const { id } = await previewClientRemoval(app, request.id);
  const which = { client: id } as const;
  const revocation: Revocation = { cause: 'client_removed' };
  const before = await revokeInBatches(app, which, revocation, { onProgress: request.onProgress });
  const revoked = await app.store.write(async (tx) => {
    await lockedClient(tx, id);
    await deleteClient(tx, id);
    const count = before + (await revokeAll(tx, which, revocation));
    if (count > 0) {
      const data = { selector: 'client', value: id, issued_before: null, count, cause: 'client_removed' } as const;
      await recordEvent(tx, { type: 'families.revoked', data });
    }
    return count;
  });
  await lookAgain(app);
  return { revoked };
}
