/** Registered callers: what each type of client may do, and the policy that an `app` carries. */
import type { ClientId, Sha256 } from './ids.ts';
import type { DurationMs, EpochMs } from './time.ts';

/** `app`: its users log in. `resource-server`: asks about access tokens. `admin`: calls `/admin/v1` (contract §1). */
export const CLIENT_TYPES = ['app', 'resource-server', 'admin'] as const;
export type ClientType = (typeof CLIENT_TYPES)[number];

/** Of an `app`: `null` means the server's own setting. */
export interface ClientPolicy {
  readonly leeway: DurationMs | null;
  readonly refreshTokenTtl: DurationMs | null;
  readonly idleTimeout: DurationMs | null;
  readonly maxSessions: number | null;
  /** No access token is needed at a refresh. */
  readonly refreshAlone: boolean;
}

/** A row of `clients`. Only `audiences` and `policy` can change, and the secret's hash; the type never does. */
export interface Client {
  readonly id: ClientId;
  readonly type: ClientType;
  /** `null`: a public `app`, which has no secret. */
  readonly secretHash: Sha256 | null;
  /** Of an `app`: the audience of its access tokens. Of a `resource-server`: what it may ask about. Empty: `tokens.audience`. */
  readonly audiences: readonly string[];
  readonly policy: ClientPolicy;
  readonly createdAt: EpochMs;
  readonly secretRotatedAt: EpochMs | null;
}

/** The server's settings in everything: what a client has that was given none. */
export const NO_POLICY: ClientPolicy = {
  leeway: null,
  refreshTokenTtl: null,
  idleTimeout: null,
  maxSessions: null,
  refreshAlone: false,
};

/** Whether it has a secret to authenticate with (RFC 6749 §2.1); only a public `app` has none. */
export const isConfidential = (client: Client): boolean => client.secretHash !== null;

/** All of them, as a request looks them up. */
export interface ClientTable {
  readonly byId: ReadonlyMap<ClientId, Client>;
  readonly bySecretHash: ReadonlyMap<Sha256, Client>;
}

/** A public app has no secret to be found by: it is in `byId` alone. */
export const clientTable = (clients: readonly Client[]): ClientTable => ({
  byId: new Map(clients.map((client) => [client.id, client])),
  bySecretHash: new Map(clients.flatMap((client) => (client.secretHash === null ? [] : [[client.secretHash, client]]))),
});
