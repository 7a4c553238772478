/**
 * A real server in this process, on a real database and a real socket, with a clock that the test moves. Its test fails if
 * it leaves anything open, meets an unforeseen error, or writes a token into its log.
 */
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { type App, closeApp, openApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config/load.ts';
import { makePasswordHasher } from '../../src/crypto/password.ts';
import type { ClientPolicy, ClientType } from '../../src/domain/client.ts';
import type { FamilyId, Subject } from '../../src/domain/ids.ts';
import { Secret } from '../../src/domain/secret.ts';
import type { TokenFamily } from '../../src/domain/token-family.ts';
import { canonicalUsername } from '../../src/domain/user-directory.ts';
import { startServer } from '../../src/http/start.ts';
import { makeLog } from '../../src/log.ts';
import { addClient } from '../../src/operations/clients.ts';
import { listEvents } from '../../src/store/events.ts';
import { migrateUp } from '../../src/store/migrate.ts';
import { findFamily } from '../../src/store/token-families.ts';
import { insertUser } from '../../src/store/users.ts';
import { type FakeClock, fakeClock } from './fake-clock.ts';
import { type Answer, type Headers, type HttpClient, makeHttpClient, type Sending } from './http-client.ts';
import { scratchFolder } from './scratch.ts';
import { until } from './until.ts';

export const ISSUER = 'https://auth.example';
export const USERNAME = 'alice';
export const PASSWORD = 'correct horse battery staple';

/** The answer of `/login` and `/refresh`. */
export interface Pair {
  readonly token_type: string;
  readonly access_token: string;
  readonly expires_in: number;
  readonly refresh_token: string;
  readonly refresh_expires_in: number;
  readonly session_id: FamilyId;
}

export interface LoginOptions {
  readonly username?: string;
  readonly password?: string;
  readonly client_id?: string;
  readonly device?: string;
  readonly headers?: Headers;
}

export interface RefreshOptions {
  /** `Idempotency-Key`. */
  readonly key?: string;
  readonly headers?: Headers;
}

export interface NewTestClient {
  readonly type?: ClientType;
  readonly isPublic?: boolean;
  readonly audiences?: readonly string[];
  readonly policy?: Partial<ClientPolicy>;
}

export interface TestClient {
  readonly id: string;
  readonly secret: string;
  /** `Basic …`; empty for a public client. */
  readonly basic: Readonly<Record<string, string>>;
}

/** What a refusal must leave as it was. */
export type Dump = Readonly<Record<'families' | 'timeline' | 'events' | 'attempts' | 'feed', unknown>>;

export interface TestServer {
  readonly app: App;
  readonly port: number;
  readonly clock: FakeClock;
  /** The resource server `api`, for the default audience. */
  readonly api: TestClient;
  /** Of the user `alice`. */
  readonly subject: Subject;
  send(sending: Sending): Promise<Answer>;
  post(path: string, body: unknown, headers?: Headers): Promise<Answer>;
  addUser(username: string, password?: string): Promise<Subject>;
  addClient(id: string, client?: NewTestClient): Promise<TestClient>;
  tryLogin(options?: LoginOptions): Promise<Answer>;
  /** Must succeed. */
  login(options?: LoginOptions): Promise<Pair>;
  tryRefresh(pair: Partial<Pair>, options?: RefreshOptions): Promise<Answer>;
  /** Must succeed. */
  refresh(pair: Pair, options?: RefreshOptions): Promise<Pair>;
  /** As `api` asks. @returns the body */
  verify(accessToken: string): Promise<Readonly<Record<string, unknown>>>;
  forwardAuth(accessToken: string): Promise<Answer>;
  family(sid: string): Promise<TokenFamily>;
  /** Recorded since the last look, without their ids and times. */
  events(): Promise<{ readonly type: string; readonly data: Readonly<Record<string, unknown>> }[]>;
  dump(): Promise<Dump>;
  /** An unforeseen error is what this test is about. */
  expectTrouble(): void;
  /** What was logged so far. */
  log(): string;
  stop(): Promise<void>;
}

export interface TestServerOptions {
  readonly url: string;
  /** Configuration by path: `{'tokens.idleTimeout': '1h'}`. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Another server on the same database, with the same master key and clock. */
  readonly beside?: TestServer;
}

const folders = new WeakMap<TestServer, string>();
const hashes = new Map<string, Promise<string>>();

/** A password hash takes 30 ms: users of one password share one, as users of no real system do. */
function hashOf(password: string): Promise<string> {
  const known = hashes.get(password);
  if (known !== undefined) return known;
  const hasher = makePasswordHasher();
  const hash = hasher.hash(new Secret(password)).finally(() => hasher.close());
  hashes.set(password, hash);
  return hash;
}

export const basicOf = (id: string, secret: string): Readonly<Record<string, string>> => ({
  authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
});

/** Servers that run now in this test, and what was open before the first of them. */
let running = 0;
let openBefore = 0;

const openSockets = (): number =>
  process.getActiveResourcesInfo().filter((kind) => /^(TCP|Worker|MessagePort)/.test(kind)).length;

/** To be called in a test, on a database of `makeDatabase`: the server stops when the test has finished. */
export async function startTestServer(options: TestServerOptions): Promise<TestServer> {
  const { beside } = options;
  const folder = (beside && folders.get(beside)) ?? scratchFolder('server');
  // A file of its own, so that no configuration of this machine is found.
  writeFileSync(path.join(folder, 'auth.config.json'), '{}');
  const defaults = { issuer: ISSUER, 'listen.port': 0, 'server.shutdownTimeout': '30ms', 'keys.rotateEvery': '3650d' };
  const flags = { ...defaults, 'database.url': options.url, ...options.config };
  const { config } = loadConfig({ flags, env: {}, cwd: folder });
  const clock = beside?.clock ?? fakeClock();
  const lines: string[] = [];
  const log = makeLog({ level: 'trace', format: 'json', now: clock.now, write: (line) => lines.push(line) });
  if (beside === undefined && options.url.startsWith('postgres')) {
    const app = await openApp({ config, log, schema: 'any', clock });
    await migrateUp(app.store);
    await closeApp(app);
  }

  if (running === 0) openBefore = openSockets();
  const started = await startServer({ config, log, clock, databaseClock: false });
  running += 1;
  const client = makeHttpClient(started.port);
  let stopped: Promise<void> | undefined;
  let isTroubleExpected = false;
  const stop = (): Promise<void> => {
    stopped ??= started.stop().finally(() => client.close());
    return stopped;
  };
  onTestFinished(async ({ task }) => {
    await stop();
    running -= 1;
    if (beside === undefined) rmSync(folder, { recursive: true, force: true });
    if (task.result?.state === 'fail') return;
    if (running === 0) await until(() => openSockets() <= openBefore, 'everything that the servers opened is closed');
    const text = lines.join('');
    expect(text, 'the log holds no token').not.toMatch(/eyJ[\w-]{10,}/);
    if (!isTroubleExpected) expect(text, 'nothing unforeseen happened').not.toMatch(/"level":"error"/);
  });

  const fixture = beside ?? (await prepare(started.app));
  const server = actions({
    app: started.app,
    port: started.port,
    clock,
    client,
    api: fixture.api,
    subject: fixture.subject,
  });
  await server.events();
  const complete: TestServer = {
    ...server,
    expectTrouble: () => {
      isTroubleExpected = true;
    },
    log: () => lines.join(''),
    stop,
  };
  folders.set(complete, folder);
  return complete;
}

async function prepare(app: App): Promise<Pick<TestServer, 'api' | 'subject'>> {
  return {
    subject: await storeUser(app, USERNAME, PASSWORD),
    api: await storeClient(app, 'api', { type: 'resource-server' }),
  };
}

async function storeUser(app: App, name: string, password: string): Promise<Subject> {
  const passwordHash = await hashOf(password);
  return app.store.write(async (tx) => {
    const subject = tx.newId() as Subject;
    expect(await insertUser(tx, { subject, username: canonicalUsername(name), name, passwordHash })).toBe(true);
    return subject;
  });
}

async function storeClient(app: App, id: string, wanted: NewTestClient): Promise<TestClient> {
  const { type = 'app', isPublic = false, audiences = [], policy = {} } = wanted;
  const { secret } = await addClient(app, { id, type, isPublic, audiences, policy });
  const text = secret?.reveal() ?? '';
  return { id, secret: text, basic: secret === null ? {} : basicOf(id, text) };
}

type Parts = Pick<TestServer, 'app' | 'port' | 'clock' | 'api' | 'subject'> & { readonly client: HttpClient };

function actions({ client, ...parts }: Parts): Omit<TestServer, 'expectTrouble' | 'log' | 'stop'> {
  const { app, api } = parts;
  let lastEvent = 0;

  const post = (to: string, body: unknown, headers: Headers = {}): Promise<Answer> =>
    client.send({
      method: 'POST',
      path: to,
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });

  const tryLogin = ({ headers = {}, ...body }: LoginOptions = {}): Promise<Answer> =>
    post('/login', { username: USERNAME, password: PASSWORD, ...body }, headers);

  const tryRefresh = (pair: Partial<Pair>, { key, headers = {} }: RefreshOptions = {}): Promise<Answer> => {
    const { access_token, refresh_token } = pair;
    return post(
      '/refresh',
      { access_token, refresh_token },
      key === undefined ? headers : { ...headers, 'idempotency-key': key },
    );
  };

  return {
    ...parts,
    send: client.send,
    post,
    addUser: (username, password = PASSWORD) => storeUser(app, username, password),
    addClient: (id, wanted = {}) => storeClient(app, id, wanted),
    tryLogin,
    login: async (options) => pairOf(await tryLogin(options)),
    tryRefresh,
    refresh: async (pair, options) => pairOf(await tryRefresh(pair, options)),
    verify: async (token) => {
      const answer = await post('/verify', { token }, api.basic);
      expect(answer.status).toBe(200);
      return answer.body;
    },
    forwardAuth: (token) =>
      client.send({
        path: '/forward-auth',
        headers: { authorization: `Bearer ${token}`, 'x-auth-server-client': `${api.id}:${api.secret}` },
      }),
    family: async (sid) => {
      const family = await app.store.read((db) => findFamily(db, sid as FamilyId));
      if (family === undefined) throw new Error('there is no such family');
      return family;
    },
    events: async () => {
      const events = await app.store.read((db) => listEvents(db, { after: lastEvent, limit: 1_000 }));
      lastEvent = events.at(-1)?.number ?? lastEvent;
      return events.map(({ type, data }) => ({ type, data }));
    },
    dump: () => dump(app),
  };
}

const dump = (app: App): Promise<Dump> =>
  app.store.read(async (db) => ({
    families: await db.sql.selectFrom('token_families').selectAll().orderBy('id').execute(),
    timeline: await db.sql.selectFrom('refresh_tokens').selectAll().orderBy('jti').execute(),
    events: await db.sql.selectFrom('events').selectAll().orderBy('number').execute(),
    attempts: await db.sql.selectFrom('login_attempts').selectAll().orderBy('bucket').execute(),
    feed: await db.sql.selectFrom('revocations').selectAll().orderBy('number').execute(),
  }));

/** @throws unless the answer is the `200` of `/login` or `/refresh`, whole */
export function pairOf(answer: Answer): Pair {
  expect(answer).toMatchObject({
    status: 200,
    body: { token_type: 'Bearer' },
    headers: { 'cache-control': 'no-store' },
  });
  expect(Object.keys(answer.body).toSorted()).toEqual([
    'access_token',
    'expires_in',
    'refresh_expires_in',
    'refresh_token',
    'session_id',
    'token_type',
  ]);
  return answer.body as unknown as Pair;
}
