/**
 * The throw-away server of a simulation: the real one, over HTTP, on a SQLite file in a temporary folder, with a clock that
 * moves when the story says so. It stands apart so that a story reads as a story.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type App, closeApp, openApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config/load.ts';
import { Secret } from '../../src/domain/secret.ts';
import { type Clock, durationMs, epochMs } from '../../src/domain/time.ts';
import { type RunningServer, startServer } from '../../src/http/start.ts';
import { makeLog } from '../../src/log.ts';
import { backup } from '../../src/operations/backup.ts';
import { addClient } from '../../src/operations/clients.ts';
import { listNewestEvents } from '../../src/operations/events.ts';
import { declareKeyCompromised } from '../../src/operations/keys.ts';
import { planRestore, restore } from '../../src/operations/restore.ts';
import { addUser } from '../../src/operations/users.ts';

export interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** The clock stands still but for `advance`. `close` leaves no file behind. */
export interface World {
  /** Since the story began, ms. */
  elapsed(): number;
  advance(ms: number): void;
  /** A request from an address, as a proxy would pass it on. */
  post(path: string, body: unknown, from: { readonly ip: string; readonly key?: string | undefined }): Promise<Answer>;
  /** What a resource server is told of an access token. */
  verify(accessToken: string): Promise<Answer>;
  /** How the server classed the reuse that it found last. */
  lastReuse(): Promise<string>;
  compromise(ring: 'access' | 'refresh'): Promise<void>;
  /** Stops the server and starts another on the same database. */
  restart(): Promise<void>;
  backup(): Promise<void>;
  /** Stops the server, makes the backup its database, starts it again. */
  restore(): Promise<void>;
  close(): Promise<void>;
}

const PASSWORD = 'correct horse battery staple';
const USER = 'alice';
const never = new AbortController().signal;

/** What `/login` is given. */
export const CREDENTIALS = { username: USER, password: PASSWORD } as const;

function movableClock(): Clock & { advance(ms: number): void; elapsed(): number } {
  const start = Date.now();
  let moved = 0;
  return {
    now: () => epochMs(start + moved),
    monotonic: () => durationMs(moved),
    elapsed: () => moved,
    advance(ms) {
      moved += ms;
    },
  };
}

/** Starts a real server on a free port of 127.0.0.1, with its database in a folder of its own. */
export async function openWorld(): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'auth-server-simulate-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  // Ctrl-C ends the program wherever it is.
  process.once('exit', remove);
  const clock = movableClock();
  const start = starter(folder, clock);
  let server = await start();
  await addUser(server.app, { name: USER, password: new Secret(PASSWORD) });
  const { secret } = await addClient(server.app, {
    id: 'api',
    type: 'resource-server',
    isPublic: false,
    audiences: [],
    policy: {},
  });
  const basic = `Basic ${Buffer.from(`api:${secret?.reveal()}`).toString('base64')}`;
  const copy = join(folder, 'backup.db');

  const send = async (path: string, body: unknown, headers: Readonly<Record<string, string>>): Promise<Answer> => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', connection: 'close', ...headers },
      body: JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? {} : JSON.parse(text) };
  };
  return {
    elapsed: clock.elapsed,
    advance: clock.advance,
    post: (path, body, { ip, key }) =>
      send(path, body, { 'x-forwarded-for': ip, ...(key === undefined ? {} : { 'idempotency-key': key }) }),
    verify: (token) => send('/verify', { token }, { authorization: basic }),
    lastReuse: () => lastReuse(server.app),
    async compromise(ring) {
      await declareKeyCompromised(server.app, ring);
    },
    async restart() {
      await server.stop();
      server = await start();
    },
    async backup() {
      await backup(server.app, copy, { signal: never });
    },
    async restore() {
      const { config, log } = server.app;
      await server.stop();
      await restoreFrom(copy, join(folder, 'auth.db'), { config, log, clock });
      server = await start();
    },
    async close() {
      await server.stop();
      process.removeListener('exit', remove);
      remove();
    },
  };
}

async function lastReuse(app: App): Promise<string> {
  const [event] = await listNewestEvents(app, { type: 'token.reuse_detected', limit: 1 });
  if (event === undefined) return 'no event tells of it';
  const { class: kind, address_differs } = event.data;
  return `${kind}${address_differs === true ? ', other address' : ''}`;
}

function starter(folder: string, clock: Clock): () => Promise<RunningServer> {
  // Its own, so that no configuration of this machine is found.
  writeFileSync(join(folder, 'auth.config.json'), '{}');
  const flags = {
    issuer: 'https://auth.example',
    'listen.port': 0,
    'database.url': `sqlite:${join(folder, 'auth.db')}`,
    masterKey: { file: join(folder, 'auth-server.key') },
    'server.trustedProxies': ['127.0.0.1'],
  };
  const { config } = loadConfig({ flags, env: {}, cwd: folder });
  const log = makeLog({
    level: 'error',
    format: 'pretty',
    now: clock.now,
    write: (line) => process.stderr.write(line),
  });
  return () => startServer({ config, log, clock });
}

type Opening = Pick<Parameters<typeof openApp>[0], 'config' | 'log'> & { readonly clock: Clock };

async function restoreFrom(copy: string, path: string, { config, log, clock }: Opening): Promise<void> {
  const plan = await planRestore(copy, path);
  await restore(plan, {
    open: (database) =>
      openApp({
        config: { ...config, database: { ...config.database, url: new Secret(`sqlite:${database}`) } },
        log,
        clock,
        schema: 'any',
      }),
    close: closeApp,
    signal: never,
    kept: `${path}.replaced`,
    withoutMasterKey: false,
    onCopied: () => undefined,
    onEnded: () => undefined,
  });
}
