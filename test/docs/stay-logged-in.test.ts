/** docs/clients/stay-logged-in.md: its client keeps the five rules, as it stands. The one in Python: test/foreign. */
import { pathToFileURL } from 'node:url';
import { expect, onTestFinished, test, vi } from 'vitest';
import { makeDatabase } from '../support/databases.ts';
import { example, exampleFolder } from '../support/doc-example.ts';
import { type Stage, setStage } from '../support/stage.ts';
import { PASSWORD, USERNAME } from '../support/test-server.ts';

const PAGE = 'docs/clients/stay-logged-in.md';

interface Held {
  readonly session_id: string;
  readonly access_token: string;
  readonly refresh_token: string;
  readonly salt: string;
}

interface Session {
  login(username: string, password: string, device?: string): Promise<void>;
  logout(): Promise<void>;
  fetch(input: string, init?: RequestInit): Promise<Response>;
}

interface Options {
  readonly url: string;
  readonly clientId: string;
  readonly storage: ReturnType<typeof makeStorage>;
  readonly onSignedOut?: (reason: string) => void;
  readonly attempts?: number;
}

/** Carries JSON, like a browser's. */
function makeStorage() {
  let text = 'null';
  return {
    get: () => JSON.parse(text) as Held | null,
    set: (value: object) => {
      text = JSON.stringify(value);
    },
    remove: () => {
      text = 'null';
    },
  };
}

const loadModule = async (): Promise<{ makeSession(options: Options): Session }> => {
  const folder = exampleFolder({ 'session.mjs': example(PAGE, 'session') });
  return import(pathToFileURL(`${folder}/session.mjs`).href) as Promise<{ makeSession(options: Options): Session }>;
};

const API = 'http://api.example/orders';

/** What becomes of a request to `/refresh`: `lost` is its answer, after the server has done its work. */
type Fault = 'lost' | 'never sent' | 503 | 502;

interface Traffic {
  refreshes: number;
  readonly keys: Set<string | null>;
  /** Of the next requests. */
  readonly faults: Fault[];
}

async function spoil(fault: Fault, request: () => Promise<Response>): Promise<Response> {
  if (fault === 503) return Response.json({ error: 'overloaded', error_description: 'Wait.' }, { status: 503 });
  if (fault === 502) return new Response('<html>bad gateway</html>', { status: 502 });
  if (fault === 'lost') await (await request()).arrayBuffer();
  throw new TypeError('fetch failed');
}

/** Stands between the page and both servers: the API asks `/verify`, the way to the auth server loses what it is told to. */
function watchTraffic({ server, issuer }: Stage): Traffic {
  const real = globalThis.fetch;
  onTestFinished(() => void vi.unstubAllGlobals());
  const traffic: Traffic = { refreshes: 0, keys: new Set(), faults: [] };

  async function api(headers: Headers): Promise<Response> {
    const { active, sub } = await server.verify(headers.get('authorization')?.replace('Bearer ', '') ?? '');
    return active === true ? Response.json({ of: sub }) : new Response(null, { status: 401 });
  }

  vi.stubGlobal('fetch', async (input: string, init: RequestInit = {}) => {
    const headers = new Headers(init.headers);
    if (input === API) return api(headers);
    if (input !== `${issuer}/refresh`) return real(input, init);
    traffic.refreshes += 1;
    traffic.keys.add(headers.get('idempotency-key'));
    const fault = traffic.faults.shift();
    return fault === undefined ? real(input, init) : spoil(fault, () => real(input, init));
  });
  return traffic;
}

async function prepare() {
  const stage = await setStage(await makeDatabase('sqlite'));
  await stage.server.addClient('web', { isPublic: true });
  const { makeSession } = await loadModule();
  const traffic = watchTraffic(stage);
  const storage = makeStorage();
  const signedOut: string[] = [];
  const open = (attempts = 5): Session =>
    makeSession({
      url: stage.issuer,
      clientId: 'web',
      storage,
      attempts,
      onSignedOut: (reason) => void signedOut.push(reason),
    });
  const session = open();
  await session.login(USERNAME, PASSWORD, 'phone');
  const held = (): Held => storage.get() ?? expect.fail('it holds no session');
  /** The access token runs out; the clock of the server alone counts. */
  const expire = (): void => stage.server.clock.advance(301_000);
  const call = async (through: Session): Promise<unknown> => (await through.fetch(API)).json();
  return { ...stage, traffic, storage, signedOut, open, session, held, expire, call };
}

test('logs in, calls an API, and logs out', async () => {
  const { server, session, held, storage, call } = await prepare();
  expect(await call(session)).toEqual({ of: server.subject });
  const { session_id, access_token } = held();
  expect(await server.family(session_id)).toMatchObject({ clientId: 'web', device: 'phone' });
  await session.logout();
  expect(storage.get()).toBeNull();
  expect(await server.verify(access_token)).toEqual({ active: false, reason: 'revoked' });
  await expect(session.fetch(API)).rejects.toThrow('not logged in');
});

test('a refused login says why, and holds nothing', async () => {
  const { session, storage } = await prepare();
  storage.remove();
  await expect(session.login(USERNAME, 'wrong')).rejects.toMatchObject({ status: 401, code: 'invalid_credentials' });
  expect(storage.get()).toBeNull();
});

test('refreshes once for any number of callers (rule 1), and stores the pair before it is used (rule 3)', async () => {
  const { server, session, held, traffic, expire, call } = await prepare();
  const before = held();
  expire();
  const answers = await Promise.all(Array.from({ length: 20 }, () => call(session)));
  expect(answers).toEqual(Array.from({ length: 20 }, () => ({ of: server.subject })));
  expect(traffic.refreshes).toBe(1);
  expect(held().refresh_token).not.toBe(before.refresh_token);
  expect(held().salt).toBe(before.salt);
  expect((await server.family(before.session_id)).generation).toBe(1);
});

test.each<readonly Fault[]>([
  ['lost', 503],
  ['never sent', 502],
])(
  'after %s and %s repeats the request with the same key; another refresh has another (rules 2 and 4)',
  async (...faults) => {
    const { server, session, held, traffic, signedOut, expire, call } = await prepare();
    expire();
    traffic.faults.push(...faults);
    expect(await call(session)).toEqual({ of: server.subject });
    expect([traffic.refreshes, traffic.keys.size]).toEqual([3, 1]);
    expire();
    expect(await call(session)).toEqual({ of: server.subject });
    expect(traffic.keys.size).toBe(2);
    for (const key of traffic.keys) expect(key).toMatch(/^[\w-]{43}$/);
    expect((await server.family(held().session_id)).generation).toBe(2);
    expect(signedOut).toEqual([]);
  },
);

test('without a network it gives up and stays logged in; a restart then gets the lost successor (rule 4)', async () => {
  const { server, open, held, traffic, signedOut, expire, call } = await prepare();
  expire();
  traffic.faults.push('lost');
  const before = held();
  await expect(open(1).fetch(API)).rejects.toThrow('still logged in');
  expect(held()).toEqual(before);
  expect(await call(open())).toEqual({ of: server.subject });
  expect((await server.family(before.session_id)).generation).toBe(1);
  expect(signedOut).toEqual([]);
});

test.each(['with', 'without'])('two tabs that share a storage share a session, %s Web Locks', async (locks) => {
  const { server, open, held, traffic, expire, call } = await prepare();
  if (locks === 'without') vi.stubGlobal('navigator', {});
  const tabs = [open(), open(), open()];
  for (let round = 1; round <= 3; round += 1) {
    expire();
    traffic.refreshes = 0;
    for (const answer of await Promise.all(tabs.map(call))) expect(answer).toEqual({ of: server.subject });
    expect((await server.family(held().session_id)).generation).toBe(round);
    if (locks === 'with') expect(traffic.refreshes).toBe(1);
  }
});

test('only invalid_grant ends the session, and the page hears why (rule 5)', async () => {
  const { server, session, held, storage, signedOut, expire } = await prepare();
  expire();
  await server.post('/logout', { refresh_token: held().refresh_token });
  await expect(session.fetch(API)).rejects.toMatchObject({ code: 'invalid_grant' });
  expect(signedOut).toEqual(['revoked']);
  expect(storage.get()).toBeNull();

  await session.login(USERNAME, PASSWORD);
  const copy = held();
  expire();
  await session.fetch(API);
  storage.set(copy);
  expire();
  // The same request again, with the same key: its successor is unused, so nothing is lost.
  await session.fetch(API);
  expire();
  await session.fetch(API);
  storage.set(copy);
  await expect(session.fetch(API)).rejects.toMatchObject({ code: 'invalid_grant' });
  expect(signedOut).toEqual(['revoked', 'reused']);
});
