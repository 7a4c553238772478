/** What `/admin/v1` refuses, and whom: security rows A1 to A5, A7 and A8, and matrix 2 for these endpoints. */
import { expect, test } from 'vitest';
import { describeOnBothDatabases } from '../support/databases.ts';
import type { Answer, Headers } from '../support/http-client.ts';
import { basicOf, type TestServer } from '../support/test-server.ts';
import { type Admin, expectInvalid, startWithAdmin } from './admin.ts';

const UNKNOWN = '01995f2e-7c1d-7c3a-9f5e-3b8a52f1c0de';

describeOnBothDatabases('what the admin API refuses', (makeOne) => {
  test('what is asked for has to be one thing, and well-formed (A2 A3 A4 A5 A7 A8)', async () => {
    const { server, get, post } = await startWithAdmin(await makeOne());
    const pair = await server.login();
    const before = await server.dump();
    const long = 'x'.repeat(10_240);
    const bodies: readonly unknown[] = [
      {},
      { subject: 'a', client: 'b' },
      { all: true, family: UNKNOWN },
      { everyone: true },
      { ip: '127.0.0.1' },
      { all: false },
      { all: 'yes' },
      { all: 1 },
      { subject: '' },
      { subject: long },
      { subject: 'a\u0000' },
      { subject: 'a b' },
      { subject: 7 },
      { subject: null },
      { family: 'x' },
      { family: `${UNKNOWN}0` },
      { family: '' },
      { client: '' },
      { client: 'a b' },
      { client: 'x'.repeat(65) },
      { all: true, reason: 'x'.repeat(257) },
      { all: true, reason: long },
      { all: true, reason: '\u001b[2J' },
      { all: true, reason: 'a\nb' },
      { all: true, reason: '' },
      { all: true, reason: 7 },
      { all: true, issued_before: 'yesterday' },
      { all: true, issued_before: 1_770_000_000 },
      { all: true, issued_before: '2026-02-30T00:00:00Z' },
      { all: true, issued_before: '2026-03-01' },
      [],
    ];
    for (const body of bodies) expectInvalid(await post('/admin/v1/revocations', body), body);
    const subIds = [undefined, null, 'x', {}, { format: 'opaque' }, { format: 'email', id: 'a' }, { id: 'a' }];
    for (const sub_id of [...subIds, { format: 'opaque', id: '' }, { format: 'opaque', id: long }]) {
      expectInvalid(await post('/admin/v1/global-token-revocation', { sub_id }), sub_id);
    }
    const limits = ['0', '-1', '501', '1e9', 'abc', '', '1.5', '+1', ' 1', '01', '0x1', '9'.repeat(30)];
    for (const list of ['families', 'events']) {
      for (const limit of limits) {
        expectInvalid(await get(`/admin/v1/${list}?limit=${encodeURIComponent(limit)}`), limit);
      }
      expect((await get(`/admin/v1/${list}?limit=500`)).status).toBe(200);
      expectInvalid(await get(`/admin/v1/${list}?limit=1&limit=2`), 'twice');
    }
    const filters = ['state=livee', 'state=', 'state=LIVE', 'client=%00', 'client=', 'subject=', 'subject=a%20b'];
    for (const filter of [...filters, 'subject=%ff', `subject=${'x'.repeat(256)}`]) {
      expectInvalid(await get(`/admin/v1/families?${filter}`), filter);
    }
    expectInvalid(await post('/admin/v1/revocations', 'x'), 'no object');
    expect(await server.dump()).toEqual(before);
    expect((await server.verify(pair.access_token)).active).toBe(true);
  });
});

const ENDPOINTS = [
  ['POST', '/admin/v1/revocations', { subject: 'nobody' }, 200],
  ['POST', '/admin/v1/global-token-revocation', { sub_id: { format: 'opaque', id: 'nobody' } }, 204],
  ['GET', '/admin/v1/families', undefined, 200],
  ['GET', `/admin/v1/families/${UNKNOWN}`, undefined, 404],
  ['GET', '/admin/v1/keys', undefined, 200],
  ['POST', '/admin/v1/keys/rotate', {}, 200],
  ['GET', '/admin/v1/events', undefined, 200],
] as const;

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

/** Everybody who is not an admin client, and some who nearly are. */
async function strangers({
  server,
  admin,
}: Admin): Promise<Readonly<Record<string, Readonly<Record<string, string>>>>> {
  const app = await server.addClient('shop');
  const pair = await server.login();
  return {
    nobody: {},
    'an app': app.basic,
    'an app by bearer': bearer(app.secret),
    'a resource server': server.api.basic,
    'a resource server by bearer': bearer(server.api.secret),
    "a user's access token": bearer(pair.access_token),
    'a refresh token': bearer(pair.refresh_token),
    'a wrong secret': basicOf('ops', `${admin.secret.slice(0, -1)}${admin.secret.endsWith('a') ? 'b' : 'a'}`),
    'the secret of another': basicOf('shop', admin.secret),
    'no secret': basicOf('ops', ''),
    'the public client': basicOf('default', ''),
    'another scheme': { authorization: `Digest ${admin.secret}` },
  };
}

type Endpoint = (typeof ENDPOINTS)[number];

/** @param text of the body; undefined sends none */
const ask = (server: TestServer, [method, path]: Endpoint, headers: Headers, text?: string): Promise<Answer> =>
  server.send({
    method,
    path,
    headers: text === undefined ? headers : { 'content-type': 'application/json', ...headers },
    ...(text === undefined ? {} : { body: text }),
  });

const bodyOf = ([, , body]: Endpoint): string | undefined => (body === undefined ? undefined : JSON.stringify(body));

describeOnBothDatabases('who may use the admin API', (makeOne) => {
  test('nobody but an admin client is let in, whatever else is wrong with the request (A1, matrix 2)', async () => {
    const it = await startWithAdmin(await makeOne());
    const { server } = it;
    const others = Object.entries(await strangers(it));
    const before = await server.dump();
    for (const endpoint of ENDPOINTS) {
      const good = bodyOf(endpoint);
      const bodies = good === undefined ? [undefined] : [good, '{', 'x'.repeat(20_000)];
      for (const [who, headers] of others) {
        for (const text of bodies) {
          const answer = await ask(server, endpoint, headers, text);
          const told = [answer.status, answer.body.error, answer.headers['www-authenticate']?.slice(0, 6)];
          expect(told, `${endpoint[0]} ${endpoint[1]} by ${who}`).toEqual([401, 'invalid_client', 'Basic ']);
        }
      }
    }
    expect(await server.dump()).toEqual(before);
  });

  test('an admin client is let in, by Basic or by its secret as a bearer token (matrix 2)', async () => {
    const { server, admin } = await startWithAdmin(await makeOne());
    for (const endpoint of ENDPOINTS) {
      const [method, path, , status] = endpoint;
      for (const headers of [admin.basic, bearer(admin.secret)]) {
        expect((await ask(server, endpoint, headers, bodyOf(endpoint))).status, `${method} ${path}`).toBe(status);
      }
      const other = await server.send({ method: method === 'GET' ? 'POST' : 'GET', path, headers: admin.basic });
      expect([other.status, other.headers.allow]).toEqual([405, method === 'GET' ? 'GET, HEAD' : 'POST']);
    }
  });

  test('a rotation needs no body; one that is there has to be JSON', async () => {
    const { server, admin } = await startWithAdmin(await makeOne());
    const path = '/admin/v1/keys/rotate';
    const send = async (sending: object): Promise<number> =>
      (await server.send({ method: 'POST', path, headers: admin.basic, ...sending })).status;
    const json = { ...admin.basic, 'content-type': 'application/json' };
    expect(await send({})).toBe(200);
    expect(await send({ body: '' })).toBe(200);
    expect(await send({ body: '', headers: json })).toBe(200);
    expect(await send({ body: '', isChunked: true })).toBe(200);
    expect(await send({ body: '{}', headers: json, isChunked: true })).toBe(200);
    expect(await send({ body: '{}' })).toBe(415);
    expect(await send({ body: '{', headers: json })).toBe(400);
    expect(await send({ body: 'x'.repeat(20_000) })).toBe(413);
  });
});
