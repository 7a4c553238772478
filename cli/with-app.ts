/**
 * From flags to an open `App` and back: reads the configuration, says what it warns of, opens the database, runs the
 * command, closes. The environment and the working directory are read here and nowhere else in the command line.
 */
import type { App } from '../src/app.ts';
import type { Config } from '../src/config/config.ts';
import type { LoadedConfig } from '../src/config/load.ts';
import { type DurationMs, durationMs, epochMs, SECOND } from '../src/domain/time.ts';
import { LOG_LEVELS, type Log, type LogLevel, makeLog } from '../src/log.ts';
import type { GlobalFlags } from './command.ts';
import { type Out, outFor } from './output.ts';

export interface Need {
  /** `create` makes a SQLite file and a master key where there are none; `current` refuses a schema that is behind; `any` takes it. */
  readonly schema: 'create' | 'current' | 'any';
  /** How long to wait for a Postgres that does not answer yet. */
  readonly waitForDatabase?: DurationMs;
  /** Before the database is opened. */
  readonly prepare?: (config: Config) => void;
  /** Flags that set a key of the configuration, by path. */
  readonly settings?: Readonly<Record<string, unknown>>;
}

/** How long `serve`, `worker` and `migrate` wait for a Postgres that starts at the same time as they do. */
export const DATABASE_WAIT = durationMs(30 * SECOND);

/** Opens what the configuration names, runs the command with it, and closes it whatever happens. */
export async function withApp<T>(flags: GlobalFlags, need: Need, run: (app: App, out: Out) => Promise<T>): Promise<T> {
  const out = outFor(flags);
  const loaded = await readConfig(flags, out, need.settings);
  need.prepare?.(loaded.config);
  const { closeApp, openApp } = await import('../src/app.ts');
  const opened = await openApp({
    config: loaded.config,
    log: logOf(loaded.config, 'warn'),
    schema: need.schema,
    waitForDatabase: need.waitForDatabase ?? durationMs(0),
  });
  try {
    return await run(await withKeptIssuer(opened, loaded), out);
  } finally {
    await closeApp(opened);
  }
}

/** @throws ConfigurationRefusal with all that is wrong */
export async function readConfig(flags: GlobalFlags, out: Out, settings: Need['settings'] = {}): Promise<LoadedConfig> {
  const { loadConfig } = await import('../src/config/load.ts');
  const loaded = loadConfig({ flags: settings, configFile: flags.config, env: process.env, cwd: process.cwd() });
  for (const warning of loaded.warnings) out.note([{ text: 'warning', tone: 'warn' }, `: ${warning}`]);
  // Read once: a child process, or whoever reads /proc, need not find them.
  for (const name of loaded.secretVariables) delete process.env[name];
  return loaded;
}

/** @param least a command writes results, so that the log of one keeps to what went wrong, unless more was asked for */
export function logOf({ log }: Config, least: LogLevel = 'trace'): Log {
  const isAskedFor = LOG_LEVELS.indexOf(log.level) < LOG_LEVELS.indexOf('info');
  const level = isAskedFor || LOG_LEVELS.indexOf(log.level) > LOG_LEVELS.indexOf(least) ? log.level : least;
  return makeLog({
    level,
    format: log.format ?? (process.stderr.isTTY ? 'pretty' : 'json'),
    now: () => epochMs(Date.now()),
    write: (line) => process.stderr.write(line),
  });
}

/**
 * The issuer is a fact of the database once a server has run. Beside a server that was started with other flags, the
 * default would be another's.
 */
async function withKeptIssuer(app: App, { origins }: LoadedConfig): Promise<App> {
  if (origins.get('issuer')?.kind !== 'default') return app;
  // A database without any schema yet has no instance, and nothing that it could have kept.
  if (app.instance === '') return app;
  const { storedIssuer } = await import('../src/operations/issuer.ts');
  const issuer = await storedIssuer(app.store);
  return issuer === undefined ? app : { ...app, config: { ...app.config, issuer } };
}
