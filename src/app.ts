/** What an operation may use, and the only place where it is put together. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { Config } from './config/config.ts';
import { type AccessTokenMemory, makeAccessTokenMemory } from './crypto/access-token-memory.ts';
import type { KeyRings } from './crypto/key-ring.ts';
import type { MasterKey } from './crypto/master-key.ts';
import { makePasswordHasher, type PasswordHasher } from './crypto/password.ts';
import { type ClientTable, clientTable } from './domain/client.ts';
import { uuidv7 } from './domain/ids.ts';
import { type Clock, type DurationMs, durationMs, epochMs } from './domain/time.ts';
import type { UserDirectory } from './domain/user-directory.ts';
import { describeError, type Log } from './log.ts';
import { type Metrics, makeMetrics, noMetrics } from './metrics.ts';
import { loadKeyRing } from './operations/key-ring.ts';
import { openMasterKey } from './operations/master-key.ts';
import { Refusal } from './refusal.ts';
import { makeSnapshot, type Snapshot } from './snapshot.ts';
import { listClients } from './store/clients.ts';
import { type Feed, makeFeed } from './store/feed.ts';
import { type LivenessCheck, livenessCheck } from './store/liveness.ts';
import { migrateUp, schemaStatus } from './store/migrate.ts';
import { openPostgres, type PostgresStore } from './store/postgres.ts';
import { type RotateAtOnce, rotateAtOnce } from './store/rotations.ts';
import { findSetting } from './store/settings.ts';
import { openSqlite, type SqliteStore } from './store/sqlite.ts';
import type { Store, StoreOptions } from './store/store.ts';
import { localDirectory } from './users/local.ts';
import { remoteDirectory } from './users/remote.ts';
import { timedDirectory } from './users/timed.ts';

/** Where chance comes from: ids, and the schedule of deliveries. Keys and salts are drawn in `crypto`. */
export interface Random {
  bytes(count: number): Uint8Array;
  /** 0 up to, not including, 1. */
  jitter(): number;
}

/** What an operation may use, put together once in a process. */
export interface App {
  readonly config: Config;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly store: SqliteStore | PostgresStore;
  readonly users: UserDirectory;
  readonly passwords: PasswordHasher;
  readonly clients: Snapshot<ClientTable>;
  /** Opens the master key at the first use: commands that only read need none. @throws Refusal master_key_unusable */
  readonly keys: Snapshot<KeyRings>;
  /** @throws Refusal master_key_unusable */
  master(): Promise<MasterKey>;
  /** Looks where it is kept: after a rewrap another one is in force. @throws Refusal master_key_unusable while it is not there */
  masterAgain(): Promise<MasterKey>;
  /** Of this database: keys are sealed for it, and for no other. */
  readonly instance: string;
  readonly issued: AccessTokenMemory;
  readonly isLive: LivenessCheck;
  /** Of revocations, whoever makes them. */
  readonly feed: Feed;
  /** On Postgres, the rotations of a turn as one statement. */
  readonly rotateAtOnce: RotateAtOnce | undefined;
}

/** Left out: the clock and the chance of the system, the database's clock on Postgres, and no waiting. */
export interface OpenOptions {
  readonly config: Config;
  readonly log: Log;
  /** `create` makes a SQLite file and a master key where there are none, and migrates SQLite; `current` refuses a schema that is behind; `any` takes it. */
  readonly schema: 'create' | 'current' | 'any';
  readonly clock?: Clock;
  readonly random?: Random;
  /** Decide by the database's clock on Postgres; tests that move time turn it off. */
  readonly databaseClock?: boolean;
  readonly waitForDatabase?: DurationMs;
}

/** Changes of keys and clients are seen within this time, ms; the contract promises 2,000. */
const SNAPSHOT_AGE = 1_000;

/** The time of this machine. */
export const systemClock: Clock = {
  now: () => epochMs(Date.now()),
  monotonic: () => durationMs(performance.now()),
};

/** Bytes fetched from the system at once. */
const RANDOM_POOL = 4_096;

/** Asking the system costs 6 µs, for the ten bytes of an id as for thousands: with two ids, 8 % of a refresh. */
function pooledBytes(): Random['bytes'] {
  let pool = randomBytes(RANDOM_POOL);
  let used = 0;
  return (count) => {
    if (used + count > pool.length) {
      pool = randomBytes(Math.max(count, RANDOM_POOL));
      used = 0;
    }
    used += count;
    return pool.subarray(used - count, used);
  };
}

const systemRandom: Random = { bytes: pooledBytes(), jitter: () => Math.random() };

/** @throws Refusal database_unusable, schema_behind */
export async function openApp(options: OpenOptions): Promise<App> {
  const { config, log, clock = systemClock, random = systemRandom } = options;
  const databaseClock = options.databaseClock ?? true;
  const metrics = config.metrics.listen === null ? noMetrics : await makeMetrics();
  let feed: Feed | undefined;
  const store = await openStore(options, {
    now: clock.now,
    random: (count) => random.bytes(count),
    databaseClock,
    poolSize: config.database.poolSize,
    accessTokenTtl: config.tokens.accessTokenTtl,
    waitForDatabase: options.waitForDatabase ?? durationMs(0),
    onTrouble: (error) => log.warn('database trouble', describeError(error)),
    onRevoked: (entries) => {
      for (const entry of entries) if ('cause' in entry) metrics.revoked(entry.cause);
      feed?.grew();
    },
  });
  feed = makeFeed(store, clock.now);
  try {
    const instance = await prepareSchema(store, options.schema);
    const passwords = makePasswordHasher();
    const { first: master, again: masterAgain } = renewable(() =>
      openMasterKey({ source: config.masterKey, store, instance, mayCreate: options.schema === 'create' }),
    );
    const monotonic = (): number => clock.monotonic();
    return {
      config,
      clock,
      random,
      log,
      metrics,
      store,
      passwords,
      users: timedDirectory(openDirectory(options, store, passwords), clock, metrics.userDirectoryAnswered),
      clients: makeSnapshot(async () => clientTable(await store.read(listClients)), SNAPSHOT_AGE, monotonic),
      keys: makeSnapshot(
        (previous) => loadKeyRing({ store, instance, master, masterAgain }, previous),
        SNAPSHOT_AGE,
        monotonic,
      ),
      master,
      masterAgain,
      instance,
      issued: makeAccessTokenMemory(),
      isLive: livenessCheck(store),
      feed,
      rotateAtOnce:
        store.dialect === 'postgres' ? rotateAtOnce(store, () => (databaseClock ? null : clock.now())) : undefined,
    };
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** Closes what `openApp` opened, the database last. */
export async function closeApp(app: App): Promise<void> {
  app.feed.end();
  await app.users.close();
  await app.passwords.close();
  await app.store.close();
}

/** What was made last is kept; a failure to make it is tried again at the next call, and a failure to make it again keeps it. */
function renewable<T>(make: () => Promise<T>): { readonly first: () => Promise<T>; readonly again: () => Promise<T> } {
  let made: Promise<T> | undefined;
  return {
    first() {
      made ??= make().catch((error: unknown) => {
        made = undefined;
        throw error;
      });
      return made;
    },
    async again() {
      const value = await make();
      made = Promise.resolve(value);
      return value;
    },
  };
}

/** The user service where one is configured, else the table. */
function openDirectory(
  { config, log, clock = systemClock, random = systemRandom }: OpenOptions,
  store: Store,
  passwords: PasswordHasher,
): UserDirectory {
  const { http } = config.users;
  if (http === null) return localDirectory(store, passwords);
  const newId = (): string => uuidv7(clock.now(), random.bytes(10));
  return remoteDirectory({ ...http, claims: config.tokens.claims, clock, log, newId });
}

async function openStore({ config, schema }: OpenOptions, options: StoreOptions): Promise<SqliteStore | PostgresStore> {
  const url = config.database.url.reveal();
  if (!url.startsWith('sqlite:')) return openPostgres(url, options);
  const path = url.slice('sqlite:'.length);
  if (schema !== 'create' && !existsSync(path)) {
    throw new Refusal('database_unusable', `There is no database ${path}.`, {
      remedy: 'auth-server serve makes it; or name another with --config or AUTH_SERVER_DATABASE_URL',
    });
  }
  return openSqlite(path, options);
}

/** @returns the id of this database; empty before its first migration */
async function prepareSchema(store: SqliteStore | PostgresStore, schema: OpenOptions['schema']): Promise<string> {
  const status = await schemaStatus(store);
  if (status.pending.length > 0 && schema !== 'any') {
    if (schema !== 'create' || store.dialect !== 'sqlite') {
      throw new Refusal(
        'schema_behind',
        `The database ${store.label} has schema ${status.current}, this program needs ${status.latest}.`,
        {
          remedy: 'auth-server migrate up',
        },
      );
    }
    await migrateUp(store);
  }
  if (status.current === 0 && schema === 'any') return '';
  return (await store.read((db) => findSetting(db, 'instance_id'))) ?? '';
}
