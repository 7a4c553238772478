/** HTTP framing on a raw socket (security H1 to H24): what is no HTTP is refused in the contract's words, and nothing dies. */
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { makeDatabase } from '../support/databases.ts';
import { expectNoChange } from '../support/expectations.ts';
import { PASSWORD, startTestServer, type TestServer, USERNAME } from '../support/test-server.ts';
import { until } from '../support/until.ts';
import { exchange, expectAlive, expectContractError, expectRefusedAndClosed, jsonRequest, rawRequest } from './raw.ts';

const start = async (config: Readonly<Record<string, unknown>> = {}): Promise<TestServer> =>
  startTestServer({ url: await makeDatabase('sqlite'), config });

const LOGIN = JSON.stringify({ username: USERNAME, password: PASSWORD });
const WRONG = JSON.stringify({ username: USERNAME, password: 'wrong password' });
const chunked = (body: string, lines: readonly string[] = []): string =>
  rawRequest({
    method: 'POST',
    path: '/login',
    lines: ['Content-Type: application/json', 'Transfer-Encoding: chunked', ...lines],
    body,
  });
const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;

test('H1 to H10, H16, H24: what is no request is refused, closed, and changes nothing', async () => {
  const server = await start();
  const post = (lines: readonly string[], body = '{}'): string =>
    rawRequest({ method: 'POST', path: '/login', lines: ['Content-Type: application/json', ...lines], body });
  const rows: [row: string, bytes: string | Buffer, status?: number][] = [
    ['H1 no Host', 'GET /healthz HTTP/1.1\r\n\r\n'],
    ['H2 two Hosts', rawRequest({ lines: ['Host: a', 'Host: a'] })],
    ['H2 two Hosts that differ', rawRequest({ lines: ['Host: a', 'Host: b'] })],
    ['H3 a Host that is none', rawRequest({ lines: ['Host: a b/c'] })],
    ['H3 an empty Host', rawRequest({ lines: ['Host:'] })],
    ['H3 a Host with a user', rawRequest({ lines: ['Host: a@b'] })],
    ['H4 both lengths', post(['Content-Length: 2', 'Transfer-Encoding: chunked'], '0\r\n\r\n')],
    ['H4 both lengths, the other way round', post(['Transfer-Encoding: chunked', 'Content-Length: 2'], '0\r\n\r\n')],
    ['H5 two equal lengths', post(['Content-Length: 2', 'Content-Length: 2'])],
    ['H5 two lengths', post(['Content-Length: 2', 'Content-Length: 3'])],
    ...['-1', '+2', '2,2', '0x2', '2 2', '1e1', '99999999999999999999'].map((length): [string, string] => [
      `H5 length ${length}`,
      post([`Content-Length: ${length}`]),
    ]),
    ['H6 chunked, then identity', post(['Transfer-Encoding: chunked, identity'], '0\r\n\r\n')],
    ['H6 xchunked', post(['Transfer-Encoding: xchunked'], '0\r\n\r\n')],
    ['H6 chunked twice', post(['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], '0\r\n\r\n')],
    ['H7 a space before the colon', rawRequest({ lines: ['X-A : b'] })],
    ['H7 a folded header', rawRequest({ lines: ['X-A: b', ' c'] })],
    ['H7 a bare LF', 'GET /healthz HTTP/1.1\nHost: a\n\n'],
    ['H7 a NUL in a value', rawRequest({ lines: ['X-A: b\0c'] })],
    ['H7 a CR in a value', rawRequest({ lines: ['X-A: b\rc'] })],
    ['H8 one long header', rawRequest({ lines: [`X-A: ${'a'.repeat(17_000)}`] }), 431],
    ['H8 many headers', rawRequest({ lines: Array.from({ length: 90 }, (_, n) => `X-${n}: ${'a'.repeat(200)}`) }), 431],
    ['H8 a long request line', rawRequest({ path: `/${'a'.repeat(17_000)}` }), 431],
    ['H9 a chunk size that is none', chunked('ZZ\r\n{}\r\n0\r\n\r\n')],
    ['H9 a negative chunk size', chunked('-2\r\n{}\r\n0\r\n\r\n')],
    ['H9 a chunk size of 2^64', chunked('10000000000000000\r\n{}\r\n0\r\n\r\n')],
    ['H10 a chunk extension of 20 KiB', chunked(`2;${'a'.repeat(20_480)}\r\n{}\r\n0\r\n\r\n`), 413],
    ['H16 a TLS ClientHello', Buffer.from('16030100c8010000c40303', 'hex')],
    ['H16 random bytes', Buffer.concat([Buffer.from([0xff, 0xfe]), randomBytes(64)])],
    ['H24 method FOO', rawRequest({ method: 'FOO' })],
    ['H24 method post', rawRequest({ method: 'post', path: '/login' })],
  ];
  await expectNoChange(server, async () => {
    for (const [row, bytes, status = 400] of rows) {
      await expectRefusedAndClosed(server, bytes, status).catch((error: unknown) => {
        throw new Error(`${row}: ${String(error)}`);
      });
    }
  });
});

test('H24: CONNECT is closed', async () => {
  const server = await start();
  const { isClosed } = await exchange(server.port, 'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n');
  expect(isClosed).toBe(true);
  await expectAlive(server);
});

describe('what never comes to its end', () => {
  const LIMIT = 1_000;
  /** How late it may be: time-outs are looked for every second, and the machine may be busy. What drips would take longer. */
  const within = LIMIT + 1_000 + 5_000;
  const slow = (): Promise<TestServer> => start({ 'server.requestTimeout': `${LIMIT}ms` });
  const pause = { everyMs: 300 };

  test('H11: a chunked body without end is given up, and no login is counted', async () => {
    const server = await slow();
    await expectNoChange(server, async () => {
      const drip = { ...pause, bytes: Array.from({ length: 40 }, () => chunk(' ')) };
      const { answers, ms } = await exchange(server.port, chunked(chunk('{')), { drip });
      if (answers.length > 0) expectContractError(answers[0], 408);
      expect(ms).toBeLessThan(within);
      await expectAlive(server);
    });
  });

  test('H12: headers one byte at a time are given up', async () => {
    const server = await slow();
    const drip = { ...pause, bytes: [...'X-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'] };
    const { answers, isClosed, ms } = await exchange(server.port, 'GET /healthz HTTP/1.1\r\nHost: a\r\n', { drip });
    if (answers.length > 0) expectContractError(answers[0], 408);
    expect(isClosed).toBe(true);
    expect(ms).toBeLessThan(within);
    await expectAlive(server);
  });

  test('H13: a body shorter than announced, then silence: given up, and no login is counted', async () => {
    const server = await slow();
    await expectNoChange(server, async () => {
      const bytes = jsonRequest('/login', WRONG).replace(/Content-Length: \d+/, 'Content-Length: 500');
      const { answers, isClosed, ms } = await exchange(server.port, bytes);
      if (answers.length > 0) expectContractError(answers[0], 408);
      expect(isClosed).toBe(true);
      expect(ms).toBeLessThan(within);
      await expectAlive(server);
    });
  });

  test('H14: a body shorter than announced, then an end or a reset: nothing changes', async () => {
    const server = await start();
    await expectNoChange(server, async () => {
      const bytes = jsonRequest('/login', WRONG).replace(/Content-Length: \d+/, 'Content-Length: 500');
      for (const then of ['end', 'reset'] as const) {
        const { isClosed } = await exchange(server.port, bytes, { then });
        expect(isClosed).toBe(true);
      }
      await expectAlive(server);
    });
  });

  test('H23: a thousand connections that send nothing are closed, and others are served meanwhile', async () => {
    const server = await slow();
    let closed = 0;
    const sockets = Array.from({ length: 1_000 }, () =>
      connect(server.port, '127.0.0.1')
        .on('error', () => undefined)
        .on('close', () => {
          closed += 1;
        })
        .resume(),
    );
    try {
      await expectAlive(server);
      const started = performance.now();
      await until(() => closed === sockets.length, 'every silent connection is closed');
      expect(performance.now() - started).toBeLessThan(within);
      await expectAlive(server);
    } finally {
      for (const socket of sockets) socket.destroy();
    }
  });
});

describe('what looks odd and is allowed', () => {
  test('H15: requests that come at once are answered in order', async () => {
    const server = await start();
    const bytes = rawRequest({ path: '/nope' }) + jsonRequest('/login', LOGIN) + rawRequest({ path: '/healthz' });
    const { answers } = await exchange(server.port, bytes, { answers: 3 });
    expect(answers.map((answer) => answer.status)).toEqual([404, 200, 200]);
  });

  test('H17: HTTP/0.9 and HTTP/2.0 as text are refused', async () => {
    const server = await start();
    for (const bytes of [
      'GET /healthz\r\n\r\n',
      rawRequest({ version: 'HTTP/2.0' }),
      rawRequest({ version: 'HTTP/1.2' }),
    ]) {
      await expectRefusedAndClosed(server, bytes);
    }
  });

  test('H18: an offer to upgrade is not taken', async () => {
    const server = await start();
    for (const protocol of ['h2c', 'websocket']) {
      const lines = ['Connection: Upgrade, HTTP2-Settings', `Upgrade: ${protocol}`, 'HTTP2-Settings: AAMAAABkAAQAAP__'];
      const { answers } = await exchange(server.port, rawRequest({ lines }), { answers: 1 });
      expect(answers[0]?.status).toBe(200);
    }
    const upgraded = jsonRequest('/login', LOGIN, ['Connection: Upgrade', 'Upgrade: websocket']);
    expect((await exchange(server.port, upgraded, { answers: 1 })).answers[0]?.status).toBe(200);
  });

  test('H19: Expect: 100-continue is asked for the body, unless the body is too large', async () => {
    const server = await start();
    const asked = await exchange(server.port, jsonRequest('/login', LOGIN, ['Expect: 100-continue']), { answers: 1 });
    expect(asked.isContinued).toBe(true);
    expect(asked.answers[0]?.status).toBe(200);
    const lines = ['Content-Type: application/json', 'Content-Length: 20000', 'Expect: 100-continue'];
    const refused = await exchange(server.port, rawRequest({ method: 'POST', path: '/login', lines }), { answers: 1 });
    expect(refused.isContinued).toBe(false);
    expectContractError(refused.answers[0], 413, 'payload_too_large');
  });

  test('H20: any other expectation is 417', async () => {
    const server = await start();
    const bytes = jsonRequest('/login', LOGIN, ['Expect: foo', 'X-Request-Id: mine']);
    const { answers, isClosed } = await exchange(server.port, bytes);
    expectContractError(answers[0], 417, 'expectation_failed');
    expect(answers[0]?.headers).toMatchObject({ 'x-request-id': 'mine', 'cache-control': 'no-store' });
    expect(isClosed).toBe(true);
  });

  test('H21: headers with the names of object members are ignored', async () => {
    const server = await start();
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '__defineGetter__'];
    const lines = names.flatMap((name) => [`${name}: x`, `${name}: y`]);
    const { answers } = await exchange(server.port, jsonRequest('/login', LOGIN, lines), { answers: 1 });
    expect(answers[0]?.status).toBe(200);
    await expectAlive(server);
  });

  test('H22: a trailer is no header', async () => {
    const server = await start();
    const pair = await server.login();
    const body = JSON.stringify({ token: pair.access_token });
    const trailer = `Authorization: ${server.api.basic.authorization}\r\nX-Request-Id: trailed\r\n`;
    const bytes = chunked(`${chunk(body)}0\r\n${trailer}\r\n`, ['Trailer: Authorization']).replace('/login', '/verify');
    const { answers } = await exchange(server.port, bytes, { answers: 1 });
    expectContractError(answers[0], 401, 'invalid_client');
    expect(answers[0]?.headers['x-request-id']).not.toBe('trailed');
  });
});
