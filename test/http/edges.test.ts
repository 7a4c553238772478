/** The edges of the server, for every row of its table of paths: which pages may read it, and what it does when it is full. */
import { expect, test } from 'vitest';
import { makeDatabase } from '../support/databases.ts';
import type { Answer } from '../support/http-client.ts';
import { document } from '../support/openapi.ts';
import { says, startStubUserService } from '../support/stub-user-service.ts';
import { startTestServer } from '../support/test-server.ts';
import { until } from '../support/until.ts';
import { startWith } from '../users/support.ts';

const ORIGIN = 'https://app.example';
const ANY = ['/.well-known/jwks.json', '/.well-known/oauth-authorization-server'];
/** Contract §4: for servers and proxies, not for pages. */
const NONE = /^\/(verify|forward-auth|oauth\/introspect|revocations|admin\/.*)$/;

const ROWS = Object.entries(document.paths).map(([path, operations]) => ({
  path: path.replace('{id}', '01995f2e-7c1d-7c3a-9f5e-3b8a52f1c0de'),
  method: Object.keys(operations ?? {})[0]?.toUpperCase() ?? 'GET',
  readers: ANY.includes(path) ? 'any' : NONE.test(path) ? 'none' : 'configured',
}));

const allowedOrigin = ({ headers }: Answer): unknown => headers['access-control-allow-origin'];

const corsOf = ({ headers }: Answer): string[] =>
  Object.keys(headers).filter((name) => name.startsWith('access-control-'));

const FOREIGN = ['https://app.example.evil', 'http://app.example', 'https://app.example/', 'null', '*', ''];

function checkPreflight({ path, method, readers }: (typeof ROWS)[number], answer: Answer): void {
  // Of a proxy that sends any method, OPTIONS is one like all others.
  const refusal = path === '/forward-auth' ? 403 : 405;
  expect(answer.status, `OPTIONS ${path}`).toBe(readers === 'none' ? refusal : 204);
  const expected = {
    'access-control-allow-methods': method === 'GET' ? 'GET, HEAD' : method,
    'access-control-allow-headers': 'Authorization, Content-Type, Idempotency-Key',
  };
  if (readers === 'none') expect(corsOf(answer)).toEqual([]);
  else expect(answer.headers).toMatchObject(expected);
}

test('each row is read by pages of the origins that the contract says, and by no others (P10)', async () => {
  const config = { 'server.cors.origins': [ORIGIN, 'https://other.example'] };
  const server = await startTestServer({ url: await makeDatabase('sqlite'), config });
  expect(new Set(ROWS.map(({ readers }) => readers))).toEqual(new Set(['any', 'none', 'configured']));
  for (const row of ROWS) {
    const { path, method, readers } = row;
    const from = (origin: string, sent = method): Promise<Answer> =>
      server.send({ method: sent, path, headers: { origin, 'access-control-request-method': method } });
    const expected = { any: '*', configured: ORIGIN, none: undefined }[readers];

    const own = await from(ORIGIN);
    expect(allowedOrigin(own), `${method} ${path}`).toBe(expected);
    expect(own.headers.vary, path).toBe(readers === 'configured' ? 'Origin' : undefined);
    expect(own.headers['access-control-allow-credentials']).toBeUndefined();
    // An error is read like anything else.
    expect(allowedOrigin(await from(ORIGIN, 'DELETE')), `DELETE ${path}`).toBe(expected);

    checkPreflight(row, await from(ORIGIN, 'OPTIONS'));

    for (const origin of readers === 'any' ? [] : FOREIGN) {
      for (const answer of [await from(origin), await from(origin, 'OPTIONS')]) {
        expect(corsOf(answer), `${method} ${path} from ${origin}`).toEqual([]);
      }
    }
  }
  const unknown = await server.send({ path: '/unknown', headers: { origin: ORIGIN } });
  expect(corsOf(unknown)).toEqual([]);
});

test('beyond maxInFlight all that is work is refused at once; what was let in is answered', async () => {
  const service = await startStubUserService();
  const server = await startWith(await makeDatabase('sqlite'), service, {
    'server.maxInFlight': 4,
    'server.cors.origins': [ORIGIN],
    'users.http.timeout': '30s',
  });
  const held: (() => void)[] = [];
  service.behave((outgoing, question, incoming) => {
    held.push(() => says(200, { sub: 'user-1' })(outgoing, question, incoming));
  });
  const admitted = Promise.all(Array.from({ length: 4 }, () => server.tryLogin()));
  await until(() => held.length === 4, 'four logins wait for the user service');

  // Answered at all, it is answered without a wait: those that were let in come to no end before the last line.
  const refused = async (method: string, path: string): Promise<void> => {
    const answer = await server.send({ method, path, headers: { origin: ORIGIN } });
    expect([answer.status, answer.body.error, answer.headers['retry-after']], path).toEqual([503, 'overloaded', '1']);
  };
  for (const { method, path } of ROWS.filter((row) => !['/healthz', '/revocations'].includes(row.path))) {
    await refused(method, path);
  }
  await Promise.all(Array.from({ length: 100 }, () => refused('POST', '/login')));

  const overloaded = await server.send({ method: 'POST', path: '/refresh', headers: { origin: ORIGIN } });
  expect(allowedOrigin(overloaded), 'a page may read why').toBe(ORIGIN);
  const health = await Promise.all(Array.from({ length: 20 }, () => server.send({ path: '/healthz' })));
  expect(health.map(({ status }) => status)).toEqual(Array(20).fill(200));
  expect((await server.send({ path: '/revocations' })).status, 'to wait is no work').toBe(401);
  expect(service.questions(), 'who is refused costs the service nothing').toHaveLength(4);

  for (const answer of held) answer();
  expect((await admitted).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  service.behave(says(200, { sub: 'user-1' }));
  await server.login();
  expect((await server.events()).map(({ type }) => type)).toEqual(Array(5).fill('login.succeeded'));
});
