/** Paths, methods and headers that try to be something else (security P1 to P15). */
import { describe, expect, test } from 'vitest';
import { makeDatabase } from '../support/databases.ts';
import { expectNoChange } from '../support/expectations.ts';
import { ISSUER, PASSWORD, startTestServer, type TestServer, USERNAME } from '../support/test-server.ts';
import { type Exchange, exchange, expectAlive, expectContractError, jsonRequest, rawRequest } from './raw.ts';

const start = async (config: Readonly<Record<string, unknown>> = {}): Promise<TestServer> =>
  startTestServer({ url: await makeDatabase('sqlite'), config });

const LOGIN = JSON.stringify({ username: USERNAME, password: PASSWORD });
const one = (server: TestServer, bytes: string): Promise<Exchange> => exchange(server.port, bytes, { answers: 1 });

describe('paths', () => {
  const others: [row: string, paths: readonly string[]][] = [
    [
      'P1',
      [
        '/nope',
        '/login/',
        '/LOGIN',
        '//login',
        '/login;x=1',
        '/login%00',
        '/login%20',
        '/login.',
        '/',
        '/login\\',
        '*',
      ],
    ],
    [
      'P2',
      [
        '/%6cogin',
        '/./login',
        '/a/../login',
        '/%2e%2e/login',
        '/%2Flogin',
        '/login/.',
        '/login/../login',
        '/x/%2e./login',
      ],
    ],
    ['P3', ['/%zz', '/%', '/login%', '/login%zz']],
  ];

  test.each(others)('%s: another spelling is another path, with 404', async (_row, paths) => {
    const server = await start();
    await expectNoChange(server, async () => {
      for (const path of paths) {
        const { answers } = await one(server, jsonRequest(path, LOGIN));
        expectContractError(answers[0], 404, 'not_found');
      }
      await expectAlive(server);
    });
  });

  test('P2: no other spelling reaches the protected endpoints either', async () => {
    const server = await start();
    for (const path of ['/%76erify', '//verify', '/verify/', '/oauth/../verify', '/%2fverify', '/admin/../verify']) {
      const body = JSON.stringify({ token: 'x' });
      const lines = [`Authorization: ${server.api.basic.authorization}`];
      const { answers } = await one(server, jsonRequest(path, body, lines));
      expectContractError(answers[0], 404, 'not_found');
    }
  });

  test('P3: a query is ignored, well-formed or not', async () => {
    const server = await start();
    for (const query of ['?%zz=1', '?', '?a=b&a=c', '?%00', `?${'a'.repeat(2_000)}`]) {
      const { answers } = await one(server, jsonRequest(`/login${query}`, LOGIN));
      expect(answers[0]?.status).toBe(200);
    }
  });

  test('P7: of an absolute form the host means nothing', async () => {
    const server = await start();
    const health = await one(server, rawRequest({ path: 'http://evil.example/healthz' }));
    expect(health.answers[0]?.status).toBe(200);
    const metadata = rawRequest({ path: 'http://evil.example/.well-known/oauth-authorization-server' });
    const { answers } = await one(server, metadata);
    expect(answers[0]?.status).toBe(200);
    expect(answers[0]?.body).not.toContain('evil');
    for (const path of [
      'http://evil.example/%6cogin',
      'http://evil.example',
      'ftp://evil.example/login',
      'login',
      'http:///login',
    ]) {
      expect((await one(server, jsonRequest(path, LOGIN))).answers[0]?.status).not.toBe(200);
    }
    expect(server.log()).not.toContain('evil');
  });

  test('P8: the issuer is the configured one, whatever the Host', async () => {
    const server = await start();
    const lines = ['Host: evil.example'];
    const { answers } = await one(server, rawRequest({ path: '/.well-known/oauth-authorization-server', lines }));
    expect(JSON.parse(answers[0]?.body ?? '')).toMatchObject({
      issuer: ISSUER,
      token_endpoint: `${ISSUER}/oauth/token`,
    });
    expect(answers[0]?.body).not.toContain('evil');
  });
});

describe('methods', () => {
  test('P4, P5: another method is 405 and says which is right', async () => {
    const server = await start();
    const rows: [method: string, path: string, allow: string][] = [
      ['GET', '/login', 'POST'],
      ['PUT', '/refresh', 'POST'],
      ['DELETE', '/verify', 'POST'],
      ['PATCH', '/logout', 'POST'],
      ['POST', '/healthz', 'GET, HEAD'],
      ['DELETE', '/.well-known/jwks.json', 'GET, HEAD'],
      ['TRACE', '/healthz', 'GET, HEAD'],
      ['PROPFIND', '/login', 'POST'],
    ];
    for (const [method, path, allow] of rows) {
      const { answers } = await one(server, rawRequest({ method, path, lines: ['Content-Length: 0'] }));
      expectContractError(answers[0], 405, 'method_not_allowed');
      expect(answers[0]?.headers.allow, `${method} ${path}`).toBe(allow);
      expect(answers[0]?.body).not.toContain('Content-Length');
    }
  });

  test('P6: HEAD is GET without a body, and 405 where there is no GET', async () => {
    const server = await start();
    for (const path of ['/healthz', '/readyz', '/.well-known/jwks.json', '/.well-known/oauth-authorization-server']) {
      const get = (await one(server, rawRequest({ path }))).answers[0];
      const { text, answers } = await one(server, rawRequest({ method: 'HEAD', path }));
      expect(answers[0]?.status).toBe(200);
      expect(answers[0]?.headers['content-length']).toBe(get?.headers['content-length']);
      expect(text.endsWith('\r\n\r\n')).toBe(true);
    }
    expect((await one(server, rawRequest({ method: 'HEAD', path: '/login' }))).answers[0]?.status).toBe(405);
  });

  test('P9: without configured origins nobody is told anything across origins', async () => {
    const server = await start();
    const lines = ['Origin: https://a.example', 'Access-Control-Request-Method: POST'];
    const { answers, text } = await one(server, rawRequest({ method: 'OPTIONS', path: '/login', lines }));
    expectContractError(answers[0], 405, 'method_not_allowed');
    expect(text).not.toMatch(/access-control/i);
  });

  test('P15: no header and no parameter changes the method', async () => {
    const server = await start();
    const lines = ['X-HTTP-Method-Override: DELETE', 'X-Method-Override: DELETE', 'X-HTTP-Method: DELETE'];
    expect((await one(server, rawRequest({ path: '/healthz?_method=DELETE', lines }))).answers[0]?.status).toBe(200);
    expect((await one(server, jsonRequest('/login?_method=GET', LOGIN, lines))).answers[0]?.status).toBe(200);
  });
});

describe('headers', () => {
  test('P10: only the configured origin, in exactly its spelling, may read an answer', async () => {
    const server = await start({ 'server.cors.origins': ['https://a.example'] });
    const preflight = (origin: string) =>
      rawRequest({
        method: 'OPTIONS',
        path: '/login',
        lines: [`Origin: ${origin}`, 'Access-Control-Request-Method: POST'],
      });
    const allowed = (await one(server, preflight('https://a.example'))).answers[0];
    expect(allowed).toMatchObject({
      status: 204,
      headers: {
        'access-control-allow-origin': 'https://a.example',
        'access-control-allow-headers': 'Authorization, Content-Type, Idempotency-Key',
        vary: 'Origin',
      },
    });
    expect(allowed?.headers).not.toHaveProperty('access-control-allow-credentials');
    for (const origin of [
      'https://a.example.evil',
      'http://a.example',
      'null',
      'https://A.example',
      'https://a.example:444',
      '*',
    ]) {
      const { text, answers } = await one(server, preflight(origin));
      expect(answers[0]?.status).toBe(405);
      expect(text).not.toMatch(/access-control-/i);
      const posted = await one(server, jsonRequest('/login', LOGIN, [`Origin: ${origin}`]));
      expect(posted.answers[0]?.headers.vary).toBe('Origin');
      expect(posted.text).not.toMatch(/access-control-/i);
    }
    // On an error, too: a page that may not read why cannot act on it.
    const refused = await one(server, jsonRequest('/refresh', '{}', ['Origin: https://a.example']));
    expect(refused.answers[0]).toMatchObject({
      status: 400,
      headers: { 'access-control-allow-origin': 'https://a.example' },
    });
    for (const path of ['/verify', '/forward-auth', '/oauth/introspect']) {
      const { text } = await one(server, jsonRequest(path, '{}', ['Origin: https://a.example']));
      expect(text).not.toMatch(/access-control-/i);
    }
  });

  test('P11: a well-formed X-Request-Id is kept, any other is replaced', async () => {
    const server = await start();
    const idFor = async (line: string): Promise<string | undefined> =>
      (await one(server, rawRequest({ lines: [line] }))).answers[0]?.headers['x-request-id'];
    for (const id of ['a', 'A-b_c.9', 'x'.repeat(128)]) expect(await idFor(`X-Request-Id: ${id}`)).toBe(id);
    for (const id of ['x'.repeat(129), 'a b', 'a/b', 'a"b', 'ä', '<script>', '']) {
      const replaced = await idFor(`X-Request-Id: ${id}`);
      expect(replaced).toMatch(/^[A-Za-z0-9._-]{1,128}$/);
      expect(replaced).not.toBe(id);
    }
    const ids = new Set<string | undefined>();
    for (let count = 0; count < 20; count += 1) ids.add(await idFor('X-A: b'));
    expect(ids.size).toBe(20);
  });

  test('P12: a token in the query opens nothing and is not logged', async () => {
    const server = await start();
    const pair = await server.login();
    const { access_token: access, refresh_token: refresh } = pair;
    const basic = [`Authorization: ${server.api.basic.authorization}`];
    const rows: [bytes: string, status: number][] = [
      [jsonRequest(`/verify?token=${access}`, '{}', basic), 400],
      [jsonRequest(`/verify?token=${access}`, '{}'), 401],
      [jsonRequest(`/sessions?access_token=${access}&refresh_token=${refresh}`, '{}'), 400],
      [
        rawRequest({
          path: `/forward-auth?access_token=${access}`,
          lines: [`X-Auth-Server-Client: api:${server.api.secret}`],
        }),
        401,
      ],
    ];
    for (const [bytes, status] of rows) expectContractError((await one(server, bytes)).answers[0], status);
    for (const secret of [access, refresh, server.api.secret]) expect(server.log()).not.toContain(secret.slice(-40));
  });

  test('P13: whatever is accepted, JSON comes', async () => {
    const server = await start();
    for (const accept of ['text/html', 'image/png', 'application/xml;q=1, */*;q=0']) {
      const refused = await one(server, jsonRequest('/login', '{}', [`Accept: ${accept}`]));
      expectContractError(refused.answers[0], 400, 'invalid_request');
      const health = await one(server, rawRequest({ lines: [`Accept: ${accept}`] }));
      expect(health.answers[0]?.headers['content-type']).toBe('application/json; charset=utf-8');
    }
  });

  test('P14: ranges and dates are ignored; an ETag of the JWKS is honoured', async () => {
    const server = await start();
    const odd = [
      'Range: bytes=0-3',
      'If-Modified-Since: Sat, 01 Jan 2050 00:00:00 GMT',
      'If-Match: "x"',
      'If-None-Match: *',
    ];
    expect((await one(server, rawRequest({ lines: odd }))).answers[0]).toMatchObject({
      status: 200,
      body: '{"status":"ok"}',
    });
    const path = '/.well-known/jwks.json';
    const jwks = (await one(server, rawRequest({ path, lines: odd.slice(0, 2) }))).answers[0];
    expect(jwks?.status).toBe(200);
    const etag = jwks?.headers.etag ?? '';
    expect(etag).toMatch(/^"[^"]+"$/);
    for (const known of [etag, `W/${etag}`, `"x", ${etag}`]) {
      const { text, answers } = await one(server, rawRequest({ path, lines: [`If-None-Match: ${known}`] }));
      expect(answers[0]?.status).toBe(304);
      expect(text.endsWith('\r\n\r\n')).toBe(true);
    }
    expect((await one(server, rawRequest({ path, lines: ['If-None-Match: "x"'] }))).answers[0]?.status).toBe(200);
  });
});
