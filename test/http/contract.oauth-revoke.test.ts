/** `POST /oauth/revoke` as contract §4 has it (RFC 7009): an app ends its own sessions, by either token. */
import { expect, test } from 'vitest';
import { changeClient } from '../../src/operations/clients.ts';
import { declareKeyCompromised } from '../../src/operations/keys.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { expectEvents, expectNoChange, expectRefusal, tamper } from '../support/expectations.ts';
import { type Form, postForm } from '../support/form.ts';
import type { Answer, Headers } from '../support/http-client.ts';
import { basicOf, type Pair, startTestServer, type TestServer } from '../support/test-server.ts';

const REVOKE = '/oauth/revoke';

function expectRevoked(answer: Answer): void {
  expect(answer).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' } });
  expect(answer.body).toEqual({});
}

const isLive = async (server: TestServer, { session_id }: Pair): Promise<boolean> =>
  (await server.family(session_id)).revoked === null;

describeOnBothDatabases('revocation', (makeDatabase) => {
  async function prepare() {
    const server = await startTestServer({ url: await makeDatabase() });
    const app = await server.addClient('backend');
    const login = (): Promise<Pair> => server.login({ client_id: app.id, headers: app.basic });
    const pair = await login();
    await server.events();
    const ask = (form: Form, headers: Headers = app.basic): Promise<Answer> => postForm(server, REVOKE, form, headers);
    return { server, app, pair, login, ask };
  }

  test('of either token ends its session and no other; both of its tokens are dead', async () => {
    const { server, app, pair, login, ask } = await prepare();
    const other = await login();
    await server.events();
    expectRevoked(await ask({ token: pair.refresh_token }));
    await expectEvents(server, 'family.revoked');
    expect((await server.family(pair.session_id)).revoked?.cause).toBe('logout');
    expect(await server.verify(pair.access_token)).toEqual({ active: false, reason: 'revoked' });
    expect((await server.tryRefresh(pair, { headers: app.basic })).body.reason).toBe('revoked');
    expect(await server.verify(other.access_token)).toMatchObject({ active: true });

    expectRevoked(await ask({ token: other.access_token }));
    expect(await server.verify(other.access_token)).toEqual({ active: false, reason: 'revoked' });
    expect((await server.tryRefresh(other, { headers: app.basic })).body.reason).toBe('revoked');
  });

  test('of a spent or an expired token of either kind ends its session too', async () => {
    const { server, app, pair, login, ask } = await prepare();
    const late = await login();
    await server.refresh(pair, { headers: app.basic });
    expectRevoked(await ask({ token: pair.refresh_token }));
    expect(await isLive(server, pair)).toBe(false);
    server.clock.advance(600_000);
    expectRevoked(await ask({ token: late.access_token }));
    expect(await isLive(server, late)).toBe(false);
  });

  test('an access token by a key that was declared compromised ends nothing: a thief could make one for any session', async () => {
    const { server, pair, ask } = await prepare();
    await declareKeyCompromised(server.app, 'access');
    expectRevoked(await ask({ token: pair.access_token }));
    expect(await isLive(server, pair)).toBe(true);
    expectRevoked(await ask({ token: pair.refresh_token }));
    expect(await isLive(server, pair)).toBe(false);
  });

  test('authenticates an app by Basic, by the body, or a public one by its client_id', async () => {
    const { server, app, login, ask } = await prepare();
    await server.addClient('spa', { isPublic: true });
    const { id: client_id, secret: client_secret } = app;
    const ways: readonly (readonly [Pair, Form, Headers])[] = [
      [await login(), {}, app.basic],
      [await login(), { client_id }, app.basic],
      [await login(), { client_id, client_secret }, {}],
      [await server.login({ client_id: 'spa' }), { client_id: 'spa' }, {}],
      [await server.login(), { client_id: 'default' }, {}],
    ];
    for (const [pair, form, headers] of ways) {
      expectRevoked(await ask({ token: pair.refresh_token, ...(form as object) }, headers));
      expect(await isLive(server, pair)).toBe(false);
    }
  });

  test('refuses who is no app, or not the one it says, and changes nothing (O2)', async () => {
    const { server, app, pair, ask } = await prepare();
    const admin = await server.addClient('ops', { type: 'admin' });
    const token = pair.refresh_token;
    const { id: client_id, secret: client_secret } = app;
    await expectNoChange(server, async () => {
      const unknown: readonly (readonly [Form, Headers])[] = [
        [{ token }, {}],
        [{ token }, basicOf(client_id, 'wrong')],
        [{ token }, server.api.basic],
        [{ token }, admin.basic],
        [{ token }, { authorization: `Bearer ${client_secret}` }],
        [{ token, client_id }, {}],
        [{ token, client_id: 'nobody' }, {}],
      ];
      for (const [form, headers] of unknown) expectRefusal(await ask(form, headers), 401, 'invalid_client');
      expectRefusal(await ask({ token, client_id, client_secret }), 400, 'invalid_request');
    });
    expect(await isLive(server, pair)).toBe(true);
  });

  test('of what means nothing is 200; of another client’s token a refusal; a hint is not needed (O7)', async () => {
    const { server, app, pair, login, ask } = await prepare();
    const thief = await server.addClient('thief');
    await server.addClient('spa', { isPublic: true });
    const spa = await server.login({ client_id: 'spa' });
    const own = await server.login();
    await server.events();
    await expectNoChange(server, async () => {
      for (const token of ['x', '.', app.secret, tamper(pair.refresh_token, 'claims', { gen: 1 })])
        expectRevoked(await ask({ token }));
      for (const [victim, form, headers] of [
        [pair, {}, thief.basic],
        [spa, {}, app.basic],
        [own, {}, app.basic],
        [pair, { client_id: 'spa' }, {}],
        [spa, { client_id: 'default' }, {}],
      ] as const) {
        for (const token of [victim.refresh_token, victim.access_token])
          expectRefusal(await ask({ token, ...form }, headers), 400, 'unauthorized_client');
      }
    });
    for (const token_type_hint of ['nonsense', 'refresh_token', 'access_token', '']) {
      for (const kind of ['refresh_token', 'access_token'] as const) {
        const session = await login();
        expectRevoked(await ask({ token: session[kind], token_type_hint }));
        expect(await isLive(server, session)).toBe(false);
      }
    }
  });

  test('of a token of a session that has ended is 200 again, and no event is recorded', async () => {
    const { server, pair, ask } = await prepare();
    expectRevoked(await ask({ token: pair.refresh_token }));
    await expectNoChange(server, async () => {
      expectRevoked(await ask({ token: pair.refresh_token }));
      expectRevoked(await ask({ token: pair.access_token }));
    });
  });

  test('takes a POST of a form with one token, and nothing else', async () => {
    const { server, app, pair, ask } = await prepare();
    const token = pair.refresh_token;
    await expectNoChange(server, async () => {
      const get = await server.send({ path: `${REVOKE}?token=${token}`, headers: app.basic });
      expectRefusal(get, 405, 'method_not_allowed');
      expectRefusal(await server.post(REVOKE, { token }, app.basic), 415, 'unsupported_media_type');
      for (const form of ['', 'token=', `refresh_token=${token}`, `token=${token}&token=x`])
        expectRefusal(await ask(form), 400, 'invalid_request');
    });
  });

  test('of a token with another audience is the app’s affair: what it got, it may end', async () => {
    const { server, app, pair, ask } = await prepare();
    await changeClient(server.app, { id: app.id, audiences: ['orders'], policy: {} });
    expectRevoked(await ask({ token: pair.access_token }));
    expect(await isLive(server, pair)).toBe(false);
  });
});
