/**
 * Where the tests under fire take place: a folder with a configuration, a database with a user and a resource server, and
 * the built executable started on it as often as a test kills it. Every process is ended by its id with its test.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import BetterSqlite3 from 'better-sqlite3';
import pg from 'pg';
import { expect, onTestFinished } from 'vitest';
import { type Entry, violationsOf } from '../../scripts/fire/history.ts';
import { type Session, sessionOf } from '../../scripts/fire/load.ts';
import { makeChance } from '../../scripts/fire/random.ts';
import { type Answer, openWire, post } from '../../scripts/fire/wire.ts';
import { closeApp, openApp, systemClock } from '../../src/app.ts';
import { loadConfig } from '../../src/config/load.ts';
import { makeLog } from '../../src/log.ts';
import { migrateUp } from '../../src/store/migrate.ts';
import { type DatabaseKind, makeDatabase } from '../support/databases.ts';
import { furnish } from '../support/furnish.ts';
import { scratchFolder } from '../support/scratch.ts';

const root = path.dirname(path.dirname(import.meta.dirname));
/** Another than the one just built may be put to the test: one that is installed, say. */
const BUILT = process.env.FIRE_PROGRAM ?? path.join(root, 'dist/auth-server');
/** Attempts at setting the scene. */
const LOGINS = 10;
const PASSWORD = 'correct horse battery staple';

/** Of the long forms: how many times as much as in CI, and where chance begins. */
export const TIMES = Number(process.env.FIRE_TIMES ?? 1);
export const SEED = Number(process.env.FIRE_SEED ?? 1);

/** For people who read a long run: what was done, in one line. */
export const tell = (line: string): void => {
  if (process.env.FIRE_TIMES !== undefined) process.stdout.write(`${line}\n`);
};

export interface StartOptions {
  readonly port?: number;
  /** Command before the program. */
  readonly before?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Another program than the built one. */
  readonly program?: readonly string[];
}

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Served {
  readonly port: number;
  readonly pid: number;
  readonly child: ChildProcess;
  said(): string;
  /** Sends the signal and waits for the end. @returns the exit code, null for one that was killed */
  end(signal: NodeJS.Signals): Promise<number | null>;
  send(request: string): Promise<Answer>;
  login(): Promise<Session>;
  logins(count: number): Promise<Session[]>;
}

export interface Ground {
  readonly folder: string;
  readonly kind: DatabaseKind;
  /** Of the SQLite file. */
  readonly file: string;
  /** `Authorization` of the resource server `api`. */
  readonly api: string;
  start(options?: StartOptions): Promise<Served>;
  /** Runs a command to its end. */
  run(...args: readonly string[]): Promise<Finished>;
  /** The same behind another command, with another environment, or of another program. */
  runAs(options: StartOptions, ...args: readonly string[]): Promise<Finished>;
  /** A `serve` that does not become a server. */
  tryStart(options?: StartOptions): Promise<Finished>;
  /** @param url of another database */
  query<Row>(sql: string, url?: string): Promise<Row[]>;
}

/** A part of what there is, by chance, in order; all of it in the long forms. */
export function someOf<T>(all: readonly T[], count: number, salt = 0): readonly T[] {
  if (TIMES > 1 || all.length <= count) return all;
  const chance = makeChance(SEED + salt);
  const left = all.map((_, index) => index);
  const chosen = Array.from({ length: count }, () => left.splice(chance.below(left.length), 1)[0] ?? 0);
  return chosen.sort((one, other) => one - other).map((index) => all[index] as T);
}

/** Says in which of many like cases a failure was. */
export async function inCase<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Error) error.message = `${name}: ${error.message}`;
    throw error;
  }
}

/** @param settings members of the configuration, by section */
export async function makeGround(
  kind: DatabaseKind,
  settings: Readonly<Record<string, unknown>> = {},
  url?: string,
): Promise<Ground> {
  const folder = scratchFolder('fire');
  const file = path.join(folder, 'auth.db');
  onTestFinished(({ task }) => {
    rmSync(folder, { recursive: true, force: true });
    if (task.result?.state === 'fail')
      process.stderr.write(`\n"${task.name}" failed with seed ${SEED}, ${TIMES} times\n`);
  });
  const database = url ?? (kind === 'sqlite' ? `sqlite:${file}` : await makeDatabase('postgres'));
  // Another port must not be another issuer.
  const config = { issuer: 'https://auth.example', database: { url: database, poolSize: 5 }, ...settings };
  const configFile = path.join(folder, 'auth.config.json');
  writeFileSync(configFile, JSON.stringify(config), { mode: 0o600 });
  const api = await prepare(folder);
  return {
    folder,
    kind,
    file,
    api,
    start: (options = {}) => start(folder, options),
    run: (...args) => finish(launch(folder, args, {})),
    runAs: (options, ...args) => finish(launch(folder, args, options)),
    tryStart: (options = {}) => finish(launch(folder, ['serve', '--port', '0'], options)),
    query: (sql, other = database) => query(other, sql),
  };
}

/** Made in this process, as `serve` would make it; nothing has it open when this returns. */
async function prepare(folder: string): Promise<string> {
  const { config } = loadConfig({ flags: {}, env: {}, cwd: folder });
  const log = makeLog({ level: 'error', format: 'json', now: systemClock.now, write: () => undefined });
  if (config.database.url.reveal().startsWith('postgres')) {
    const behind = await openApp({ config, log, schema: 'any' });
    await migrateUp(behind.store);
    await closeApp(behind);
  }
  const app = await openApp({ config, log, schema: 'create' });
  const { authorization } = await furnish(app, PASSWORD);
  await closeApp(app);
  return authorization;
}

function launch(folder: string, args: readonly string[], options: StartOptions): ChildProcess {
  const { before = [], program = [BUILT], env = {} } = options;
  if (!existsSync(BUILT)) throw new Error(`${BUILT} does not exist: npm run build`);
  const [first = BUILT, ...rest] = [...before, ...program, ...args];
  const child = spawn(first, rest, { cwd: folder, env: { PATH: '/usr/bin:/bin', ...env }, stdio: 'pipe' });
  child.stdin?.on('error', () => undefined).end();
  onTestFinished(() => endOf(child, 'SIGKILL'));
  return child;
}

async function endOf(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  // A stopped process does not hear of anything but this.
  child.kill('SIGCONT');
  await ended;
}

function textOf(stream: NodeJS.ReadableStream | null): () => string {
  let text = '';
  stream?.setEncoding('utf8').on('data', (chunk: string) => {
    text = `${text}${chunk}`.slice(-100_000);
  });
  return () => text;
}

async function finish(child: ChildProcess): Promise<Finished> {
  const stdout = textOf(child.stdout);
  const stderr = textOf(child.stderr);
  await once(child, 'close');
  return { code: child.exitCode, stdout: stdout(), stderr: stderr() };
}

async function start(folder: string, options: StartOptions): Promise<Served> {
  const child = launch(folder, ['serve', '--port', String(options.port ?? 0)], options);
  const said = textOf(child.stderr);
  textOf(child.stdout);
  onTestFinished(({ task }) => {
    if (task.result?.state === 'fail') process.stderr.write(`\nA server of "${task.name}" said:\n${said()}\n`);
  });
  const port = await listening(child, said);
  const { pid } = child;
  if (pid === undefined) throw new Error('a process that listens has an id');

  async function send(request: string): Promise<Answer> {
    const wire = openWire(port);
    try {
      return await wire.send(request);
    } finally {
      wire.close();
    }
  }
  async function login(): Promise<Session> {
    // A hash takes as long as the machine has others to do.
    for (let tries = 1; ; tries += 1) {
      const answer = await send(loginRequest());
      if (answer.status === 503 && tries < LOGINS) continue;
      expect(answer).toMatchObject({ status: 200 });
      return sessionOf(answer.text);
    }
  }
  return {
    port,
    pid,
    child,
    said,
    send,
    login,
    async logins(count) {
      // Few at once: hashes wait for each other, and none shall wait longer than a request may take.
      const sessions: Session[] = [];
      while (sessions.length < count) {
        sessions.push(...(await Promise.all(Array.from({ length: Math.min(2, count - sessions.length) }, login))));
      }
      return sessions;
    },
    async end(signal) {
      await endOf(child, signal);
      return child.exitCode;
    },
  };
}

/** The port that the program says it listens on. */
function listening(child: ChildProcess, said: () => string): Promise<number> {
  return new Promise((resolve, reject) => {
    const look = (): void => {
      const line = said()
        .split('\n')
        .find((text) => text.includes('"listening"') && text.endsWith('}'));
      if (line === undefined) return;
      // What it says later may push this line out of what is kept.
      child.stderr?.off('data', look);
      const { url }: { url: string } = JSON.parse(line);
      resolve(Number(new URL(url).port));
    };
    child.stderr?.on('data', look);
    child.on('error', reject);
    child.on('close', () => reject(new Error(`serve ended with ${child.exitCode}:\n${said()}`)));
  });
}

export const loginRequest = (): string => post('/login', { username: 'alice', password: PASSWORD });

async function query<Row>(url: string, sql: string): Promise<Row[]> {
  if (url.startsWith('sqlite:')) {
    const db = new BetterSqlite3(url.slice('sqlite:'.length));
    try {
      return db.prepare<[], Row>(sql).all();
    } finally {
      db.close();
    }
  }
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows as Row[];
  } finally {
    await client.end();
  }
}

/** After a run: the database is whole, and holds what the clients were told. */
export async function expectCleanHistory(ground: Ground, history: readonly Entry[]): Promise<void> {
  if (ground.kind === 'sqlite') {
    expect(await ground.query('pragma integrity_check')).toEqual([{ integrity_check: 'ok' }]);
  }
  const rows = await ground.query<{ id: string; generation: number | string }>(
    'select id, generation from token_families',
  );
  const stored = new Map(rows.map(({ id, generation }) => [id, Number(generation)]));
  expect(violationsOf(history, stored)).toEqual([]);
}
