/**
 * Tokens that were good once (security J32 to J52): expired, of another issuer or audience, of an ended session, a disabled
 * user, a compromised key, or of the wrong kind. On both databases, because the state of a session is asked there.
 */
import { expect, test } from 'vitest';
import { DAY, MINUTE } from '../../src/domain/time.ts';
import { declareKeyCompromised } from '../../src/operations/keys.ts';
import { disableUser, removeUser } from '../../src/operations/users.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { expectInvalidGrant, expectNoChange, expectRefusal, tamper } from '../support/expectations.ts';
import { type Pair, startTestServer, type TestServer, USERNAME } from '../support/test-server.ts';

const inactive = (reason: string) => ({ active: false, reason });

/** What the three readers of access tokens say of it; the words are `/verify`'s. */
async function expectInactive(server: TestServer, token: string, reason: string): Promise<void> {
  expect(await server.verify(token)).toEqual(inactive(reason));
  const proxied = await server.forwardAuth(token);
  expect(proxied.status).toBe(401);
  expect(proxied.headers['www-authenticate']).toContain('error="invalid_token"');
  expect(Object.keys(proxied.headers).filter((name) => name.startsWith('x-auth-'))).toEqual([]);
  const headers = { ...server.api.basic, 'content-type': 'application/x-www-form-urlencoded' };
  const body = new URLSearchParams({ token }).toString();
  const asked = await server.send({ method: 'POST', path: '/oauth/introspect', headers, body });
  expect(asked).toMatchObject({ status: 200, text: '{"active":false}' });
}

const logout = async (server: TestServer, pair: Pair): Promise<void> => {
  expect((await server.post('/logout', { refresh_token: pair.refresh_token })).status).toBe(204);
};

describeOnBothDatabases('a token that was good once', (makeDatabase) => {
  const start = async (config: Readonly<Record<string, unknown>> = {}): Promise<TestServer> =>
    startTestServer({ url: await makeDatabase(), config });

  test('J32: expired by a second it is expired, and still proves its session at a refresh', async () => {
    const server = await start({ 'tokens.accessTokenTtl': '1s' });
    const pair = await server.login();
    expect(await server.verify(pair.access_token)).toMatchObject({ active: true });
    server.clock.advance(1_000);
    await expectInactive(server, pair.access_token, 'expired');
    await server.refresh(pair);
  });

  test('J33, J34: the signature counts before the expiry, the expiry before the session', async () => {
    const server = await start({ 'tokens.accessTokenTtl': '1s' });
    const pair = await server.login();
    server.clock.advance(5_000);
    await expectInactive(server, tamper(pair.access_token, 'claims', { sub: 'root' }), 'malformed');
    await logout(server, pair);
    await expectInactive(server, pair.access_token, 'expired');
  });

  test('J35, J36: after a change of issuer nothing of the old one is left; of audience, the proof', async () => {
    const server = await start();
    const [first, second] = [await server.login(), await server.login()];
    const { url } = server.app.config.database;
    const otherAudience = await startTestServer({
      url: url.reveal(),
      beside: server,
      config: { 'tokens.audience': 'other' },
    });
    await expectInactive(otherAudience, first.access_token, 'wrong_audience');
    const rotated = await otherAudience.refresh(first);
    expect(await otherAudience.verify(rotated.access_token)).toMatchObject({ active: true, aud: 'other' });
    await otherAudience.stop();
    const config = { issuer: 'https://new.example' };
    const otherIssuer = await startTestServer({ url: url.reveal(), beside: server, config });
    const mine = await otherIssuer.login();
    await expectNoChange(otherIssuer, async () => {
      await expectInactive(otherIssuer, second.access_token, 'malformed');
      expectInvalidGrant(await otherIssuer.tryRefresh(second), 'malformed');
      expectInvalidGrant(await otherIssuer.tryRefresh({ ...mine, access_token: second.access_token }), 'mismatch');
    });
  });

  test('J37: issued by a clock that was ahead, it is judged by its expiry alone', async () => {
    const server = await start();
    server.clock.advance(10 * MINUTE);
    const pair = await server.login();
    server.clock.advance(-10 * MINUTE);
    expect(await server.verify(pair.access_token)).toMatchObject({ active: true });
    await server.refresh(pair);
  });

  test('J41: of a session that was purged it is expired, or revoked while its time is not over', async () => {
    const server = await start();
    const pair = await server.login();
    await server.app.store.write(async (tx) => {
      await tx.sql.deleteFrom('token_families').where('id', '=', pair.session_id).execute();
    });
    await expectInactive(server, pair.access_token, 'revoked');
    expectInvalidGrant(await server.tryRefresh(pair), 'unknown');
    server.clock.advance(DAY);
    await expectInactive(server, pair.access_token, 'expired');
  });

  test.each([
    ['disabled', disableUser],
    ['removed', removeUser],
  ])('J42: of a user that was %s it is revoked at once', async (_name, end) => {
    const server = await start();
    const pair = await server.login();
    await end(server.app, USERNAME);
    await expectInactive(server, pair.access_token, 'revoked');
    expectInvalidGrant(await server.tryRefresh(pair), 'revoked');
  });

  test('J43: by a key that was declared compromised it is revoked, and its session goes on', async () => {
    const server = await start();
    const pair = await server.login();
    await declareKeyCompromised(server.app, 'access');
    await expectInactive(server, pair.access_token, 'revoked');
    const { text } = await server.send({ path: '/.well-known/jwks.json' });
    const { kid } = JSON.parse(Buffer.from(pair.access_token.split('.')[0] ?? '', 'base64url').toString()) as {
      kid: string;
    };
    expect(text).not.toContain(kid);
    expect(await server.verify((await server.refresh(pair)).access_token)).toMatchObject({ active: true });
  });

  test('J50: a refresh token opens nothing', async () => {
    const server = await start();
    const pair = await server.login();
    await expectNoChange(server, () => expectInactive(server, pair.refresh_token, 'malformed'));
    expectInvalidGrant(await server.tryRefresh({ ...pair, access_token: pair.refresh_token }), 'mismatch');
  });

  test('J51: an access token is no refresh token', async () => {
    const server = await start();
    const pair = await server.login();
    await expectNoChange(server, async () => {
      for (const path of ['/logout', '/sessions']) {
        expectRefusal(await server.post(path, { refresh_token: pair.access_token }), 400, 'invalid_request');
      }
      expectInvalidGrant(await server.tryRefresh({ ...pair, refresh_token: pair.access_token }), 'malformed');
    });
  });

  test('J51: at /oauth/revoke an access token of the client ends its session', async () => {
    const server = await start();
    const app = await server.addClient('web');
    const pair = await server.login({ client_id: 'web', headers: app.basic });
    const headers = { ...app.basic, 'content-type': 'application/x-www-form-urlencoded' };
    const body = new URLSearchParams({ token: pair.access_token }).toString();
    expect(await server.send({ method: 'POST', path: '/oauth/revoke', headers, body })).toMatchObject({
      status: 200,
      text: '{}',
    });
    await expectInactive(server, pair.access_token, 'revoked');
  });

  test('J52: a client secret is no token, and a user’s token is no client', async () => {
    const server = await start();
    const pair = await server.login();
    await expectNoChange(server, async () => {
      expectRefusal(await server.post('/sessions', { refresh_token: server.api.secret }), 400, 'invalid_request');
      await expectInactive(server, server.api.secret, 'malformed');
      for (const token of [pair.access_token, pair.refresh_token]) {
        const answer = await server.post('/verify', { token: pair.access_token }, { authorization: `Bearer ${token}` });
        expectRefusal(answer, 401, 'invalid_client');
      }
    });
  });
});
