/** What the standard endpoints ask beyond the native ones: which app is calling, and ending what belongs to it. */
import type { App } from '../app.ts';
import { readAccessToken } from '../crypto/access-token.ts';
import { readRefreshToken } from '../crypto/refresh-token.ts';
import { type Client, isConfidential } from '../domain/client.ts';
import type { ClientId, FamilyId } from '../domain/ids.ts';
import { Refusal } from '../refusal.ts';
import { revokeFamilies } from '../store/token-families.ts';
import { authenticateClient, type ClientCredentials, findClientById, invalidClient } from './authenticate-client.ts';
import { keyRingsFor } from './key-ring.ts';

/** `secret: null`: the client named itself and no more, as a public one does (RFC 6749 §2.3.1, §3.2.1). */
export type AppCredentials = ClientCredentials | { readonly id: string; readonly secret: null };

/** @throws Refusal invalid_client */
export async function authenticateApp(app: App, credentials: AppCredentials | undefined): Promise<Client> {
  if (credentials === undefined) throw invalidClient();
  if (credentials.secret !== null) return authenticateClient(app, credentials, 'app');
  const client = await findClientById(app, credentials.id as ClientId);
  if (client === undefined || client.type !== 'app' || isConfidential(client)) throw invalidClient();
  return client;
}

/** The family of a genuine token of either kind, expired or not; what its hint says is not needed (RFC 7009 §2.1). */
async function ownerOf(
  app: App,
  token: string,
): Promise<{ readonly sid: FamilyId; readonly clientId: ClientId } | undefined> {
  const ring = await keyRingsFor(app, token);
  const { issuer } = app.config;
  const now = app.clock.now();
  const refresh = readRefreshToken(token, ring, issuer, now);
  if (refresh.kind !== 'malformed') return refresh.claims;
  const access = readAccessToken(token, ring, issuer, now);
  if (access.kind === 'malformed') return undefined;
  // Who has a stolen key could end any session with it.
  if (ring.access.byId.get(access.claims.kid)?.state === 'compromised') return undefined;
  const { sid, client_id } = access.claims.claims;
  return { sid, clientId: client_id };
}

/**
 * RFC 7009 §2.1: ends the token's family, when it is the client's own. A token that means nothing is as good as revoked.
 * @throws Refusal unauthorized_client, temporarily_unavailable
 */
export async function revokeToken(app: App, client: Client, token: string): Promise<void> {
  const owner = await ownerOf(app, token);
  if (owner === undefined) return;
  if (owner.clientId !== client.id) {
    throw new Refusal('unauthorized_client', 'The token belongs to another client; it was not revoked.');
  }
  await app.store.write((tx) => revokeFamilies(tx, { family: owner.sid }, { cause: 'logout' }));
}
