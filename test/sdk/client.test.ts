/** `auth-server/client` (contract §11): whatever is lost, doubled or late on the way, nobody is signed out who need not be. */
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { type Client, type ClientOptions, createClient, type Session } from '../../src/sdk/client.ts';
import { describeOnBothDatabases, makeDatabase } from '../support/databases.ts';
import { PASSWORD, USERNAME } from '../support/test-server.ts';
import { until } from '../support/until.ts';
import { type Fault, jsonStorage, openApi, setSdkStage } from './support.ts';

/** Milliseconds that the client would have waited. It does not, because what these tests wait for is no time. */
const pauses: number[] = [];
vi.mock('../../src/sdk/timing.ts', async (original) => ({
  ...(await original<typeof import('../../src/sdk/timing.ts')>()),
  pause: (ms: number) => {
    pauses.push(ms);
    return new Promise((resolve) => setImmediate(resolve));
  },
}));
beforeEach(() => {
  pauses.length = 0;
});

const EXPIRED_MS = 301_000;
const OVERLOADED = { status: 503, text: '{"error":"overloaded","error_description":"Wait."}' };

async function prepare(url: string) {
  const stage = await setSdkStage(url);
  const api = await openApi(stage.server);
  const storage = jsonStorage();
  const signedOut: string[] = [];
  const open = (options: Partial<ClientOptions> = {}): Client =>
    createClient({
      issuer: stage.issuer,
      clientId: 'web',
      origins: [api.url],
      storage,
      onSignedOut: (reason) => void signedOut.push(reason),
      ...options,
    });
  const client = open();
  await client.login({ username: USERNAME, password: PASSWORD, device: 'phone' });
  return {
    ...stage,
    api,
    storage,
    signedOut,
    open,
    client,
    held: (): Session => storage.held() ?? expect.fail('it holds no session'),
    /** The access token runs out; the clock of the server alone counts. */
    expire: (): void => stage.server.clock.advance(EXPIRED_MS),
    call: async (through: Client): Promise<unknown> => (await through.fetch(`${api.url}/orders`)).json(),
    keys: (): Set<unknown> =>
      new Set(
        stage.proxy.requests.filter(({ path }) => path === '/refresh').map(({ headers }) => headers['idempotency-key']),
      ),
  };
}

describeOnBothDatabases('a client', (makeUrl) => {
  test('logs in, calls an API, and logs out', async () => {
    const { server, client, held, storage, call } = await prepare(await makeUrl());
    expect(await call(client)).toEqual({ of: server.subject });
    const { session_id, access_token, salt } = held();
    expect(salt).toMatch(/^[\w-]{43}$/);
    expect(await server.family(session_id)).toMatchObject({ clientId: 'web', device: 'phone' });
    await client.logout();
    expect(storage.held()).toBeNull();
    expect(await server.verify(access_token)).toEqual({ active: false, reason: 'revoked' });
    await expect(client.fetch('http://127.0.0.1:1/')).rejects.toMatchObject({ code: 'origin_not_allowed' });
    await expect(call(client)).rejects.toMatchObject({ code: 'not_logged_in' });
    await client.logout();
  });

  test('fifty callers at once make one refresh', async () => {
    const { server, client, held, proxy, expire, call } = await prepare(await makeUrl());
    const before = held();
    expire();
    const answers = await Promise.all(Array.from({ length: 50 }, () => call(client)));
    expect(answers).toEqual(Array.from({ length: 50 }, () => ({ of: server.subject })));
    expect(proxy.count('/refresh')).toBe(1);
    expect(held()).toMatchObject({ salt: before.salt, session_id: before.session_id });
    expect(held().refresh_token).not.toBe(before.refresh_token);
    expect((await server.family(before.session_id)).generation).toBe(1);
  });

  test.each<readonly Fault[]>([
    ['cut', OVERLOADED],
    ['never sent', { status: 502, text: '<html>bad gateway</html>' }],
    [{ status: 200, text: '<html>log in to this hotel</html>' }, { status: 200, text: '{"access_token":1}' }, 'cut'],
  ])('after %j and %j asks again under the same key, and nobody is signed out', async (...faults) => {
    const { server, client, held, proxy, signedOut, expire, call, keys } = await prepare(await makeUrl());
    for (let round = 1; round <= 2; round += 1) {
      expire();
      proxy.spoil('/refresh', ...faults);
      expect(await call(client)).toEqual({ of: server.subject });
      expect(proxy.count('/refresh')).toBe(round * (faults.length + 1));
      expect(keys().size).toBe(round);
      expect((await server.family(held().session_id)).generation).toBe(round);
    }
    expect(signedOut).toEqual([]);
  });

  test('gives up on a server that is away, keeps the session, and another process then gets the lost successor', async () => {
    const { server, client, held, open, proxy, signedOut, expire, call, keys } = await prepare(await makeUrl());
    expire();
    const before = held();
    proxy.spoil('/refresh', 'cut');
    proxy.spoilAll('never sent');
    await expect(call(client)).rejects.toMatchObject({ code: 'unreachable', message: /the session lives/ });
    expect(proxy.count('/refresh')).toBe(6);
    // Half a second and more, each time longer, and never all at the same moment.
    expect(pauses.map((ms, index) => ms / (500 * 2 ** index)).every((share) => share >= 0.5 && share <= 1)).toBe(true);
    expect(held()).toEqual(before);
    // As after a crash between the answer and the write.
    proxy.spoilAll(undefined);
    expect(await call(open())).toEqual({ of: server.subject });
    expect((await server.family(before.session_id)).generation).toBe(1);
    expect(keys().size).toBe(1);
    expect(signedOut).toEqual([]);
  });

  test.each(['with', 'without'])('tabs that share a storage share a session, %s Web Locks', async (locks) => {
    const { server, open, held, proxy, signedOut, expire, call } = await prepare(await makeUrl());
    if (locks === 'without') {
      vi.stubGlobal('navigator', {});
      onTestFinished(() => void vi.unstubAllGlobals());
    }
    const tabs = [open(), open(), open()];
    for (let round = 1; round <= 5; round += 1) {
      expire();
      const before = proxy.count('/refresh');
      for (const answer of await Promise.all(tabs.map(call))) expect(answer).toEqual({ of: server.subject });
      expect((await server.family(held().session_id)).generation).toBe(round);
      if (locks === 'with') expect(proxy.count('/refresh') - before).toBe(1);
    }
    expect(signedOut).toEqual([]);
  });

  test.each(['revoked', 'reused'])('an end is told once, as %s, and forgotten', async (reason) => {
    const { server, client, held, storage, signedOut, expire, call } = await prepare(await makeUrl());
    const copy = held();
    expire();
    if (reason === 'revoked') await server.post('/logout', { refresh_token: copy.refresh_token });
    else {
      // A copy of the session that does not share its storage: two refreshes on it is too old to be a repetition.
      await call(client);
      expire();
      await call(client);
      await storage.set(copy);
    }
    const outcomes = await Promise.allSettled([call(client), call(client)]);
    for (const outcome of outcomes)
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'invalid_grant', status: 401, reason } });
    expect(signedOut).toEqual([reason]);
    expect(storage.held()).toBeNull();
  });
});

const sqlite = (): Promise<string> => makeDatabase('sqlite');

test('a refused login says why, and holds nothing', async () => {
  const { client, storage, proxy } = await prepare(await sqlite());
  await client.logout();
  const login = client.login({ username: USERNAME, password: 'wrong' });
  await expect(login).rejects.toMatchObject({ name: 'ClientError', code: 'invalid_credentials', status: 401 });
  proxy.spoil('/login', OVERLOADED);
  await expect(client.login({ username: USERNAME, password: PASSWORD })).rejects.toMatchObject({ code: 'overloaded' });
  proxy.spoil('/login', 'cut');
  await expect(client.login({ username: USERNAME, password: PASSWORD })).rejects.toMatchObject({ code: 'unreachable' });
  expect(storage.held()).toBeNull();
});

test('by its own clock it refreshes before it asks, and a wrong clock costs a request, no more', async () => {
  const { server, client, api, held, storage, proxy, call, expire } = await prepare(await sqlite());
  await storage.set({ ...held(), expires_at: Date.now() - 1 });
  expire();
  expect(await call(client)).toEqual({ of: server.subject });
  expect(api.requests).toHaveLength(1);
  // Of a clock that was set back since: the API says that the token is too old.
  await storage.set({ ...held(), expires_at: Date.now() + 1e9 });
  expire();
  expect(await call(client)).toEqual({ of: server.subject });
  expect(api.requests).toHaveLength(3);
  expect(proxy.count('/refresh')).toBe(2);
});

test('a 401 that is not for the age of the token costs one refresh, and is passed on', async () => {
  const { client, api, proxy, signedOut } = await prepare(await sqlite());
  expect((await client.fetch(`${api.url}/never`)).status).toBe(401);
  expect(proxy.count('/refresh')).toBe(1);
  expect(api.requests).toHaveLength(2);
  expect(signedOut).toEqual([]);
});

test.each<[string, () => NonNullable<RequestInit['body']>]>([
  ['text', () => 'the body'],
  ['bytes', () => new TextEncoder().encode('the body')],
  ['a Blob', () => new Blob(['the body'])],
])('%s is sent again after a refresh', async (_name, body) => {
  const { client, api, expire } = await prepare(await sqlite());
  expire();
  const response = await client.fetch(`${api.url}/orders`, { method: 'POST', body: body() });
  expect(response.status).toBe(200);
  expect(api.requests.map((request) => request.body)).toEqual(['the body', 'the body']);
});

test('a Request keeps its headers and its body; a stream is sent once, and the next one gets through', async () => {
  const { client, api, expire } = await prepare(await sqlite());
  expire();
  const request = new Request(`${api.url}/orders`, { method: 'POST', body: 'the body', headers: { 'x-kept': 'yes' } });
  expect((await client.fetch(request)).status).toBe(200);
  expect(api.requests.map(({ body }) => body)).toEqual(['the body', 'the body']);

  expire();
  const send = async (): Promise<number> => {
    const body = new Blob(['streamed']).stream();
    const init = { method: 'POST', body, duplex: 'half' };
    return (await client.fetch(`${api.url}/orders`, init as RequestInit)).status;
  };
  expect(await send()).toBe(401);
  expect(await send()).toBe(200);
});

test('the access token goes to the origins that were named, and nowhere else', async () => {
  const { client, api, held } = await prepare(await sqlite());
  const stranger = await openApi();
  await expect(client.fetch(`${stranger.url}/orders`)).rejects.toMatchObject({ code: 'origin_not_allowed' });
  await expect(client.fetch('https://127.0.0.1/orders')).rejects.toMatchObject({ code: 'origin_not_allowed' });
  const elsewhere = `${api.url}/elsewhere?to=${encodeURIComponent(`${stranger.url}/orders`)}`;
  await expect(client.fetch(elsewhere)).rejects.toThrow();
  expect(stranger.requests).toEqual([]);
  // Who wants to follow may; the engine takes the token away.
  expect((await client.fetch(elsewhere, { redirect: 'follow' })).status).toBe(200);
  expect(stranger.requests).toEqual([{ path: '/orders', authorization: undefined, body: '' }]);
  expect(JSON.stringify(stranger.requests)).not.toContain(held().access_token);
});

test('a pair that another tab stored while ours was under way is not written over, nor is a logout undone', async () => {
  const { server, client, held, storage, open, proxy, call, expire } = await prepare(await sqlite());
  expire();
  const before = held();
  // Two tabs without a lock: the answer to this one comes when the other has refreshed twice.
  const other = open();
  expect(await call(other)).toEqual({ of: server.subject });
  const once = held();
  let reads = 0;
  const late = open({
    storage: {
      ...storage,
      // What it saw when it began, then what is there now.
      get: async () => {
        reads += 1;
        return reads <= 3 ? before : storage.get();
      },
    },
  });
  expect(await call(late)).toEqual({ of: server.subject });
  expect(proxy.count('/refresh')).toBe(2);
  expect(held()).toEqual(once);

  expire();
  const hold = Promise.withResolvers<void>();
  proxy.spoil('/refresh', hold.promise);
  const calling = call(client);
  await until(() => proxy.count('/refresh') === 3, 'it has asked');
  await storage.remove();
  hold.resolve();
  await expect(calling).rejects.toMatchObject({ code: 'not_logged_in' });
  expect(storage.held()).toBeNull();
});

test.each<[string, number]>([
  ['7', 7_000],
  ['86400', 30_000],
  ['soon', 0],
  [new Date(Date.now() + 3_600_000).toUTCString(), 30_000],
])('it leaves the server alone for as long as Retry-After says: %s', async (header, least) => {
  const { server, client, proxy, call, expire } = await prepare(await sqlite());
  expire();
  proxy.spoil('/refresh', { ...OVERLOADED, headers: { 'retry-after': header } });
  expect(await call(client)).toEqual({ of: server.subject });
  expect(pauses).toHaveLength(1);
  expect(pauses[0]).toBeGreaterThanOrEqual(Math.max(least, 250));
  expect(pauses[0]).toBeLessThanOrEqual(Math.max(least, 500));
});

test('a caller that gives up does not take the refresh from the others', async () => {
  const { server, client, api, proxy, expire, call } = await prepare(await sqlite());
  expire();
  const hold = Promise.withResolvers<void>();
  proxy.spoil('/refresh', hold.promise);
  const impatience = new AbortController();
  const impatient = client.fetch(`${api.url}/orders`, { signal: impatience.signal });
  const patient = call(client);
  await until(() => proxy.count('/refresh') === 1, 'it has asked');
  impatience.abort(new Error('no more'));
  await expect(impatient).rejects.toThrow('no more');
  hold.resolve();
  expect(await patient).toEqual({ of: server.subject });
  expect(proxy.count('/refresh')).toBe(1);
});

test('a browser goes to the login page, after the program has heard of it', async () => {
  const { server, open, held, signedOut, expire, call } = await prepare(await sqlite());
  const went: unknown[] = [];
  vi.stubGlobal('location', {
    origin: 'https://app.example',
    href: 'https://app.example/',
    assign: (url: string) => went.push([url, ...signedOut]),
  });
  onTestFinished(() => void vi.unstubAllGlobals());
  expire();
  await server.post('/logout', { refresh_token: held().refresh_token });
  await expect(call(open({ loginUrl: '/login' }))).rejects.toMatchObject({ code: 'invalid_grant' });
  expect(went).toEqual([['/login', 'revoked']]);
  // Without origins the page's own alone is let see the token.
  await expect(createClient({ issuer: 'https://auth.example' }).fetch('/orders')).rejects.toMatchObject({
    code: 'not_logged_in',
  });
});

test('what another program left in the storage is no session', async () => {
  const { client, storage, call } = await prepare(await sqlite());
  for (const left of [null, 'x', 7, {}, { access_token: 'a', refresh_token: '' }]) {
    await storage.set(left as never);
    await expect(call(client)).rejects.toMatchObject({ code: 'not_logged_in' });
  }
});
