/**
 * An `App` without a server, on a real database with a clock that the test moves: for operations that no HTTP request
 * reaches. It closes when its test has finished.
 */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { type App, closeApp, openApp, type Random } from '../../src/app.ts';
import { loadConfig } from '../../src/config/load.ts';
import {
  type ClientId,
  DEFAULT_CLIENT,
  type FamilyId,
  type Generation,
  type Subject,
  type TokenId,
} from '../../src/domain/ids.ts';
import { Secret } from '../../src/domain/secret.ts';
import { after, DAY, type EpochMs } from '../../src/domain/time.ts';
import type { TokenFamily } from '../../src/domain/token-family.ts';
import { makeLog } from '../../src/log.ts';
import { moveKeysOn } from '../../src/operations/keys.ts';
import { login } from '../../src/operations/login.ts';
import { type RefreshOutcome, refresh } from '../../src/operations/refresh.ts';
import { listEvents } from '../../src/store/events.ts';
import { migrateUp } from '../../src/store/migrate.ts';
import { insertRefreshToken } from '../../src/store/refresh-tokens.ts';
import { findFamily, insertFamily } from '../../src/store/token-families.ts';
import { type FakeClock, fakeClock } from './fake-clock.ts';
import { scratchFolder } from './scratch.ts';

export interface TestApp {
  readonly app: App;
  readonly clock: FakeClock;
}

/** @param settings configuration by path: `{'tokens.idleTimeout': '1h'}` */
export async function openTestApp(
  url: string,
  settings: Readonly<Record<string, unknown>> = {},
  clock: FakeClock = fakeClock(),
  random?: Random,
): Promise<TestApp> {
  const folder = scratchFolder('app');
  const masterKey = { file: path.join(folder, 'auth-server.key') };
  const defaults = { 'database.url': url, 'keys.rotateEvery': '3650d', masterKey };
  const { config } = loadConfig({ flags: { ...defaults, ...settings }, env: {}, cwd: folder });
  const log = makeLog({ level: 'warn', format: 'json', now: clock.now, write: (line) => process.stderr.write(line) });
  if (url.startsWith('postgres')) {
    const behind = await openApp({ config, log, schema: 'any', clock });
    await migrateUp(behind.store);
    await closeApp(behind);
  }
  const app = await openApp({
    config,
    log,
    schema: 'create',
    clock,
    databaseClock: false,
    ...(random === undefined ? {} : { random }),
  });
  onTestFinished(async () => {
    await closeApp(app);
    rmSync(folder, { recursive: true, force: true });
  });
  await moveKeysOn(app);
  return { app, clock };
}

export const ORIGIN = { ip: '192.0.2.10', userAgent: 'test' } as const;

/** Logs in; must succeed. @returns the refresh token and the family's id */
export async function logIn(
  app: App,
  username: string,
  password: string,
  clientId: string | null = null,
): Promise<{ readonly refreshToken: string; readonly accessToken: string; readonly sid: FamilyId }> {
  const outcome = await login(app, {
    username,
    password: new Secret(password),
    clientId,
    device: null,
    credentials: undefined,
    origin: ORIGIN,
  });
  if (outcome.kind !== 'issued') throw new Error(`the login was ${outcome.kind}`);
  return {
    refreshToken: outcome.pair.refreshToken,
    accessToken: outcome.pair.accessToken,
    sid: outcome.pair.sessionId,
  };
}

/** A refresh with both tokens, as the native endpoint does it. */
export const refreshWith = (
  app: App,
  tokens: { readonly refreshToken: string; readonly accessToken: string },
  ip: string = ORIGIN.ip,
): Promise<RefreshOutcome> =>
  refresh(app, { ...tokens, requestKey: null, credentials: undefined, origin: { ...ORIGIN, ip } });

export interface NewFamily {
  readonly subject?: string;
  readonly client?: ClientId;
  readonly ip?: string;
  readonly userAgent?: string;
  readonly id?: string;
  readonly createdAt?: EpochMs;
}

/** Families as logins would have made them, without logins: many of them cost little. @returns their ids */
export async function storeFamilies(app: App, families: readonly NewFamily[]): Promise<readonly FamilyId[]> {
  const ring = await app.keys.current();
  return app.store.write(async (tx) => {
    const ids: FamilyId[] = [];
    for (const wanted of families) {
      const at = wanted.createdAt ?? tx.now;
      const family: TokenFamily = {
        id: (wanted.id ?? tx.newId()) as FamilyId,
        subject: (wanted.subject ?? 'sub-1') as Subject,
        clientId: wanted.client ?? DEFAULT_CLIENT,
        generation: 0 as Generation,
        current: {
          jti: tx.newId() as TokenId,
          kid: ring.refresh.active.kid,
          issuedAt: at,
          expiresAt: after(at, 90 * DAY),
          requestKeyHash: null,
        },
        createdAt: at,
        lastRefreshedAt: at,
        endsAt: after(at, 365 * DAY),
        revoked: null,
        device: null,
        origin: { ip: wanted.ip ?? ORIGIN.ip, userAgent: wanted.userAgent ?? ORIGIN.userAgent },
      };
      await insertFamily(tx, family);
      await insertRefreshToken(tx, family);
      ids.push(family.id);
    }
    return ids;
  });
}

export async function familyOf(app: App, id: FamilyId): Promise<TokenFamily> {
  const family = await app.store.read((db) => findFamily(db, id));
  if (family === undefined) throw new Error('there is no such family');
  return family;
}

/** Events of the first keys, one of each ring. */
const FIRST_EVENTS = 2;

/** Type and data of every event since the app was opened, oldest first, but for the first `skip`. */
export async function eventsOf(app: App, skip = 0): Promise<{ readonly type: string; readonly data: unknown }[]> {
  const events = await app.store.read((db) => listEvents(db, { limit: 10_000 }));
  return events.slice(FIRST_EVENTS + skip).map(({ type, data }) => ({ type, data }));
}
