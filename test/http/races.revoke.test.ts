/** Revocation wins: once it has been answered, no later request succeeds, on any path of any server (security I8 I21). */
import { expect, test } from 'vitest';
import { revoke } from '../../src/operations/revoke.ts';
import { disableUser, removeUser } from '../../src/operations/users.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { expectInvalidGrant } from '../support/expectations.ts';
import { beginSessions } from '../support/many-sessions.ts';
import { type Pair, pairOf, startTestServer, type TestServer, USERNAME } from '../support/test-server.ts';

const ROUNDS = 100;

describeOnBothDatabases('revocation', (makeDatabase) => {
  async function prepare(): Promise<readonly [TestServer, TestServer]> {
    const url = await makeDatabase();
    const server = await startTestServer({ url });
    return [server, await startTestServer({ url, beside: server })];
  }

  /** Refreshes as fast as it can until it is refused, beginning before the end. @returns every pair that it was given */
  async function refreshUntilRefused(server: TestServer, pair: Pair): Promise<Pair[]> {
    const pairs = [pair];
    for (let count = 0; count < 1_000; count += 1) {
      const answer = await server.tryRefresh(pairs.at(-1) ?? pair);
      if (answer.status !== 200) {
        expectInvalidGrant(answer, 'revoked');
        return pairs;
      }
      pairs.push(pairOf(answer));
    }
    throw new Error('the session was never ended');
  }

  /** From the moment that `end` is answered, all tokens are dead on both servers. */
  async function expectAllDead(servers: readonly TestServer[], pairs: readonly Pair[]): Promise<void> {
    for (const server of servers) {
      const newest = pairs.at(-1);
      const verdicts = await Promise.all(pairs.slice(-2).map(({ access_token }) => server.verify(access_token)));
      for (const verdict of verdicts) expect(verdict).toEqual({ active: false, reason: 'revoked' });
      if (newest === undefined) continue;
      expect((await server.forwardAuth(newest.access_token)).status).toBe(401);
      expectInvalidGrant(await server.post('/sessions', { refresh_token: newest.refresh_token }), 'revoked');
      expectInvalidGrant(await server.tryRefresh(newest), 'revoked');
    }
  }

  test(`by logout beats a refresh that goes on elsewhere, in ${ROUNDS} rounds`, async () => {
    const [server, other] = await prepare();
    const sessions = await beginSessions(server, await server.login(), ROUNDS);
    for (const [round, pair] of sessions.entries()) {
      const refreshing = refreshUntilRefused(round % 2 === 0 ? server : other, pair);
      // At a moment of its own in each round.
      for (let turn = 0; turn < round % 7; turn += 1) await server.send({ path: '/healthz' });
      expect((await server.post('/logout', { refresh_token: pair.refresh_token })).status).toBe(204);
      expect(await other.verify(pair.access_token)).toEqual({ active: false, reason: 'revoked' });
      await expectAllDead([server, other], await refreshing);
    }
  });

  test(`by an administrator beats a refresh that goes on elsewhere, in ${ROUNDS} rounds`, async () => {
    const [server, other] = await prepare();
    const sessions = await beginSessions(server, await server.login(), ROUNDS);
    for (const [round, pair] of sessions.entries()) {
      const refreshing = refreshUntilRefused(round % 2 === 0 ? server : other, pair);
      for (let turn = 0; turn < round % 7; turn += 1) await server.send({ path: '/healthz' });
      expect(await revoke(server.app, { which: { family: pair.session_id } })).toEqual({ revoked: 1 });
      expect(await other.verify(pair.access_token)).toEqual({ active: false, reason: 'revoked' });
      await expectAllDead([other, server], await refreshing);
    }
  });

  test('on one server is seen by another at once, which knew the tokens well', async () => {
    const [server, other] = await prepare();
    const sessions = await beginSessions(server, await server.login(), 50);
    for (const { access_token } of sessions) expect(await other.verify(access_token)).toMatchObject({ active: true });
    for (const [index, { access_token, refresh_token }] of sessions.entries()) {
      const [here, there] = index % 2 === 0 ? [server, other] : [other, server];
      expect((await here.post('/logout', { refresh_token })).status).toBe(204);
      expect(await there.verify(access_token)).toEqual({ active: false, reason: 'revoked' });
    }
  });

  test('twice at once is one: one event, one entry of the feed', async () => {
    const [server, other] = await prepare();
    const pair = await server.login();
    await server.events();
    const { refresh_token } = pair;
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? server : other).post('/logout', { refresh_token })),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 204));
    expect((await server.events()).map(({ type }) => type)).toEqual(['family.revoked']);
    expect((await server.dump()).feed).toHaveLength(1);
  });

  test('of a disabled or removed user leaves no session behind, however many logins are under way', async () => {
    const [server, other] = await prepare();
    const ends = { [USERNAME]: disableUser, bob: removeUser };
    await server.addUser('bob');
    for (const [username, end] of Object.entries(ends)) {
      const logins = Array.from({ length: 8 }, (_, index) => (index % 2 === 0 ? server : other).tryLogin({ username }));
      await logins[0];
      await end(server.app, username);
      for (const answer of await Promise.all(logins)) {
        if (answer.status !== 200) expect(answer.body.error).toBe('invalid_credentials');
        else
          for (const one of [server, other])
            expect(await one.verify(pairOf(answer).access_token)).toEqual({ active: false, reason: 'revoked' });
      }
      expect((await other.tryLogin({ username })).status).toBe(401);
    }
  });

  test('by the session limit holds for logins at once on two servers', async () => {
    const [server, other] = await prepare();
    await server.addClient('tv', { isPublic: true, policy: { maxSessions: 2 } });
    server.clock.advance(2_000);
    const pairs = await Promise.all(
      Array.from({ length: 24 }, (_, index) => (index % 2 === 0 ? server : other).login({ client_id: 'tv' })),
    );
    const verdicts = await Promise.all(pairs.map(({ access_token }) => other.verify(access_token)));
    expect(verdicts.filter(({ active }) => active === true)).toHaveLength(2);
  });
});
