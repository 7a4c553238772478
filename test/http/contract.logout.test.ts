/** `POST /logout` as contract §3 has it: whoever holds a refresh token ends its session, and with a current one others. */
import { expect, test } from 'vitest';
import { describeOnBothDatabases } from '../support/databases.ts';
import { expectEvents, expectInvalidGrant, expectNoChange, expectRefusal, tamper } from '../support/expectations.ts';
import { resignRefresh } from '../support/forge.ts';
import type { Answer } from '../support/http-client.ts';
import { type Pair, startTestServer, type TestServer } from '../support/test-server.ts';

const DAY = 86_400_000;
const OTHER_ID = '01920000-0000-7000-8000-000000000000';

function expectEnded(answer: Answer): void {
  expect(answer).toMatchObject({ status: 204, text: '', headers: { 'cache-control': 'no-store' } });
}

/** Every way to end more than one's own session. */
const OPTIONS: readonly Readonly<Record<string, unknown>>[] = [
  { others: true },
  { everywhere: true },
  { session_id: OTHER_ID },
];

describeOnBothDatabases('logout', (makeDatabase) => {
  const prepare = async (config: Readonly<Record<string, unknown>> = {}): Promise<TestServer> =>
    startTestServer({ url: await makeDatabase(), config });

  const logout = (
    server: TestServer,
    pair: Pick<Pair, 'refresh_token'>,
    options: Readonly<Record<string, unknown>> = {},
  ) => server.post('/logout', { refresh_token: pair.refresh_token, ...options });

  const stateOf = async (server: TestServer, pairs: readonly Pair[]): Promise<(string | undefined)[]> =>
    Promise.all(pairs.map(async ({ session_id }) => (await server.family(session_id)).revoked?.cause));

  test('ends the session of its refresh token, at once and on every path, and no other', async () => {
    const server = await prepare();
    const [pair, sibling] = [await server.login(), await server.login()];
    await server.events();
    const before = await server.family(pair.session_id);
    expectEnded(await logout(server, pair));
    expect(await server.family(pair.session_id)).toEqual({
      ...before,
      revoked: { at: server.clock.now(), cause: 'logout', note: null },
    });
    const data = { sid: pair.session_id, subject: server.subject, client_id: 'default', cause: 'logout' };
    expect(await server.events()).toEqual([{ type: 'family.revoked', data }]);
    expect(await server.verify(pair.access_token)).toEqual({ active: false, reason: 'revoked' });
    expectInvalidGrant(await server.tryRefresh(pair), 'revoked');
    await server.refresh(sibling);
  });

  test('of a spent or expired token ends its own live family; a revoked or unknown one is 204 too (S1)', async () => {
    const server = await prepare();
    const spent = await server.login();
    await server.refresh(spent);
    expectEnded(await logout(server, spent));
    const revoked = await expectNoChange(server, () => logout(server, spent));
    expectEnded(revoked);

    const old = await server.login();
    server.clock.advance(45 * DAY);
    const current = await server.refresh(old);
    server.clock.advance(45 * DAY);
    await server.events();
    expectEnded(await logout(server, old));
    await expectEvents(server, 'family.revoked');
    expectInvalidGrant(await server.tryRefresh(current), 'revoked');

    const purged = await server.login();
    await server.app.store.write((tx) =>
      tx.sql.deleteFrom('token_families').where('id', '=', purged.session_id).execute(),
    );
    expectEnded(await expectNoChange(server, () => logout(server, purged)));
  });

  test('asks for no client authentication, of a confidential client neither', async () => {
    const server = await prepare();
    const backend = await server.addClient('backend');
    const pair = await server.login({ client_id: 'backend', headers: backend.basic });
    expectEnded(await logout(server, pair));
    expect(await stateOf(server, [pair])).toEqual(['logout']);
  });

  test('a malformed or foreign refresh token, or an access token, is invalid_request (S2 J51)', async () => {
    const server = await prepare();
    const stranger = await startTestServer({ url: await makeDatabase() });
    const pair = await server.login();
    const { refresh_token: rt, access_token } = pair;
    const bad = [
      access_token,
      '',
      'x',
      `${rt}=`,
      `${rt} `,
      tamper(rt, 'claims', { gen: 1 }),
      server.api.secret,
      (await stranger.login()).refresh_token,
    ];
    await expectNoChange(server, async () => {
      for (const refresh_token of bad) {
        for (const option of [{}, ...OPTIONS]) {
          expectRefusal(await logout(server, { refresh_token }, option), 400, 'invalid_request', {
            names: 'refresh_token',
          });
        }
      }
    });
  });

  test('with everywhere ends all sessions of the subject, with others all but this one, of every client', async () => {
    const server = await prepare();
    await server.addClient('tv', { isPublic: true });
    await server.addUser('bob');
    const bob = await server.login({ username: 'bob' });
    const [own, tv, third] = [await server.login(), await server.login({ client_id: 'tv' }), await server.login()];
    await server.events();
    expectEnded(await logout(server, own, { others: true }));
    expect(await stateOf(server, [own, tv, third, bob])).toEqual([undefined, 'logout', 'logout', undefined]);
    await expectEvents(server, 'family.revoked', 'family.revoked');
    expectEnded(await expectNoChange(server, () => logout(server, own, { others: true })));
    const fresh = await server.login();
    expectEnded(await logout(server, own, { everywhere: true }));
    expect(await stateOf(server, [own, fresh, bob])).toEqual(['logout', 'logout', undefined]);
    for (const { access_token } of [own, tv, third, fresh]) {
      expect(await server.verify(access_token)).toEqual({ active: false, reason: 'revoked' });
    }
    expect(await server.verify(bob.access_token)).toMatchObject({ active: true });
  });

  test('with session_id ends that session of the same subject; of another or of nobody it is 404 (S4)', async () => {
    const server = await prepare();
    await server.addUser('bob');
    const bob = await server.login({ username: 'bob' });
    const [own, other] = [await server.login(), await server.login()];
    const end = (session_id: string): Promise<Answer> => logout(server, own, { session_id });
    await expectNoChange(server, async () => {
      for (const sid of [bob.session_id, OTHER_ID]) expectRefusal(await end(sid), 404, 'not_found');
      for (const sid of ['', 'x', own.session_id.toUpperCase(), `${own.session_id} `, OTHER_ID.replace('-7', '-4')]) {
        expectRefusal(await end(sid), 400, 'invalid_request', { names: 'session_id' });
      }
    });
    await server.events();
    expectEnded(await end(other.session_id));
    await expectEvents(server, 'family.revoked');
    expect(await stateOf(server, [own, other, bob])).toEqual([undefined, 'logout', undefined]);
    expectRefusal(await expectNoChange(server, () => end(other.session_id)), 404, 'not_found');
    expectEnded(await end(own.session_id));
    expect(await stateOf(server, [own])).toEqual(['logout']);
  });

  test('two options at once, or one that is not true, are invalid_request (S6 B19)', async () => {
    const server = await prepare();
    const own = await server.login();
    const { session_id } = own;
    await expectNoChange(server, async () => {
      const both = [
        { others: true, everywhere: true },
        { others: true, session_id },
        { everywhere: true, session_id },
        { others: true, everywhere: true, session_id },
      ];
      for (const options of [...both, { others: false }, { everywhere: 'true' }, { others: 1 }]) {
        expectRefusal(await logout(server, own, options), 400, 'invalid_request');
      }
    });
  });

  test('its options need a current, unexpired token of a live family, and a refusal changes nothing (S1)', async () => {
    const server = await prepare({ 'tokens.idleTimeout': '60d' });
    const sibling = await server.login();
    const spent = await server.login();
    const current = await server.refresh(spent);
    const gone = await server.login();
    await server.app.store.write((tx) =>
      tx.sql.deleteFrom('token_families').where('id', '=', gone.session_id).execute(),
    );
    const revoked = await server.login();
    await logout(server, revoked);
    const expectAll = async (pair: Pick<Pair, 'refresh_token'>, reason: string): Promise<void> => {
      await expectNoChange(server, async () => {
        for (const option of [...OPTIONS, { session_id: sibling.session_id }])
          expectInvalidGrant(await logout(server, pair, option), reason);
      });
    };
    await expectAll(spent, 'spent');
    await expectAll(gone, 'unknown');
    await expectAll(revoked, 'revoked');
    await expectAll({ refresh_token: await resignRefresh(server, current.refresh_token, { jti: OTHER_ID }) }, 'spent');
    await expectAll({ refresh_token: await resignRefresh(server, current.refresh_token, { gen: 9 }) }, 'unknown');
    server.clock.advance(60 * DAY);
    await expectAll(current, 'expired');
    server.clock.advance(30 * DAY);
    await expectAll(current, 'expired');
    await expectAll(spent, 'expired');
  });
});
