/**
 * 3.10, X1 to X5: who called, behind a real nginx in front of auth-server, with the configuration of docs/proxies/nginx.md.
 * Other addresses of loopback stand for other machines.
 */
import { expect, test } from 'vitest';
import { makeDatabase } from '../support/databases.ts';
import { PASSWORD, startTestServer, type TestServer, USERNAME } from '../support/test-server.ts';
import { type Caller, makeCaller, type Question } from './around.ts';
import { documented, type Substitutions } from './documented.ts';
import { startNginx } from './proxy.ts';

const HOST = 'auth.example.com';
const OVERWRITES = 'proxy_set_header X-Forwarded-For $remote_addr;';
/** The line that the page gives to whoever has a second proxy in front. */
const APPENDS = 'proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;';

interface Stage {
  readonly server: TestServer;
  readonly caller: Caller;
}

async function setStage(config: Record<string, unknown>, replaced: Substitutions = []): Promise<Stage> {
  const server = await startTestServer({
    url: await makeDatabase('sqlite'),
    // What takes long here is a machine that does other things too.
    config: { 'server.requestTimeout': '60s', ...config },
  });
  const upstream = `127.0.0.1:${server.port}`;
  const proxy = await startNginx({
    host: HOST,
    site: 'auth.conf',
    substitutions: () => [['127.0.0.1:8081', upstream], ['    server 127.0.0.1:8082 max_fails=0;\n', ''], ...replaced],
  });
  return { server, caller: makeCaller(proxy, HOST) };
}

/** Logs in through the proxy. @returns what the server took as the caller's address */
async function addressOf({ server, caller }: Stage, question: Question): Promise<unknown> {
  const answer = await caller.ask({
    method: 'POST',
    path: '/login',
    ...question,
    headers: [['Content-Type', 'application/json'], ...(question.headers ?? [])],
    body: JSON.stringify({ username: USERNAME, password: PASSWORD }),
  });
  expect(answer.status).toBe(200);
  const { session_id: sid }: { session_id: string } = JSON.parse(answer.text);
  return (await server.family(sid)).origin.ip;
}

const FORGED = [
  ['X-Forwarded-For', '1.2.3.4'],
  ['Forwarded', 'for=1.2.3.4'],
  ['X-Real-IP', '1.2.3.4'],
] as const;

const { server: documentedServer }: { server: Record<string, unknown> } = JSON.parse(
  documented('proxies/nginx.md', 'auth.config.json'),
);
const TRUSTED = { 'server.trustedProxies': documentedServer.trustedProxies };

test('X1: a proxy that is not trusted is the caller itself, whatever it and others say', async () => {
  const stage = await setStage({});
  expect(await addressOf(stage, { headers: FORGED, from: '127.0.0.2' })).toBe('127.0.0.1');
});

test('X1: behind the trusted nginx of the page the address is the real one, whatever the caller says', async () => {
  const stage = await setStage(TRUSTED);
  expect(await addressOf(stage, { from: '127.0.0.2' })).toBe('127.0.0.2');
  expect(await addressOf(stage, { from: '127.0.0.3', headers: FORGED })).toBe('127.0.0.3');
});

test('X2: behind two proxies it is the right-most address that is not trusted', async () => {
  const config = { 'server.trustedProxies': ['127.0.0.1', '127.0.0.9'] };
  const stage = await setStage(config, [[OVERWRITES, APPENDS]]);
  const headers = [['X-Forwarded-For', '1.2.3.4, 10.0.0.1']] as const;
  // The first proxy is trusted, and what it was told is not.
  expect(await addressOf(stage, { from: '127.0.0.9', headers })).toBe('10.0.0.1');
  expect(await addressOf(stage, { from: '127.0.0.5', headers })).toBe('127.0.0.5');
});

test('X3: junk in the header is no address, no key and no fault', async () => {
  const stage = await setStage({ 'server.trustedProxies': ['127.0.0.1'] }, [[OVERWRITES, APPENDS]]);
  const junk = ['a.b.c.d', '1.2.3.4:80', '[::1]:9', '::ffff:1.2.3.4', 'unknown', '', Array(300).fill('1.1.1.1').join()];
  for (const value of [...junk, 'x'.repeat(7_000)]) {
    expect(await addressOf(stage, { from: '127.0.0.2', headers: [['X-Forwarded-For', value]] })).toBe('127.0.0.2');
  }
  // Where the proxy itself is all that is trusted, the hop before it may be any of these.
  const chain = await setStage({ 'server.trustedProxies': ['127.0.0.0/8'] }, [[OVERWRITES, APPENDS]]);
  const given = async (value: string): Promise<unknown> =>
    addressOf(chain, { from: '127.0.0.2', headers: [['X-Forwarded-For', value]] });
  expect(await given('1.2.3.4:80')).toBe('1.2.3.4');
  expect(await given('::ffff:1.2.3.4')).toBe('1.2.3.4');
  expect(await given('[2001:DB8::1]:9')).toBe('2001:db8::1');
  for (const value of ['a.b.c.d', 'unknown', '']) expect(await given(value)).toBe('127.0.0.2');
});

test('X4: twenty addresses of one IPv6 /64, in any spelling, are throttled as one', async () => {
  const config = { 'server.trustedProxies': ['127.0.0.0/8'], 'login.maxFailuresPerAddress': 10 };
  const { caller } = await setStage(config, [[OVERWRITES, APPENDS]]);
  const statuses: number[] = [];
  for (let index = 0; index < 20; index += 1) {
    const address = index % 2 === 0 ? `2001:DB8:0:7:${index}::1` : `2001:0db8:0000:0007:0:0:${index}:1`;
    const answer = await caller.ask({
      method: 'POST',
      path: '/login',
      headers: [
        ['Content-Type', 'application/json'],
        ['X-Forwarded-For', address],
      ],
      body: JSON.stringify({ username: `nobody-${index}`, password: 'wrong password' }),
    });
    statuses.push(answer.status);
  }
  expect(statuses).toEqual([...Array(10).fill(401), ...Array(10).fill(429)]);
});

test('X5: forged X-Forwarded-Proto, -Host and -Prefix change nothing in the metadata', async () => {
  const { server, caller } = await setStage(TRUSTED);
  const path = '/.well-known/oauth-authorization-server';
  const headers = [
    ['X-Forwarded-Proto', 'http'],
    ['X-Forwarded-Host', 'evil.example'],
    ['X-Forwarded-Prefix', '/evil'],
  ] as const;
  const plain = await server.send({ path });
  const answer = await caller.ask({ path, headers });
  expect(answer).toMatchObject({ status: 200, text: plain.text });
});

test('nginx lets nobody from outside at what is for services and administrators', async () => {
  const { caller } = await setStage(TRUSTED);
  for (const path of ['/admin/v1/keys', '/verify', '/forward-auth', '/oauth/introspect', '/revocations', '/metrics']) {
    expect({ path, status: (await caller.ask({ path })).status }).toEqual({ path, status: 404 });
  }
  expect((await caller.ask({ path: '/_once/login' })).status).toBe(404);
  expect((await caller.ask({ path: '/.well-known/jwks.json' })).status).toBe(200);
});

test('while no server answers nginx says so as auth-server would', async () => {
  const { server, caller } = await setStage(TRUSTED);
  await server.stop();
  const answer = await caller.ask({ method: 'POST', path: '/refresh', body: '{}' });
  expect(answer.status).toBe(503);
  expect(answer.headers).toMatchObject({
    'retry-after': '1',
    'content-type': 'application/json',
    'cache-control': 'no-store',
  });
  expect(JSON.parse(answer.text)).toMatchObject({ error: 'temporarily_unavailable' });
});
