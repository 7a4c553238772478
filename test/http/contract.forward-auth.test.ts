/** `/forward-auth` for proxies, as contract §3 has it: the token alone decides, and nothing but 200 carries an identity. */
import net from 'node:net';
import { expect, test } from 'vitest';
import { describeOnBothDatabases } from '../support/databases.ts';
import { expectNoChange, expectRefusal } from '../support/expectations.ts';
import type { Answer, Headers } from '../support/http-client.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

const BARE_CHALLENGE = 'Bearer realm="auth-server"';

const identityOf = (answer: Answer): string[] =>
  Object.keys(answer.headers).filter((name) => name.startsWith('x-auth'));

const proxyOf = (server: TestServer): Readonly<Record<string, string>> => ({
  'x-auth-server-client': `${server.api.id}:${server.api.secret}`,
});

/** Never 400, which nginx makes a 500; with a token that is no good the challenge says so (RFC 6750 §3.1). */
function expectChallenge(answer: Answer, error: 'none' | 'invalid_token'): void {
  const challenge = answer.headers['www-authenticate'];
  expect(answer.status).toBe(401);
  if (error === 'none') expect(challenge).toBe(BARE_CHALLENGE);
  else expect(challenge).toMatch(/^Bearer realm="auth-server", error="invalid_token", error_description="[^"\\]+"$/);
  expect(identityOf(answer)).toEqual([]);
}

describeOnBothDatabases('forward-auth', (makeDatabase) => {
  async function prepare() {
    const server = await startTestServer({ url: await makeDatabase() });
    const pair = await server.login();
    const good: Readonly<Record<string, string>> = { ...proxyOf(server), authorization: `Bearer ${pair.access_token}` };
    const ask = (headers: Headers, path = '/forward-auth', method = 'GET') => server.send({ method, path, headers });
    const expectGranted = (answer: Answer): void => {
      expect(answer).toMatchObject({
        status: 200,
        text: '',
        headers: {
          'cache-control': 'no-store',
          'x-auth-subject': server.subject,
          'x-auth-session': pair.session_id,
          'x-auth-client': 'default',
          'x-auth-claims': 'e30',
        },
      });
      expect(identityOf(answer).toSorted()).toEqual([
        'x-auth-claims',
        'x-auth-client',
        'x-auth-session',
        'x-auth-subject',
      ]);
    };
    return { server, pair, good, ask, expectGranted };
  }

  test('a good token is 200 with an empty body and four headers, whatever the method and the path below (V8)', async () => {
    const { server, good, ask, expectGranted } = await prepare();
    await expectNoChange(server, async () => {
      const paths = [
        '/forward-auth',
        '/forward-auth/',
        '/forward-auth/a/b?c=d',
        '/forward-auth/%2e%2e/login',
        '/forward-auth/../x',
        '/forward-auth//',
        '/forward-auth?x=%zz',
      ];
      for (const path of paths) expectGranted(await ask(good, path));
      for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND'])
        expectGranted(await ask(good, '/forward-auth/x', method));
    });
    for (const path of ['/forward-authx', '/forward-auth%2fx', '/Forward-Auth', '//forward-auth'])
      expectRefusal(await ask(good, path), 404, 'not_found');
  });

  test('without a bearer token the challenge stands alone (V6)', async () => {
    const { server, good, ask } = await prepare();
    const proxy = proxyOf(server);
    for (const method of ['GET', 'HEAD', 'POST']) expectChallenge(await ask(proxy, '/forward-auth', method), 'none');
    for (const authorization of [server.api.basic.authorization ?? '', 'Digest x', '', 'Basic !!!']) {
      expectChallenge(await ask({ ...proxy, authorization }), 'none');
    }
    expect((await ask(good)).status).toBe(200);
  });

  test('a token that is malformed, expired, revoked, for another audience, or sent twice is 401 invalid_token (V6 J50)', async () => {
    const { server, pair, good, ask } = await prepare();
    const { access_token: at } = pair;
    const bad = [
      `${at}=`,
      at.slice(0, -2),
      pair.refresh_token,
      server.api.secret,
      'x',
      `${at} ${at}`,
      `${at},${at}`,
      `é${at}`,
      'A'.repeat(9_000),
    ];
    for (const token of bad) expectChallenge(await ask({ ...good, authorization: `Bearer ${token}` }), 'invalid_token');
    expectChallenge(await ask({ ...good, authorization: 'Bearer' }), 'invalid_token');
    expectChallenge(await ask({ ...good, authorization: [`Bearer ${at}`, `Bearer ${at}`] }), 'invalid_token');

    const orders = await server.addClient('orders', { type: 'resource-server', audiences: ['orders'] });
    expectChallenge(await ask({ ...good, 'x-auth-server-client': `orders:${orders.secret}` }), 'invalid_token');
    const sibling = await server.login();
    await server.post('/logout', { refresh_token: sibling.refresh_token });
    expectChallenge(await server.forwardAuth(sibling.access_token), 'invalid_token');
    server.clock.advance(300_000);
    expectChallenge(await ask(good), 'invalid_token');
  });

  test('a bad proxy credential is 403, whatever the token (V7)', async () => {
    const { server, good, ask } = await prepare();
    const app = await server.addClient('backend');
    const admin = await server.addClient('ops', { type: 'admin' });
    const { id, secret } = server.api;
    const { 'x-auth-server-client': right, ...without } = good;
    const wrong = [
      '',
      id,
      secret,
      `:${secret}`,
      `${id}:wrong`,
      `${id}:`,
      `nobody:${secret}`,
      `${right} `.concat('x'),
      `backend:${app.secret}`,
      `ops:${admin.secret}`,
      server.api.basic.authorization ?? '',
      [right ?? '', right ?? ''],
      [right ?? '', `${id}:wrong`],
    ];
    await expectNoChange(server, async () => {
      for (const credential of [undefined, ...wrong]) {
        for (const token of [good, {}]) {
          const { authorization } = { ...without, ...token };
          const answer = await ask({
            authorization: authorization ?? '',
            ...(credential === undefined ? {} : { 'x-auth-server-client': credential }),
          });
          expectRefusal(answer, 403, 'forbidden');
          expect(identityOf(answer)).toEqual([]);
        }
      }
    });
  });

  test('what the caller says of itself has no influence: X-Auth-*, forwarded headers, cookies, query, body (V8 V9)', async () => {
    const { server, good, ask, expectGranted } = await prepare();
    const claims = {
      'x-auth-subject': 'admin',
      x_auth_subject: 'admin',
      'x-auth-claims': 'eyJhZG1pbiI6dHJ1ZX0',
      'x-auth-client': 'ops',
      'x-auth-session': 'x',
      'x-forwarded-uri': '/login',
      'x-forwarded-method': 'POST',
      'x-forwarded-for': '192.0.2.9',
      'x-forwarded-host': 'evil',
      'x-original-url': '/admin',
      cookie: `junk=${'x'.repeat(2_000)}; access_token=x`,
      'x-http-method-override': 'DELETE',
    };
    expectGranted(await ask({ ...good, ...claims }, '/forward-auth/x?access_token=x&token=y', 'POST'));
    expectChallenge(await ask({ ...proxyOf(server), ...claims }), 'none');
    for (const body of ['{', 'x'.repeat(20_000)]) {
      const sending = {
        method: 'POST',
        path: '/forward-auth',
        headers: { ...good, 'content-type': 'text/plain' },
        body,
      };
      expectGranted(await server.send(sending));
    }
  });

  test('a body is not waited for', async () => {
    const { server, good } = await prepare();
    const head = Object.entries(good).map(([name, value]) => `${name}: ${value}\r\n`);
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = net.connect(server.port, '127.0.0.1');
      socket.write(`POST /forward-auth HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n${head.join('')}\r\n`);
      socket.once('data', (bytes) => {
        resolve(bytes.toString('latin1'));
        socket.destroy();
      });
      socket.on('error', reject);
    });
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
  });
});
