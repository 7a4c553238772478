/** Paths, methods, request ids, and what happens before and beyond every handler: the first table of contract §3. */
import net from 'node:net';
import { expect, test } from 'vitest';
import { describeOnBothDatabases } from '../support/databases.ts';
import { expectNoChange, expectRefusal } from '../support/expectations.ts';
import { endpoints, JSON_TYPE } from '../support/native-endpoints.ts';
import { startTestServer } from '../support/test-server.ts';
import { until } from '../support/until.ts';

/** Sends bytes as they are, and gives back what comes until the connection closes. */
function sendBytes(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = net.connect(port, '127.0.0.1', () => socket.write(bytes));
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    socket.on('close', () => resolve(text)).on('error', reject);
  });
}

describeOnBothDatabases('every native endpoint', (makeDatabase) => {
  async function prepare(config: Readonly<Record<string, unknown>> = {}) {
    const server = await startTestServer({ url: await makeDatabase(), config });
    return { server, all: endpoints(server, await server.login()) };
  }

  test('answers 405 with Allow to another method (P4 P5 P6 P9)', async () => {
    const { server, all } = await prepare();
    await expectNoChange(server, async () => {
      for (const { path, headers } of all) {
        for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE']) {
          const answer = await server.send({ method, path, headers });
          expect(answer, `${method} ${path}`).toMatchObject({ status: 405, headers: { allow: 'POST' } });
          expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control-'))).toEqual([]);
          if (method !== 'HEAD') expectRefusal(answer, 405, 'method_not_allowed', { names: 'POST' });
        }
      }
    });
  });

  test('answers 404 to any other spelling of its path (P1 P2 P3)', async () => {
    const { server, all } = await prepare();
    await expectNoChange(server, async () => {
      for (const { path, headers, body } of all) {
        const coded = `/%${path.charCodeAt(1).toString(16)}${path.slice(2)}`;
        const spellings = [
          `${path}/`,
          path.toUpperCase(),
          `/${path}`,
          `${path};x=1`,
          `${path}%00`,
          coded,
          `/.${path}`,
          `/a/..${path}`,
          `/%2e%2e${path}`,
        ];
        for (const spelling of spellings) {
          const sending = {
            method: 'POST',
            path: spelling,
            headers: { ...JSON_TYPE, ...headers },
            body: JSON.stringify(body),
          };
          expectRefusal(await server.send(sending), 404, 'not_found');
        }
      }
      for (const path of ['/', '/nope', '/%zz', '*']) expectRefusal(await server.send({ path }), 404, 'not_found');
    });
  });

  test('keeps a well-formed X-Request-Id and replaces any other (P11)', async () => {
    const { server, all } = await prepare();
    for (const { path, headers } of all) {
      const idFor = async (id: string | readonly string[]): Promise<string | string[] | undefined> =>
        (await server.post(path, {}, { ...headers, 'x-request-id': id })).headers['x-request-id'];
      expect(await idFor('a.B-9_')).toBe('a.B-9_');
      expect(await idFor('x'.repeat(128))).toBe('x'.repeat(128));
      for (const bad of ['', 'x'.repeat(129), 'a b', 'a\tb', 'é', ['a', 'b'], '<x>'])
        expect(bad).not.toBe(await idFor(bad));
      expect(await idFor('a b')).not.toBe(await idFor('a b'));
    }
  });

  test('answers what the HTTP parser refuses in the same form (H1 H2 H4 H8 H17)', async () => {
    const { server } = await prepare();
    const host = `Host: 127.0.0.1:${server.port}\r\n`;
    const cases: readonly (readonly [bytes: string, status: number])[] = [
      [`GET /healthz HTTP/1.1\r\n${host}X: ${'x'.repeat(17_000)}\r\n\r\n`, 431],
      [`POST /login HTTP/1.1\r\n${host}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}`, 400],
      [`POST /login HTTP/1.1\r\n${host}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`, 400],
      [`GET /healthz HTTP/1.1\r\n${host}${host}\r\n`, 400],
      ['GET /healthz HTTP/1.1\r\n\r\n', 400],
      ['GET /healthz\r\n\r\n', 400],
      ['\x16\x03\x01\x02\x00\x01', 400],
    ];
    await expectNoChange(server, async () => {
      for (const [bytes, status] of cases) {
        const [head = '', body = ''] = (await sendBytes(server.port, bytes)).split('\r\n\r\n');
        expect(head, bytes.slice(0, 40)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
        expect(head).toMatch(/^content-type: application\/json; charset=utf-8$/im);
        expect(head).toMatch(/^x-request-id: \S+$/im);
        expect(JSON.parse(body)).toEqual({
          error: expect.any(String),
          error_description: expect.stringMatching(/^[A-Z].*\.$/),
        });
      }
    });
  });

  test('beyond server.maxInFlight the answer is 503 overloaded with Retry-After: 1, and /healthz still answers', async () => {
    const { server } = await prepare({ 'server.maxInFlight': 1 });
    const socket = net.connect(server.port, '127.0.0.1');
    socket.write(`POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{`);
    await until(async () => (await server.post('/login', {})).status === 503, 'the first request is in flight');
    const answer = await expectNoChange(server, () => server.tryLogin());
    expectRefusal(answer, 503, 'overloaded');
    expect(answer.headers['retry-after']).toBe('1');
    expect((await server.send({ path: '/healthz' })).status).toBe(200);
    socket.destroy();
    await until(async () => (await server.tryLogin()).status === 200, 'the first request has gone');
  });

  test('anything unforeseen is 500 server_error, with the cause in the log under the request id', async () => {
    const { server } = await prepare();
    server.expectTrouble();
    await server.app.store.write((tx) => tx.sql.schema.dropTable('login_attempts').execute());
    const answer = await server.tryLogin({ headers: { 'x-request-id': 'find-me' } });
    expectRefusal(answer, 500, 'server_error', { names: 'find-me' });
    expect(server.log()).toMatch(/"level":"error".*"request_id":"find-me".*login_attempts/);
  });
});
