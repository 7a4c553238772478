/** Who calls: a registered client by its id and secret. The result is an argument of what it protects, never a side note. */
import type { App } from '../app.ts';
import { equalHashes, sha256 } from '../crypto/client-secret.ts';
import { type Client, type ClientType, isConfidential } from '../domain/client.ts';
import { type ClientId, DEFAULT_CLIENT } from '../domain/ids.ts';
import { Refusal } from '../refusal.ts';

/** `id` is null for a bearer secret, which names its client by itself. */
export interface ClientCredentials {
  readonly id: string | null;
  readonly secret: string;
}

/** One answer for all causes: unknown, of another type, wrong secret. */
export const invalidClient = (): Refusal =>
  new Refusal('invalid_client', 'Client authentication failed; check the client id, its type and its secret.');

/** Younger than this, the table is not read again for an unknown client, ms. */
const UNKNOWN_CLIENT_AGE = 250;

/** Undefined means unknown 250 ms ago at most: for an id that it does not know, a server reads the table again. */
export async function findClientById(app: App, id: ClientId): Promise<Client | undefined> {
  const known = (await app.clients.current()).byId.get(id);
  return known ?? (await app.clients.current(UNKNOWN_CLIENT_AGE)).byId.get(id);
}

/** @throws Refusal invalid_client */
export async function authenticateClient(
  app: App,
  credentials: ClientCredentials | undefined,
  type: ClientType,
): Promise<Client> {
  if (credentials === undefined) throw invalidClient();
  const client = await matchingClient(app, credentials);
  if (client === undefined || client.type !== type) throw invalidClient();
  return client;
}

async function matchingClient(app: App, { id, secret }: ClientCredentials): Promise<Client | undefined> {
  const hash = sha256(secret);
  if (id === null) {
    const known = (await app.clients.current()).bySecretHash.get(hash);
    return known ?? (await app.clients.current(UNKNOWN_CLIENT_AGE)).bySecretHash.get(hash);
  }
  const client = await findClientById(app, id as ClientId);
  // An unknown client compares as long as a known one.
  const matches = equalHashes(hash, client?.secretHash ?? sha256(''));
  if (matches && client?.secretHash != null) return client;
  // A secret rotated a moment ago by another process.
  const fresh = client === undefined ? undefined : (await app.clients.current(UNKNOWN_CLIENT_AGE)).byId.get(client.id);
  return fresh?.secretHash != null && equalHashes(hash, fresh.secretHash) ? fresh : undefined;
}

/**
 * The app that a login is through: the built-in `default`, a public app by its id, a confidential one with its secret.
 * @throws Refusal invalid_client
 */
export async function loginClient(
  app: App,
  id: string | null,
  credentials: ClientCredentials | undefined,
): Promise<Client> {
  const client = await findClientById(app, (id ?? DEFAULT_CLIENT) as ClientId);
  if (client === undefined || client.type !== 'app') throw invalidClient();
  if (isConfidential(client)) await authenticateAs(app, client.id, credentials);
  return client;
}

/**
 * The client of a family at its refresh (RFC 6749 §6): a confidential one authenticates each time. Undefined: it was
 * removed, and its families with it.
 * @throws Refusal invalid_client
 */
export async function familyClient(
  app: App,
  id: ClientId,
  credentials: ClientCredentials | undefined,
): Promise<Client | undefined> {
  // The token is genuine, so its client was registered: unknown, it is gone, or so new that this server has not seen it yet.
  const client = (await app.clients.current()).byId.get(id) ?? (await app.clients.reload()).byId.get(id);
  if (client === undefined) {
    if (credentials?.id === id) throw invalidClient();
    return undefined;
  }
  if (isConfidential(client)) await authenticateAs(app, id, credentials);
  return client;
}

async function authenticateAs(app: App, id: ClientId, credentials: ClientCredentials | undefined): Promise<void> {
  if (credentials?.id !== id) throw invalidClient();
  await authenticateClient(app, credentials, 'app');
}
