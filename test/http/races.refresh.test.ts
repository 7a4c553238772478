/** Whatever comes at once, a generation has one successor, and nobody who was merely outrun gets a server error: contract §3. */
import { expect, test } from 'vitest';
import { describeOnBothDatabases, type MakeDatabase } from '../support/databases.ts';
import { expectEvents, expectInvalidGrant } from '../support/expectations.ts';
import type { Answer } from '../support/http-client.ts';
import { beginSessions } from '../support/many-sessions.ts';
import { type Pair, pairOf, type RefreshOptions, startTestServer, type TestServer } from '../support/test-server.ts';
import { until } from '../support/until.ts';

const CROWD = 64;

/** All at once, each by its turn to one of the servers. */
const crowd = (
  servers: readonly TestServer[],
  pair: Pair,
  optionsOf: (index: number) => RefreshOptions,
): Promise<Answer[]> =>
  Promise.all(
    Array.from({ length: CROWD }, (_, index) => {
      const server = servers[index % servers.length];
      if (server === undefined) throw new Error('there is no server to ask');
      return server.tryRefresh(pair, optionsOf(index));
    }),
  );

/** How often each answer was given: `200`, or its reason. */
function tally(answers: readonly Answer[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { status, body } of answers) {
    const name = status === 200 ? '200' : `${status} ${String(body.reason ?? body.error)}`;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

const successors = (answers: readonly Answer[]): ReadonlySet<string> =>
  new Set(answers.filter(({ status }) => status === 200).map((answer) => pairOf(answer).refresh_token));

describeOnBothDatabases('requests at once with one refresh token', (makeDatabase: MakeDatabase) => {
  /** One server, or two on one database. */
  async function prepare(count: 1 | 2, config: Readonly<Record<string, unknown>> = {}) {
    const url = await makeDatabase();
    const server = await startTestServer({ url, config });
    const servers = count === 1 ? [server] : [server, await startTestServer({ url, beside: server, config })];
    const pair = await server.login();
    for (const one of servers) await one.events();
    return { server, servers, pair };
  }

  test.each([1, 2] as const)(
    'and one key are all granted, with one successor, on %i server(s) (R24, I1)',
    async (count) => {
      const { server, servers, pair } = await prepare(count);
      const answers = await crowd(servers, pair, () => ({ key: 'one' }));
      expect(tally(answers)).toEqual({ 200: CROWD });
      const [successor, ...others] = successors(answers);
      expect(others).toEqual([]);
      expect((await server.family(pair.session_id)).generation).toBe(1);
      expect(new Set(answers.map(({ body }) => body.access_token)).size).toBe(CROWD);
      await expectEvents(server);
      await server.refresh({ ...pair, refresh_token: successor ?? '' });
    },
  );

  test.each([1, 2] as const)(
    'and no key are one success and a reuse that ends the family, on %i server(s) (I1)',
    async (count) => {
      const { server, servers, pair } = await prepare(count);
      const answers = await crowd(servers, pair, () => ({}));
      expect(tally(answers)).toEqual({ 200: 1, '401 reused': 1, '401 revoked': CROWD - 2 });
      expect(await server.family(pair.session_id)).toMatchObject({ generation: 1, revoked: { cause: 'reuse' } });
      await expectEvents(server, 'token.reuse_detected', 'family.revoked');
      const next = answers.find(({ status }) => status === 200);
      if (next === undefined) throw new Error('none was granted');
      for (const one of servers) {
        expectInvalidGrant(await one.tryRefresh(pairOf(next)), 'revoked');
        expect(await one.verify(pairOf(next).access_token)).toEqual({ active: false, reason: 'revoked' });
      }
    },
  );

  test.each([1, 2] as const)(
    'and two keys are one successor and a reuse that ends the family, on %i server(s) (R23)',
    async (count) => {
      const { server, servers, pair } = await prepare(count);
      const answers = await crowd(servers, pair, (index) => ({ key: index % 3 === 0 ? 'one' : 'two' }));
      expect(successors(answers).size).toBe(1);
      const { 200: granted = 0, '401 reused': reused, '401 revoked': revoked = 0, ...rest } = tally(answers);
      expect([reused, granted + revoked, rest]).toEqual([1, CROWD - 1, {}]);
      expect(await server.family(pair.session_id)).toMatchObject({ generation: 1, revoked: { cause: 'reuse' } });
      await expectEvents(server, 'token.reuse_detected', 'family.revoked');
    },
  );

  test('within a leeway are all granted with one successor, keys or none', async () => {
    const { server, servers, pair } = await prepare(2, { 'tokens.refresh.leeway': '10s' });
    const answers = await crowd(servers, pair, (index) => (index % 2 === 0 ? {} : { key: `k-${index}` }));
    expect(tally(answers)).toEqual({ 200: CROWD });
    expect(successors(answers).size).toBe(1);
    expect((await server.family(pair.session_id)).generation).toBe(1);
  });

  test('of many families do not touch each other', async () => {
    const { server, servers } = await prepare(2);
    const pairs = await beginSessions(server, await server.login(), 8);
    const answers = await Promise.all(pairs.map((pair, index) => crowd(servers, pair, () => ({ key: `k-${index}` }))));
    for (const [index, { session_id }] of pairs.entries()) {
      expect(tally(answers[index] ?? [])).toEqual({ 200: CROWD });
      expect(await server.family(session_id)).toMatchObject({ generation: 1, revoked: null });
    }
  });

  test('a request that its client gives up is answered by its repetition, with the identical token (R25, I5)', async () => {
    const { server, pair } = await prepare(1);
    for (const [round, fresh] of (await beginSessions(server, pair, 10)).entries()) {
      const controller = new AbortController();
      const { access_token, refresh_token } = fresh;
      const lost = server.send({
        method: 'POST',
        path: '/refresh',
        headers: { 'content-type': 'application/json', 'idempotency-key': 'k' },
        body: JSON.stringify({ access_token, refresh_token }),
        signal: controller.signal,
      });
      // From not yet sent to long since answered.
      const settled = lost.then(pairOf, () => undefined);
      if (round % 2 === 0)
        await until(async () => (await server.family(fresh.session_id)).generation === 1, 'the rotation has happened');
      controller.abort();
      const answered = await settled;
      const again = await server.refresh(fresh, { key: 'k' });
      const family = await server.family(fresh.session_id);
      expect(family).toMatchObject({ generation: 1, revoked: null });
      expect(again.refresh_token).toBe(
        answered?.refresh_token ?? (await server.refresh(fresh, { key: 'k' })).refresh_token,
      );
    }
  });
});
