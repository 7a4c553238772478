/** What is measured: the bare echo, and the executable on each database, each started in a folder of its own. */
import { readFileSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { freePort } from '../../test/support/free-port.ts';
import { type Cluster, startPostgres } from '../../test/support/postgres-global-setup.ts';
import { scratchFolder } from '../../test/support/scratch.ts';
import { type Running, type ServerCommand, startServer } from './processes.ts';
import { type Seeded, seed } from './seed.ts';

export type SubjectName = 'echo' | 'sqlite' | 'postgres';

/** One server under load. `seeded` is empty for the echo. */
export interface Subject {
  readonly name: SubjectName;
  readonly port: number;
  readonly server: Running;
  readonly startup: ServerCommand;
  /** The process of the database, when it is one of its own. */
  readonly database: number | undefined;
  readonly seeded: Seeded;
  readonly folder: string;
}

/** How many families there are, and how many of them take part: as many that are only verified as that only refresh. */
export const SIZES = { families: 20_000, pairs: 4_000, verified: 2_000 } as const;

const folders: string[] = [];

/** On a disk: what is synced to memory is measured too well. */
function folderFor(name: string): string {
  const folder = scratchFolder(`bench-${name}`, os.tmpdir());
  folders.push(folder);
  return folder;
}

process.on('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** On core 0, like the product. */
export async function startEcho(): Promise<Subject> {
  const port = await freePort();
  const folder = folderFor('echo');
  const command = [process.execPath, path.join(import.meta.dirname, 'echo.ts'), String(port)] as const;
  const startup: ServerCommand = { command, cwd: folder, port, path: '/' };
  const server = await startServer(startup);
  return { name: 'echo', port, server, startup, database: undefined, seeded: { credentials: '', pairs: [] }, folder };
}

async function startProduct(
  name: SubjectName,
  executable: string,
  databaseUrl: string,
  database: number | undefined,
): Promise<Subject> {
  const port = await freePort();
  const folder = folderFor(name);
  const seeded = await seed({ folder, port, databaseUrl, families: SIZES.families, pairs: SIZES.pairs });
  const startup: ServerCommand = { command: [executable, 'serve'], cwd: folder, port, path: '/healthz' };
  const server = await startServer(startup);
  return { name, port, server, startup, database, seeded, folder };
}

/** @param executable `dist/auth-server` */
export const startOnSqlite = (executable: string): Promise<Subject> =>
  startProduct('sqlite', executable, 'sqlite:auth.db', undefined);

/** Postgres with its own settings: every commit is synced. @param onCluster is told of it as soon as it runs */
export async function startOnPostgres(executable: string, onCluster: (cluster: Cluster) => unknown): Promise<Subject> {
  const cluster = await startPostgres(true);
  onCluster(cluster);
  const client = new pg.Client({ connectionString: `${cluster.url}/postgres` });
  await client.connect();
  await client.query('create database bench');
  await client.end();
  // Next to the file that would keep it (test/support): its first line is the id of the first process.
  const pidFile = path.join(path.dirname(cluster.keepFile), 'data/postmaster.pid');
  const database = Number(readFileSync(pidFile, 'utf8').split('\n')[0]);
  return startProduct('postgres', executable, `${cluster.url}/bench`, database);
}

/** Bytes; 0 where there is none. */
export const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0;
