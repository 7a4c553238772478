/**
 * From flags to an open `App` and back: reads the configuration, says what it warns of, opens the database, runs the
 * command, closes. The environment and the working directory are read here and nowhere else in the command line.
 */
import type { App } from '../src/app.ts';
import type { Config } from '../src/config/config.ts';
import type { LoadedConfig } from '../src/config/load.ts';
import { type DurationMs, durationMs, epochMs, SECOND } from '../src/domain/time.ts';
import { type Log, type LogLevel, makeLog } from '../src/log.ts';
import type { GlobalFlags } from './command.ts';
import { type Out, outFor } from './output.ts';

/** What a command asks of the database before it runs. */
export interface Need {
  /** `create` makes a SQLite file and a master key where there are none; `current` refuses a schema that is behind; `any` takes it. */
  readonly schema: 'create' | 'current' | 'any';
  /** How long to wait for a Postgres that does not answer yet. */
  readonly waitForDatabase?: DurationMs;
  /** Before the database is opened. */
  readonly prepare?: (config: Config) => void;
  /** Where the log goes, instead of stderr. */
  readonly log?: (level: LogLevel) => Log;
  /** Flags that set a key of the configuration, by path. */
  readonly settings?: Readonly<Record<string, unknown>>;
}

/** What a command does with an open app. Its issuer is the one that the server beside it uses. */
type Run<T> = (app: App, out: Out, loaded: LoadedConfig) => Promise<T>;

/** How long `serve`, `worker` and `migrate` wait for a Postgres that starts at the same time as they do. */
export const DATABASE_WAIT = durationMs(30 * SECOND);

/** Opens what the configuration names, runs the command with it, and closes it whatever happens. */
export async function withApp<T>(flags: GlobalFlags, need: Need, run: Run<T>): Promise<T> {
  const out = outFor(flags);
  const { settings = {} } = need;
  const loaded = await readConfig(flags, { settings, warn: (text) => warn(out, text) });
  return withLoaded(loaded, { ...need, out }, run);
}

/** The same for a command that has read the configuration. */
export async function withLoaded<T>(
  loaded: LoadedConfig,
  { out, ...need }: Need & { readonly out: Out },
  run: Run<T>,
): Promise<T> {
  need.prepare?.(loaded.config);
  const { closeApp, openApp } = await import('../src/app.ts');
  const { schema, waitForDatabase = durationMs(0) } = need;
  const level = commandLevel(loaded.config);
  const log = need.log?.(level) ?? logOf(loaded.config, level);
  const opened = await whileWaiting(
    loaded.config,
    (text) => out.note(text),
    openApp({ config: loaded.config, log, schema, waitForDatabase }),
  );
  try {
    return await run(await withKeptIssuer(opened, loaded), out, loaded);
  } finally {
    await closeApp(opened);
  }
}

/** How long it may take before somebody wants to know why, ms. */
const PATIENCE = 1_000;

/** Says what is waited for when a Postgres does not answer at once. */
export async function whileWaiting<T>(
  { database }: Config,
  tell: (text: string) => void,
  work: Promise<T>,
): Promise<T> {
  if (database.url.reveal().startsWith('sqlite:')) return work;
  const timer = setTimeout(() => tell('waiting for the database to answer'), PATIENCE);
  try {
    return await work;
  } finally {
    clearTimeout(timer);
  }
}

/** A warning for people. */
export const warn = (out: Out, text: string): void => out.note([{ text: 'warning', tone: 'warn' }, `: ${text}`]);

interface Reading extends Pick<Need, 'settings'> {
  readonly warn: (text: string) => void;
}

/** @throws ConfigurationRefusal with all that is wrong */
export async function readConfig(flags: GlobalFlags, { settings = {}, warn }: Reading): Promise<LoadedConfig> {
  const { loadConfig } = await import('../src/config/load.ts');
  const loaded = loadConfig({ ...configSources(flags), flags: settings });
  for (const warning of loaded.warnings) warn(warning);
  // Read once: a child process, or whoever reads /proc, need not find them.
  for (const name of loaded.secretVariables) delete process.env[name];
  return loaded;
}

/** Where a configuration is looked for, besides the flags of a command. */
export const configSources = ({ config }: GlobalFlags) => ({
  configFile: config,
  env: process.env,
  cwd: process.cwd(),
});

/** The log of a process, on stderr. */
export function logOf({ log }: Config, level: LogLevel): Log {
  return makeLog({
    level,
    format: log.format ?? (process.stderr.isTTY ? 'pretty' : 'json'),
    now: () => epochMs(Date.now()),
    write: (line) => process.stderr.write(line),
  });
}

/** A command prints results, so that its log keeps to what went wrong, unless somebody is looking for something. */
const commandLevel = ({ log }: Config): LogLevel => (log.level === 'info' ? 'warn' : log.level);

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
