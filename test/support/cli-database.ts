/**
 * A working folder with a database that a command finds by its defaults: migrated, with keys, and with whatever sessions a
 * test wants. What prepares it is closed before the command runs.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type App, closeApp, openApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config/load.ts';
import { makeLog } from '../../src/log.ts';
import { moveKeysOn } from '../../src/operations/keys.ts';
import { migrateUp } from '../../src/store/migrate.ts';
import { allRows } from './all-rows.ts';
import { type CliResult, runCli, workFolder } from './cli.ts';
import { type DatabaseKind, makeDatabase } from './databases.ts';
import { type FakeClock, fakeClock } from './fake-clock.ts';

export interface CliDatabase {
  readonly folder: string;
  readonly url: string;
  /** Runs a command in the folder. */
  run(args: readonly string[], stdin?: string | Uint8Array): Promise<CliResult>;
  /** Runs a command that must succeed, and reads its `--json`. */
  json<T>(args: readonly string[], stdin?: string): Promise<T>;
  /** Opens the database in this process, and closes it again. */
  inside<T>(work: (app: App, clock: FakeClock) => Promise<T>): Promise<T>;
  /** Changes when any byte of the SQLite file does. */
  hash(): string;
  /** All rows of all tables, as text: what a command that changes nothing leaves as it was. */
  contents(): Promise<string>;
}

/**
 * To be called in a test.
 * @param settings configuration by path, for `inside` alone
 * @param kind of the database; a Postgres is named by a configuration file in the folder
 */
export async function makeCliDatabase(
  settings: Readonly<Record<string, unknown>> = {},
  kind: DatabaseKind = 'sqlite',
): Promise<CliDatabase> {
  const folder = workFolder();
  const url = kind === 'sqlite' ? `sqlite:${folder}/auth.db` : await makeDatabase('postgres');
  if (kind === 'postgres') {
    writeFileSync(path.join(folder, 'auth.config.json'), JSON.stringify({ database: { url } }), { mode: 0o600 });
  }
  const run = (args: readonly string[], stdin: string | Uint8Array = ''): Promise<CliResult> =>
    runCli(args, { cwd: folder, stdin });

  async function inside<T>(work: (app: App, clock: FakeClock) => Promise<T>): Promise<T> {
    const flags = { 'database.url': url, masterKey: { file: `${folder}/auth-server.key` } };
    const { config } = loadConfig({ flags: { ...flags, ...settings }, env: {}, cwd: folder });
    // The commands go by the real time, so what they look at has to be of today.
    const clock = fakeClock(Date.now());
    const log = makeLog({ level: 'warn', format: 'json', now: clock.now, write: (line) => process.stderr.write(line) });
    if (kind === 'postgres') {
      const behind = await openApp({ config, log, schema: 'any', clock });
      await migrateUp(behind.store);
      await closeApp(behind);
    }
    const app = await openApp({ config, log, schema: 'create', clock, databaseClock: false });
    try {
      await moveKeysOn(app);
      return await work(app, clock);
    } finally {
      await closeApp(app);
    }
  }

  await inside(async () => undefined);
  return {
    folder,
    url,
    run,
    json: async <T>(args: readonly string[], stdin?: string) => {
      const { code, stdout, stderr } = await run([...args, '--json'], stdin);
      if (code !== 0) throw new Error(`auth-server ${args.join(' ')}: exit ${code}\n${stderr}`);
      const value: T = JSON.parse(stdout);
      return value;
    },
    inside,
    // Whoever closes a SQLite database last moves its log into the file.
    hash: () =>
      createHash('sha256')
        .update(readFileSync(path.join(folder, 'auth.db')))
        .digest('hex'),
    contents: () => allRows(url),
  };
}
