/**
 * A working folder with a database that a command finds by its defaults: migrated, with keys, and with whatever sessions a
 * test wants. What prepares it is closed before the command runs.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { type App, closeApp, openApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config/load.ts';
import { makeLog } from '../../src/log.ts';
import { moveKeysOn } from '../../src/operations/keys.ts';
import { type CliResult, runCli, workFolder } from './cli.ts';
import { type FakeClock, fakeClock } from './fake-clock.ts';

export interface CliDatabase {
  readonly folder: string;
  /** Runs a command in the folder. */
  run(args: readonly string[], stdin?: string | Uint8Array): Promise<CliResult>;
  /** Runs a command that must succeed, and reads its `--json`. */
  json<T>(args: readonly string[], stdin?: string): Promise<T>;
  /** Opens the database in this process, and closes it again. */
  inside<T>(work: (app: App, clock: FakeClock) => Promise<T>): Promise<T>;
  /** Changes when any byte of the database does. */
  hash(): string;
}

/** To be called in a test. @param settings configuration by path, for `inside` alone */
export async function makeCliDatabase(settings: Readonly<Record<string, unknown>> = {}): Promise<CliDatabase> {
  const folder = workFolder();
  const run = (args: readonly string[], stdin: string | Uint8Array = ''): Promise<CliResult> =>
    runCli(args, { cwd: folder, stdin });

  async function inside<T>(work: (app: App, clock: FakeClock) => Promise<T>): Promise<T> {
    const flags = { 'database.url': `sqlite:${folder}/auth.db`, masterKey: { file: `${folder}/auth-server.key` } };
    const { config } = loadConfig({ flags: { ...flags, ...settings }, env: {}, cwd: folder });
    // The commands go by the real time, so what they look at has to be of today.
    const clock = fakeClock(Date.now());
    const log = makeLog({ level: 'warn', format: 'json', now: clock.now, write: (line) => process.stderr.write(line) });
    const app = await openApp({ config, log, schema: 'create', clock });
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
  };
}
