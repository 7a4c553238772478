/**
 * Unmodified proxies ask about each request and let only good ones through to the service (contract §3), each with the
 * configuration that its page in docs/proxies shows. V6, V7, V8, V9, V10 through the real thing.
 */
import { once } from 'node:events';
import type { ClientRequest } from 'node:http';
import { describe, expect, test } from 'vitest';
import { makeDatabase } from '../support/databases.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { until } from '../support/until.ts';
import {
  bearer,
  type Caller,
  makeCaller,
  openTap,
  type Service,
  startImpostor,
  startService,
  type Tap,
} from './around.ts';
import { PROXIES, type ProxyKind } from './proxy.ts';

const MIB = 1_048_576;
const HOST = 'api.example.com';

interface Stage {
  readonly server: TestServer;
  readonly service: Service;
  readonly tap: Tap;
  readonly caller: Caller;
}

/** Whatever the proxy's own credential is said to be. */
async function setStage(kind: ProxyKind, credential?: string): Promise<Stage> {
  const server = await startTestServer({
    url: await makeDatabase('sqlite'),
    // What takes long here is a machine that does other things too.
    config: { 'server.requestTimeout': '60s' },
  });
  // Proxies have no other clock than the real one.
  server.clock.advance(Date.now() - server.clock.now());
  const service = await startService();
  const tap = await openTap(server.port);
  const { api } = server;
  const proxy = await kind.inFrontOfService({
    auth: tap.port,
    service: service.port,
    credential: credential ?? `${api.id}:${api.secret}`,
  });
  return { server, service, tap, caller: makeCaller(proxy, HOST) };
}

/** The rest of a body, as fast as it is taken. */
async function send(request: ClientRequest, length: number): Promise<void> {
  for (let sent = 0; sent < length; sent += MIB) {
    if (!request.write(Buffer.alloc(MIB))) await once(request, 'drain');
  }
  request.end();
}

const authHeaders = (service: Service): Record<string, string>[] =>
  service.seen.map(({ headers }) =>
    Object.fromEntries(
      headers
        .map(([name, value]) => [name.toLowerCase(), value] as const)
        .filter(([name]) => /^x[-_]auth[-_]/.test(name)),
    ),
  );

describe.each(PROXIES)('$name', (kind) => {
  test('V6: without a token 401 with a bare challenge, with a bad one 401 that says so; the service sees neither', async () => {
    const { server, service, caller } = await setStage(kind);
    const bare = await caller.ask();
    expect(bare.status).toBe(401);
    expect(bare.headers['www-authenticate']).toMatch(kind.challenge);

    const revoked = await server.login();
    await server.post('/logout', { refresh_token: revoked.refresh_token });
    const good = await server.login();
    const [header, payload] = good.access_token.split('.');
    for (const token of ['nonsense', `${header}.${payload}.AAAA`, good.refresh_token, revoked.access_token]) {
      const answer = await caller.ask({ headers: [bearer(token)] });
      expect({ token, status: answer.status }).toEqual({ token, status: 401 });
      expect(answer.headers['www-authenticate']).toMatch(/^Bearer .*error="invalid_token"/);
    }
    server.clock.advance(301_000);
    expect((await caller.ask({ headers: [bearer(good.access_token)] })).status).toBe(401);
    expect(service.begun()).toBe(0);
  });

  test('a good token: the service gets the request with who it is from, until the session ends', async () => {
    const { server, service, caller } = await setStage(kind);
    const pair = await server.login();
    const answer = await caller.ask({
      method: 'POST',
      path: '/things?a=1',
      headers: [bearer(pair.access_token)],
      body: 'text',
    });
    expect(answer).toMatchObject({ status: 200, text: 'hello' });
    expect(service.seen).toMatchObject([{ method: 'POST', path: '/things?a=1', bytes: 4 }]);
    expect(authHeaders(service)).toEqual([
      {
        'x-auth-subject': server.subject,
        'x-auth-session': pair.session_id,
        'x-auth-client': 'default',
        'x-auth-claims': 'e30',
      },
    ]);
    await server.post('/logout', { refresh_token: pair.refresh_token });
    expect((await caller.ask({ headers: [bearer(pair.access_token)] })).status).toBe(401);
    expect(service.begun()).toBe(1);
  });

  test("V8: the caller's own X-Auth headers never get through, in no spelling", async () => {
    const { server, service, caller } = await setStage(kind);
    const pair = await server.login();
    const names = ['Subject', 'Session', 'Client', 'Claims', 'Server-Client'].flatMap((name) =>
      ['X-Auth-', 'X_Auth_', 'X-Auth_', 'X_Auth-', 'x-AUTH-'].flatMap((start) => [
        `${start}${name}`,
        `${start}${name.replace('-', '_')}`,
      ]),
    );
    // Node joins equal names; each spelling goes in a request of its own as well.
    const forged = [...new Set(names)].map((name) => [name, 'mallory'] as const);
    for (const headers of [...forged.map((one) => [one]), forged.filter(([name]) => !name.startsWith('x-AUTH'))]) {
      expect((await caller.ask({ headers: [...headers, bearer(pair.access_token)] })).status).toBe(200);
      expect((await caller.ask({ headers })).status).toBe(401);
    }
    expect(service.seen.length).toBe(forged.length + 1);
    const expected = await server.forwardAuth(pair.access_token);
    for (const seen of authHeaders(service)) {
      expect(seen).toEqual({
        'x-auth-subject': expected.headers['x-auth-subject'],
        'x-auth-session': expected.headers['x-auth-session'],
        'x-auth-client': expected.headers['x-auth-client'],
        'x-auth-claims': expected.headers['x-auth-claims'],
      });
    }
  });

  test('V9: a large body goes to the service as it comes, and not to auth-server; a refused one is not waited for', async () => {
    const { server, service, tap, caller } = await setStage(kind);
    const { access_token: token } = await server.login();
    const length = 20 * MIB;
    const question = { method: 'PUT', headers: [bearer(token), ['Content-Length', String(length)] as const] };
    const { request, answer } = caller.begin(question);
    request.write(Buffer.alloc(MIB));
    await until(() => service.begun() === 1, 'the service sees the request while its body is on its way');
    await send(request, length - MIB);
    expect((await answer).status).toBe(200);
    expect(service.seen).toMatchObject([{ method: 'PUT', bytes: length }]);
    expect(tap.bytes()).toBeLessThan(16_384);

    const refused = caller.begin({ ...question, headers: [bearer('nonsense'), ['Content-Length', String(length)]] });
    if (kind.refusesEarly) refused.request.write(Buffer.alloc(1_024));
    else await Promise.race([send(refused.request, length), refused.answer]);
    expect((await refused.answer).status).toBe(401);
    refused.request.destroy();
    expect(service.begun()).toBe(1);
  });

  test('kept connections mix nobody up: each request is judged by its own token', async () => {
    const { server, service, caller } = await setStage(kind);
    const bob = await server.addUser('bob');
    const sessions = [
      { subject: server.subject, token: (await server.login()).access_token },
      { subject: bob, token: (await server.login({ username: 'bob' })).access_token },
    ];
    // One after the other: all on one connection.
    for (let round = 0; round < 20; round += 1) {
      expect((await caller.ask({ headers: [bearer(sessions[round % 2]?.token ?? '')] })).status).toBe(200);
      expect((await caller.ask()).status).toBe(401);
    }
    expect(caller.connections()).toBe(1);
    expect(authHeaders(service).map((headers) => headers['x-auth-subject'])).toEqual(
      Array.from({ length: 20 }, (_, round) => sessions[round % 2]?.subject),
    );
    // All at once.
    const asked = Array.from({ length: 90 }, (_, index) => ({ index, session: sessions[index % 3] }));
    const answers = await Promise.all(
      asked.map(({ index, session }) =>
        caller.ask({ path: `/${index}`, headers: session === undefined ? [] : [bearer(session.token)] }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(
      asked.map(({ session }) => (session === undefined ? 401 : 200)),
    );
    const subjects = new Map(service.seen.map(({ path, headers }) => [path, headers]));
    for (const { index, session } of asked) {
      const given = subjects.get(`/${index}`)?.find(([name]) => name.toLowerCase() === 'x-auth-subject');
      expect(given?.[1]).toBe(session?.subject);
    }
  });

  test("V7: with a wrong credential of the proxy's own nobody gets in", async () => {
    const { server, service, caller } = await setStage(kind, 'api:wrong');
    const { access_token: token } = await server.login();
    expect((await caller.ask({ headers: [bearer(token)] })).status).toBe(kind.forbidden);
    expect(service.begun()).toBe(0);
  });

  test('V10: while auth-server is down nobody gets in; when it is back, they do', async () => {
    const { server, service, tap, caller } = await setStage(kind);
    const { access_token: token } = await server.login();
    const headers = [bearer(token)];
    expect((await caller.ask({ headers })).status).toBe(200);
    await tap.close();
    for (let round = 0; round < 3; round += 1) expect((await caller.ask({ headers })).status).toBe(kind.down);
    expect(service.begun()).toBe(1);
    await tap.open();
    await until(async () => (await caller.ask({ headers })).status === 200, 'it is back');
  });

  test.each([302, 307, 400, 404, 500, 503])('V10: an answer of %i to the question lets nobody in', async (status) => {
    const service = await startService();
    const at = { auth: await startImpostor(status), service: service.port, credential: 'api:secret' };
    const caller = makeCaller(await kind.inFrontOfService(at), HOST);
    const answer = await caller.ask({ headers: [bearer('a.b.c')] });
    expect(answer.status).toBeGreaterThanOrEqual(300);
    expect(service.begun()).toBe(0);
  });
});
