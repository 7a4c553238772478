/**
 * Fresh databases for tests, real ones: a SQLite file (`:memory:` locks differently) or a database of the run's
 * PostgreSQL. They go when their test passes; when it fails they stay, and the failure says where.
 */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, describe, inject, onTestFinished } from 'vitest';
import { scratchFolder } from './scratch.ts';

export type DatabaseKind = 'sqlite' | 'postgres';

/** The URL of an empty database that nobody else uses. To be called while a test or its `beforeEach` runs. */
export type MakeDatabase = () => Promise<string>;

/** Nobody will look at what a test left. */
const isUnattended = process.env.CI !== undefined;

const CLOSING_LIMIT_MS = 2_000;
const CLOSING_STEP_MS = 5;

interface FreshDatabase {
  readonly url: string;
  drop(): Promise<void>;
  /** Keeps it beyond the run, and says how to look at it. */
  keep(): string;
}

/** Runs the same suite on each database: what holds on one has to hold on the other. */
export function describeOnBothDatabases(
  name: string,
  suite: (makeDatabase: MakeDatabase, kind: DatabaseKind) => void,
): void {
  describe.each<DatabaseKind>(['sqlite', 'postgres'])(`${name} (%s)`, (kind) => {
    suite(() => makeDatabase(kind), kind);
  });
}

/** The same for a test that needs one kind only; the kind of a server's default configuration is `sqlite`. */
export async function makeDatabase(kind: DatabaseKind): Promise<string> {
  const database = kind === 'sqlite' ? makeSqlite() : await makePostgres();
  // After all `afterEach`: what they close is closed by now.
  onTestFinished(async ({ task }) => {
    if (task.result?.state !== 'fail' || isUnattended) return database.drop();
    process.stderr.write(`\n"${task.name}" failed; its database is kept: ${database.keep()}\n`);
  });
  return database.url;
}

function makeSqlite(): FreshDatabase {
  const folder = scratchFolder('sqlite');
  const file = path.join(folder, 'auth.db');
  return {
    url: `sqlite:${file}`,
    drop: async () => rmSync(folder, { recursive: true, force: true }),
    keep: () => file,
  };
}

/**
 * The session that makes and drops databases, which cannot be done from within them. One for each test file: to connect
 * takes longer than all the rest.
 */
let cluster: Promise<pg.Client> | undefined;

async function openCluster(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: `${inject('postgresUrl')}/postgres` });
  await client.connect();
  return client;
}

afterAll(async () => {
  await (await cluster)?.end();
  cluster = undefined;
});

/** Fails while a connection is open: a pool that a test forgot to close fails that test. */
async function dropWhenUnused(client: pg.Client, name: string): Promise<void> {
  // A closed connection takes a few milliseconds to be gone. `drop database` would wait too, but in steps of 100 ms.
  for (let waited = 0; waited < CLOSING_LIMIT_MS; waited += CLOSING_STEP_MS) {
    const { rowCount } = await client.query('select 1 from pg_stat_activity where datname = $1', [name]);
    if (rowCount === 0) break;
    await delay(CLOSING_STEP_MS);
  }
  await client.query(`drop database ${name}`);
}

let made = 0;

async function makePostgres(): Promise<FreshDatabase> {
  made += 1;
  const name = `test_${process.pid}_${made}`;
  cluster ??= openCluster();
  const client = await cluster;
  await client.query(`create database ${name} strategy file_copy`);
  return {
    url: `${inject('postgresUrl')}/${name}`,
    drop: () => dropWhenUnused(client, name),
    keep: () => {
      const keepFile = inject('postgresKeepFile');
      if (!existsSync(keepFile)) writeFileSync(keepFile, '');
      return `${name} in ${path.dirname(keepFile)}`;
    },
  };
}
