/** A client's policy in force: its own settings where it has any, else the server's. */
import type { App } from '../app.ts';
import type { Client } from '../domain/client.ts';
import type { ClientId } from '../domain/ids.ts';
import type { RotationPolicy } from '../domain/rotation.ts';
import type { DurationMs } from '../domain/time.ts';
import type { IdleLimits } from '../store/family-pages.ts';

/** `maxSessions` is of one subject at this client; null sets no limit. */
export interface AppPolicy extends RotationPolicy {
  readonly refreshTokenTtl: DurationMs;
  readonly maxSessions: number | null;
}

/** @param client undefined for one that was removed: its families are revoked, the server's own settings will do */
export function policyOf(app: Pick<App, 'config'>, client: Client | undefined): AppPolicy {
  const { tokens } = app.config;
  return {
    leeway: client?.policy.leeway ?? tokens.refresh.leeway,
    replayWindow: tokens.refresh.replayWindow,
    idleTimeout: client?.policy.idleTimeout ?? tokens.idleTimeout,
    requireAccessToken: tokens.refresh.requireAccessToken && !(client?.policy.refreshAlone ?? false),
    refreshTokenTtl: client?.policy.refreshTokenTtl ?? tokens.refreshTokenTtl,
    maxSessions: client?.policy.maxSessions ?? null,
  };
}

/** The idle limit in force for the families of each client. */
export async function idleTimeouts(app: App): Promise<(client: ClientId) => DurationMs | null> {
  const { byId } = await app.clients.current();
  return (client) => policyOf(app, byId.get(client)).idleTimeout;
}

/** The same as a table, for a question to the database: the server's limit, and those of clients that have their own. */
export async function idleLimits(app: App): Promise<IdleLimits> {
  const { byId } = await app.clients.current();
  const own = [...byId.values()].flatMap(({ id, policy }): [ClientId, DurationMs][] =>
    policy.idleTimeout === null ? [] : [[id, policy.idleTimeout]],
  );
  return { server: app.config.tokens.idleTimeout, byClient: new Map(own) };
}
