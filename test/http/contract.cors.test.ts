/** Which pages of other origins may read which answers in a browser: the last paragraph of contract §4. */
import { expect, test } from 'vitest';
import { describeOnBothDatabases } from '../support/databases.ts';
import { expectRefusal } from '../support/expectations.ts';
import type { Answer } from '../support/http-client.ts';
import { type Endpoint, endpoints } from '../support/native-endpoints.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

const ORIGIN = 'https://app.example';
const FOREIGN = [
  'https://app.example.evil',
  'http://app.example',
  'https://app.example:444',
  'https://APP.example',
  'null',
];

const corsOf = ({ headers }: Answer): Record<string, unknown> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('access-control-')));

describeOnBothDatabases('pages of other origins', (makeDatabase) => {
  async function prepare(origins: readonly string[]) {
    const server = await startTestServer({ url: await makeDatabase(), config: { 'server.cors.origins': origins } });
    return { server, all: endpoints(server, await server.login()) };
  }

  const from = (server: TestServer, { path, headers }: Endpoint, origin: string): Promise<Answer> =>
    server.post(path, {}, { ...headers, origin });

  const preflight = (server: TestServer, path: string): Promise<Answer> =>
    server.send({ method: 'OPTIONS', path, headers: { origin: ORIGIN, 'access-control-request-method': 'POST' } });

  test('read errors too where they are configured, spelled exactly, and never with credentials (P10)', async () => {
    const { server, all } = await prepare([ORIGIN]);
    const exposed = 'Retry-After, WWW-Authenticate, X-Request-Id';
    for (const endpoint of all.filter(({ path }) => path !== '/verify')) {
      const answer = await from(server, endpoint, ORIGIN);
      expectRefusal(answer, 400, 'invalid_request');
      expect(corsOf(answer)).toEqual({
        'access-control-allow-origin': ORIGIN,
        'access-control-expose-headers': exposed,
      });
      expect(answer.headers.vary).toBe('Origin');
      for (const origin of FOREIGN) {
        const foreign = await from(server, endpoint, origin);
        expect(corsOf(foreign)).toEqual({});
        expect(foreign.headers.vary).toBe('Origin');
      }
    }
  });

  test('are told by a preflight which method and headers they may send (P10)', async () => {
    const { server, all } = await prepare([ORIGIN]);
    for (const { path } of all.filter((endpoint) => endpoint.path !== '/verify')) {
      const answer = await preflight(server, path);
      expect(answer).toMatchObject({ status: 204, headers: { vary: 'Origin', 'access-control-allow-origin': ORIGIN } });
      expect(answer.headers['access-control-allow-methods']).toBe('POST');
      expect(answer.headers['access-control-allow-headers']).toBe('Authorization, Content-Type, Idempotency-Key');
      expect(answer.headers['access-control-allow-credentials']).toBeUndefined();
    }
  });

  test('read nothing of what is for servers and proxies, configured or not', async () => {
    const { server, all } = await prepare([ORIGIN]);
    for (const endpoint of all.filter(({ path }) => path === '/verify')) {
      expect(corsOf(await from(server, endpoint, ORIGIN))).toEqual({});
      expectRefusal(await preflight(server, endpoint.path), 405, 'method_not_allowed');
    }
    expect(corsOf(await server.send({ path: '/forward-auth', headers: { origin: ORIGIN } }))).toEqual({});
  });

  test('read keys and metadata from anywhere, and nothing else unless it is configured (P9)', async () => {
    const { server, all } = await prepare([]);
    for (const path of ['/.well-known/jwks.json', '/.well-known/oauth-authorization-server']) {
      const answer = await server.send({ path, headers: { origin: ORIGIN } });
      expect(answer.headers['access-control-allow-origin']).toBe('*');
      expect((await preflight(server, path)).status).toBe(204);
    }
    for (const endpoint of all) {
      expect(corsOf(await from(server, endpoint, ORIGIN))).toEqual({});
      expectRefusal(await preflight(server, endpoint.path), 405, 'method_not_allowed');
    }
  });
});
