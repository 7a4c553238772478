/** `POST /sessions` as contract §3 has it: a current refresh token lists its subject's live sessions, and nothing else does. */
import { expect, test } from 'vitest';
import { describeOnBothDatabases } from '../support/databases.ts';
import { expectInvalidGrant, expectNoChange, expectRefusal, tamper } from '../support/expectations.ts';
import { resignRefresh } from '../support/forge.ts';
import { type Pair, startTestServer, type TestServer } from '../support/test-server.ts';

const DAY = 86_400_000;
const OTHER_ID = '01920000-0000-7000-8000-000000000000';

describeOnBothDatabases('sessions', (makeDatabase) => {
  const prepare = async (config: Readonly<Record<string, unknown>> = {}): Promise<TestServer> =>
    startTestServer({ url: await makeDatabase(), config });

  const list = (server: TestServer, { refresh_token }: Pick<Pair, 'refresh_token'>) =>
    server.post('/sessions', { refresh_token });

  async function sidsOf(server: TestServer, pair: Pair): Promise<unknown[]> {
    const { sessions } = (await list(server, pair)).body as { sessions: { sid: string }[] };
    return sessions.map(({ sid }) => sid).toSorted();
  }

  test('lists the live sessions of the subject, each with these members and times in RFC 3339, and rotates nothing', async () => {
    const server = await prepare();
    await server.addUser('bob');
    await server.login({ username: 'bob' });
    const ended = await server.login();
    await server.post('/logout', { refresh_token: ended.refresh_token });
    const phone = await server.login({ device: 'phone', headers: { 'user-agent': 'app/2' } });
    server.clock.advance(DAY);
    const laptop = await server.login();
    const phoneNext = await server.refresh(phone, { headers: { 'user-agent': 'app/3' } });
    const answer = await expectNoChange(server, () => list(server, phoneNext));
    expect(answer).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' } });
    expect(Object.keys(answer.body)).toEqual(['sessions']);
    const common = {
      ip: '127.0.0.1',
      last_refreshed_at: '2026-03-02T12:00:00.250Z',
      expires_at: '2026-05-31T12:00:00.250Z',
    };
    expect(answer.body.sessions).toHaveLength(2);
    expect(answer.body.sessions).toEqual(
      expect.arrayContaining([
        {
          ...common,
          sid: phone.session_id,
          device: 'phone',
          user_agent: 'app/3',
          created_at: '2026-03-01T12:00:00.250Z',
          current: true,
        },
        {
          ...common,
          sid: laptop.session_id,
          device: null,
          user_agent: null,
          created_at: '2026-03-02T12:00:00.250Z',
          current: false,
        },
      ]),
    );
    await server.refresh(phoneNext);
  });

  test('lists no session that has run out, be it by its token, its idle limit or its end', async () => {
    const server = await prepare({ 'tokens.familyMaxLifetime': '20d', 'tokens.refreshTokenTtl': '10d' });
    await server.addClient('kiosk', { isPublic: true, policy: { idleTimeout: DAY as never } });
    await server.login({ client_id: 'kiosk' });
    const quiet = await server.login();
    server.clock.advance(5 * DAY);
    const own = await server.login();
    expect(await sidsOf(server, own)).toEqual([quiet.session_id, own.session_id].toSorted());
    server.clock.advance(5 * DAY);
    expect(await sidsOf(server, own)).toEqual([own.session_id]);
  });

  test('is refused for a spent, expired, revoked or unknown token, which stays as it was (S5)', async () => {
    const server = await prepare({ 'tokens.idleTimeout': '60d' });
    const spent = await server.login();
    const current = await server.refresh(spent);
    const revoked = await server.login();
    await server.post('/logout', { refresh_token: revoked.refresh_token });
    const gone = await server.login();
    await server.app.store.write((tx) =>
      tx.sql.deleteFrom('token_families').where('id', '=', gone.session_id).execute(),
    );
    await expectNoChange(server, async () => {
      expectInvalidGrant(await list(server, spent), 'spent');
      expectInvalidGrant(await list(server, revoked), 'revoked');
      expectInvalidGrant(await list(server, gone), 'unknown');
      expectInvalidGrant(
        await list(server, { refresh_token: await resignRefresh(server, current.refresh_token, { jti: OTHER_ID }) }),
        'spent',
      );
      expectInvalidGrant(
        await list(server, { refresh_token: await resignRefresh(server, current.refresh_token, { gen: 2 }) }),
        'unknown',
      );
      expect((await list(server, current)).status).toBe(200);
      server.clock.advance(60 * DAY);
      expectInvalidGrant(await list(server, current), 'expired');
      server.clock.advance(30 * DAY);
      expectInvalidGrant(await list(server, current), 'expired');
      expectInvalidGrant(await list(server, spent), 'expired');
    });
  });

  test('an access token, a client secret or anything malformed opens nothing (S5 J51 J52)', async () => {
    const server = await prepare();
    const pair = await server.login();
    await expectNoChange(server, async () => {
      for (const refresh_token of [
        pair.access_token,
        server.api.secret,
        '',
        'x',
        `${pair.refresh_token}=`,
        tamper(pair.refresh_token, 'claims', { sub: 'x' }),
      ]) {
        expectRefusal(await list(server, { refresh_token }), 400, 'invalid_request', { names: 'refresh_token' });
      }
      const { access_token } = pair;
      expectRefusal(
        await server.post('/sessions', { access_token }, { authorization: `Bearer ${access_token}` }),
        400,
        'invalid_request',
      );
      expectRefusal(await server.post(`/sessions?refresh_token=${pair.refresh_token}`, {}), 400, 'invalid_request');
    });
  });
});
