/**
 * A database as a server under load has it: a resource server, a user, and families with their newest tokens. Families are
 * written through the store, because a login costs 30 ms of hashing and is measured elsewhere.
 */
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type App, closeApp, openApp } from '../../src/app.ts';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { DEFAULT_CLIENT, type FamilyId, type Generation, type Subject, type TokenId } from '../../src/domain/ids.ts';
import { Secret } from '../../src/domain/secret.ts';
import { after, epochMs } from '../../src/domain/time.ts';
import type { TokenFamily } from '../../src/domain/token-family.ts';
import { makeLog } from '../../src/log.ts';
import { addClient } from '../../src/operations/clients.ts';
import { issuePair } from '../../src/operations/issue.ts';
import { keepIssuer } from '../../src/operations/issuer.ts';
import { moveKeysOn } from '../../src/operations/keys.ts';
import { addUser } from '../../src/operations/users.ts';
import { migrateUp } from '../../src/store/migrate.ts';
import { insertRefreshToken } from '../../src/store/refresh-tokens.ts';
import type { Tx } from '../../src/store/store.ts';
import { insertFamily } from '../../src/store/token-families.ts';
import type { Pair } from './load.ts';

/** Of the user that logins are measured with. */
export const USER = { name: 'bench', password: 'a password for benchmarks' } as const;

const RESOURCE_SERVER = 'bench-api';
/** Families in one transaction. */
const BATCH = 1_000;

export interface Seeded {
  /** `<id>:<secret>` of a resource server. */
  readonly credentials: string;
  readonly pairs: Pair[];
}

export interface SeedOptions {
  readonly folder: string;
  readonly port: number;
  readonly databaseUrl: string;
  readonly families: number;
  /** Of these the tokens are returned; spread over all families. */
  readonly pairs: number;
  /** What is particular about the family of a number; all alike unless told. */
  readonly like?: (index: number) => Partial<TokenFamily>;
}

/** Writes `auth.config.json` into the folder, where the server will look for it, and fills the database that it names. */
export async function seed(options: SeedOptions): Promise<Seeded> {
  const app = await open(writeConfig(options));
  try {
    await moveKeysOn(app);
    await keepIssuer(app);
    await addUser(app, { name: USER.name, password: new Secret(USER.password) });
    const { secret } = await addClient(app, {
      id: RESOURCE_SERVER,
      type: 'resource-server',
      isPublic: false,
      audiences: [],
      policy: {},
    });
    if (secret === null) throw new Error('a resource server has a secret');
    return { credentials: `${RESOURCE_SERVER}:${secret.reveal()}`, pairs: await seedFamilies(app, options) };
  } finally {
    await closeApp(app);
  }
}

function writeConfig({ folder, port, databaseUrl }: SeedOptions): Config {
  const file = path.join(folder, 'auth.config.json');
  const text = JSON.stringify({
    issuer: `http://127.0.0.1:${port}`,
    listen: { port },
    database: { url: databaseUrl },
    // No token may expire while it is measured with.
    tokens: { accessTokenTtl: '6h' },
  });
  writeFileSync(file, text);
  chmodSync(file, 0o600);
  return loadConfig({ flags: {}, configFile: file, env: {}, cwd: folder }).config;
}

async function open(config: Config): Promise<App> {
  const log = makeLog({
    level: 'warn',
    format: 'pretty',
    now: () => epochMs(Date.now()),
    write: (line) => process.stderr.write(line),
  });
  if (config.database.url.reveal().startsWith('postgres')) {
    const empty = await openApp({ config, log, schema: 'any' });
    await migrateUp(empty.store).finally(() => closeApp(empty));
  }
  return openApp({ config, log, schema: 'create' });
}

async function seedFamilies(app: App, { families, pairs, like = () => ({}) }: SeedOptions): Promise<Pair[]> {
  const ring = await app.keys.current();
  const every = Math.floor(families / pairs);
  const seeded: Pair[] = [];
  for (let done = 0; done < families; done += BATCH) {
    const particulars = Array.from({ length: Math.min(BATCH, families - done) }, (_, index) => like(done + index));
    const batch = await app.store.write((tx) => insertBatch(app, tx, particulars));
    for (const [index, family] of batch.entries()) {
      if ((done + index) % every !== 0 || seeded.length === pairs) continue;
      seeded.push(await issuePair(app, ring, family, { client: undefined, claims: {}, now: family.current.issuedAt }));
    }
  }
  return seeded.map(({ accessToken, refreshToken }) => ({ accessToken, refreshToken }));
}

async function insertBatch(app: App, tx: Tx, particulars: readonly Partial<TokenFamily>[]): Promise<TokenFamily[]> {
  const { refreshTokenTtl, familyMaxLifetime } = app.config.tokens;
  const { kid } = (await app.keys.current()).refresh.active;
  const batch: TokenFamily[] = [];
  for (const particular of particulars) {
    const { createdAt = tx.now, endsAt = after(createdAt, familyMaxLifetime) } = particular;
    const family: TokenFamily = {
      id: tx.newId() as FamilyId,
      subject: tx.newId() as Subject,
      clientId: DEFAULT_CLIENT,
      generation: 0 as Generation,
      current: {
        jti: tx.newId() as TokenId,
        kid,
        issuedAt: createdAt,
        expiresAt: epochMs(Math.min(after(createdAt, refreshTokenTtl), endsAt)),
        requestKeyHash: null,
      },
      createdAt,
      lastRefreshedAt: createdAt,
      endsAt,
      revoked: null,
      device: null,
      origin: { userAgent: null, ip: '127.0.0.1' },
      ...particular,
    };
    await insertFamily(tx, family);
    await insertRefreshToken(tx, family);
    batch.push(family);
  }
  return batch;
}
