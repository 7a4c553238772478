/** docs/user-service.md and its example are run as they stand: who implements a user service has nothing else. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { Webhook } from 'standardwebhooks';
import { expect, onTestFinished, test } from 'vitest';
import { makeDatabase } from '../support/databases.ts';
import { scratchFolder } from '../support/scratch.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

const root = path.dirname(path.dirname(import.meta.dirname));
const example = path.join(root, 'docs/examples/user-service');
const page = readFileSync(path.join(root, 'docs/user-service.md'), 'utf8');
const SECRET = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;

/** The blocks of JSON of the page that have this member. */
function shown(member: string): Record<string, unknown> {
  const blocks = [...page.matchAll(/```json\n(.*?)```/gs)].map(([, text = '']) => JSON.parse(text) as object);
  const block = blocks.find((one) => member in one);
  if (block === undefined) throw new Error(`the page shows no JSON with ${member}`);
  return block as Record<string, unknown>;
}

interface Example {
  readonly origin: string;
  run(args: readonly string[], env?: Record<string, string>): Promise<string>;
}

/** The example's service in a process of its own, with its own copy of users.json. */
async function startExample(): Promise<Example> {
  const folder = scratchFolder('user-service');
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const users = path.join(folder, 'users.json');
  copyFileSync(path.join(example, 'users.json'), users);
  const start = (args: readonly string[], env: Record<string, string>) =>
    spawn(process.execPath, [path.join(example, 'server.mjs'), ...args], {
      env: { USERS_FILE: users, USER_SERVICE_SECRET: SECRET, PORT: '0', ...env },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
  const service = start(['serve'], {});
  onTestFinished(async () => {
    const ended = once(service, 'exit');
    service.kill();
    await ended;
  });
  const [line] = (await once(service.stdout.setEncoding('utf8'), 'data')) as [string];
  return {
    origin: /http:\S+/.exec(line)?.[0] ?? '',
    async run(args, env = {}) {
      const child = start(args, env);
      child.stdin.end('correct horse battery staple\n');
      let text = '';
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      const [code] = (await once(child, 'close')) as [number];
      expect(code, text).toBe(0);
      return text.trim();
    },
  };
}

/** The configuration that the page shows, at the example's port. */
async function startServer({ origin }: Example): Promise<TestServer> {
  const { users, tokens } = shown('users') as {
    users: { directory: string; http: { url: string; statusUrl: string; timeout: string } };
    tokens: { claims: readonly string[] };
  };
  const at = (url: string): string => `${origin}${new URL(url).pathname}`;
  const server = await startTestServer({
    url: await makeDatabase('sqlite'),
    config: {
      'users.directory': users.directory,
      'users.http.url': at(users.http.url),
      'users.http.statusUrl': at(users.http.statusUrl),
      'users.http.secret': SECRET,
      'users.http.timeout': users.http.timeout,
      'tokens.claims': tokens.claims,
    },
  });
  // The example has the clock of this machine.
  server.clock.advance(Date.now() - server.clock.now());
  return server;
}

const ADA = { username: 'ada', password: 'correct horse battery staple' };

test('the example lets its user in, and nobody else', async () => {
  const server = await startServer(await startExample());
  const pair = await server.login(ADA);
  expect(await server.verify(pair.access_token)).toMatchObject({ active: true, sub: 'u-1001', roles: ['editor'] });
  await server.login({ ...ADA, username: ' Ada ' });
  const next = await server.refresh(pair);
  expect(await server.verify(next.access_token)).toMatchObject({ active: true, roles: ['editor'] });
  for (const wrong of [{ password: 'correct horse battery stapl' }, { username: 'bob' }, { username: '__proto__' }]) {
    const { status, body } = await server.tryLogin({ ...ADA, ...wrong });
    expect([status, body.error]).toEqual([401, 'invalid_credentials']);
  }
});

test('the example ends the sessions of a user it disables, and lets the user in no more', async () => {
  const service = await startExample();
  const server = await startServer(service);
  const admin = await server.addClient('user-service', { type: 'admin' });
  const pair = await server.login(ADA);
  const env = { AUTH_SERVER_URL: `http://127.0.0.1:${server.port}`, AUTH_SERVER_ADMIN_SECRET: admin.secret };
  await service.run(['disable', 'ada'], env);
  expect(await server.verify(pair.access_token)).toEqual({ active: false, reason: 'revoked' });
  expect((await server.tryLogin(ADA)).status).toBe(401);
});

test('the request that the page shows ends the sessions of a user', async () => {
  const server = await startTestServer({ url: await makeDatabase('sqlite') });
  const admin = await server.addClient('user-service', { type: 'admin' });
  const pair = await server.login();
  const [, request = ''] = /```http\n(.*?)```/s.exec(page) ?? [];
  const [head = '', text = ''] = request.trim().split('\n\n');
  const [line = '', ...headers] = head.split('\n');
  const [method = '', path = ''] = line.split(' ');
  const named = headers.map((header) => header.split(': ') as [string, string]);
  const answer = await server.send({
    method,
    path,
    headers: Object.fromEntries(
      named.map(([name, value]) => [name, value.replace("<the client's secret>", admin.secret)]),
    ),
    body: text.replace('u-1001', server.subject),
  });
  expect([answer.status, answer.text]).toEqual([204, '']);
  expect(await server.verify(pair.access_token)).toEqual({ active: false, reason: 'revoked' });
});

test('the example answers only what is signed, fresh and new', async () => {
  const service = await startExample();
  const webhook = new Webhook(SECRET);
  const body = JSON.stringify({ sub: 'u-1001' });
  const ask = async (id: string, at: number, signature: string, text = body): Promise<unknown> => {
    const seconds = Math.floor(at / 1_000);
    const headers = { 'webhook-id': id, 'webhook-timestamp': String(seconds), 'webhook-signature': signature };
    const response = await fetch(`${service.origin}/status`, { method: 'POST', headers, body: text });
    return [response.status, await response.json()];
  };
  const now = Date.now();
  const good = webhook.sign('a', new Date(now), body);
  const yes = [200, { active: true, claims: { roles: ['editor'] } }];
  expect(await ask('a', now, `v1,${'A'.repeat(43)}= ${good}`)).toEqual(yes);
  expect(await ask('a', now, good), 'a second time').toEqual([400, {}]);
  const other = new Webhook(`whsec_${Buffer.alloc(32, 8).toString('base64')}`);
  const refused: readonly (readonly [string, number, string, string?])[] = [
    ['b', now, good],
    ['c', now, other.sign('c', new Date(now), body)],
    ['d', now, webhook.sign('d', new Date(now), body), body.replace('1001', '1002')],
    ['e', now - 301_000, webhook.sign('e', new Date(now - 301_000), body)],
    ['f', now + 302_000, webhook.sign('f', new Date(now + 302_000), body)],
    ['g', now, ''],
  ];
  for (const [id, at, signature, text] of refused) {
    expect(await ask(id, at, signature, text), id).toEqual([400, {}]);
  }
});

test('the signature that the page shows is right', () => {
  const { secret, id, timestamp, body, signature } = shown('signature') as Record<string, string>;
  expect(new Webhook(String(secret)).sign(String(id), new Date(Number(timestamp) * 1_000), String(body))).toBe(
    signature,
  );
});

test('the hash that the example makes is one that it accepts', async () => {
  const service = await startExample();
  expect(await service.run(['hash'])).toMatch(/^[A-Za-z0-9+/]{22}==:[A-Za-z0-9+/]{43}=$/);
});
