/** While the database cannot be reached or is locked the answer is 503 and nothing is half done: contract §3, security I37. */
import BetterSqlite3 from 'better-sqlite3';
import pg from 'pg';
import { expect, test } from 'vitest';
import { makeDatabase } from '../support/databases.ts';
import { expectInvalidGrant, expectNoChange, expectRefusal } from '../support/expectations.ts';
import type { Answer } from '../support/http-client.ts';
import { openTcpProxy } from '../support/tcp-proxy.ts';
import { type Pair, startTestServer, type TestServer } from '../support/test-server.ts';
import { until } from '../support/until.ts';

const unavailable = (answer: Answer): void => expectRefusal(answer, 503, 'temporarily_unavailable');

/** Each request that has to write, at once, because each of them waits for a while. */
const writing = (server: TestServer, pair: Pair): Promise<Answer[]> =>
  Promise.all([
    server.tryRefresh(pair, { key: 'k' }),
    server.tryLogin(),
    server.tryLogin({ password: 'wrong' }),
    server.post('/logout', { refresh_token: pair.refresh_token }),
    server.post('/logout', { refresh_token: pair.refresh_token, everywhere: true }),
  ]);

test('a SQLite file locked by another process past the time-out is 503 for what writes; what reads goes on (S3)', async () => {
  const url = await makeDatabase('sqlite');
  const server = await startTestServer({ url });
  const pair = await server.login();
  const intruder = new BetterSqlite3(url.slice('sqlite:'.length));
  await expectNoChange(server, async () => {
    intruder.exec('begin immediate');
    for (const answer of await writing(server, pair)) unavailable(answer);
    expect(await server.verify(pair.access_token)).toMatchObject({ active: true });
    expect((await server.post('/sessions', { refresh_token: pair.refresh_token })).status).toBe(200);
    intruder.exec('rollback');
  });
  intruder.close();
  await server.refresh(pair, { key: 'k' });
});

test('a SQLite lock that is shorter than the time-out is waited for', async () => {
  const url = await makeDatabase('sqlite');
  const server = await startTestServer({ url });
  const pair = await server.login();
  const intruder = new BetterSqlite3(url.slice('sqlite:'.length));
  intruder.exec('begin immediate');
  const refreshing = server.refresh(pair);
  for (let count = 0; count < 20; count += 1) expect((await server.send({ path: '/healthz' })).status).toBe(200);
  intruder.exec('rollback');
  intruder.close();
  await refreshing;
});

test('a Postgres that is away is 503 on every path, never a refusal and never an identity, and it heals by itself (S3 V10)', async () => {
  const url = new URL(await makeDatabase('postgres'));
  const server = await startTestServer({ url: url.href });
  const pair = await server.login();
  const before = await server.dump();
  const name = url.pathname.slice(1);
  const admin = new pg.Client({ connectionString: url.href.replace(/[^/]*$/, 'postgres') });
  await admin.connect();
  await admin.query(`alter database ${name} allow_connections false`);
  await admin.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name]);

  const reading = [
    await server.post('/verify', { token: pair.access_token }, server.api.basic),
    await server.post('/sessions', { refresh_token: pair.refresh_token }),
    await server.forwardAuth(pair.access_token),
  ];
  for (const answer of [...reading, ...(await writing(server, pair))]) {
    unavailable(answer);
    expect(Object.keys(answer.headers).filter((header) => header.startsWith('x-auth'))).toEqual([]);
  }
  expect((await server.send({ path: '/healthz' })).status).toBe(200);

  await admin.query(`alter database ${name} allow_connections true`);
  await admin.end();
  await until(
    async () => (await server.post('/sessions', { refresh_token: pair.refresh_token })).status === 200,
    'the server has healed',
  );
  expect(await server.dump()).toEqual(before);
  await server.refresh(pair, { key: 'k' });
});

test('a chain of slow statements ends with 503 at server.requestTimeout, and the repeated request finds what it did (I37 N6)', async () => {
  const url = new URL(await makeDatabase('postgres'));
  const quick = await startTestServer({ url: url.href });
  const pair = await quick.login();
  const next = await quick.refresh(pair, { key: 'k' });
  const proxy = await openTcpProxy(Number(url.port));
  url.port = String(proxy.port);
  const config = { 'server.requestTimeout': '2s' };
  const server = await startTestServer({ url: url.href, config, beside: quick });
  // No statement is slow enough for a time-out of its own, and a reuse has half a dozen of them.
  proxy.delay(700);
  const began = performance.now();
  unavailable(await server.tryRefresh(pair));
  expect(performance.now() - began).toBeLessThan(3_000);
  proxy.delay(0);
  await until(async () => (await quick.family(pair.session_id)).revoked !== null, 'the change is done all the same');
  expectInvalidGrant(await quick.tryRefresh(pair), 'revoked');
  expect(await quick.verify(next.access_token)).toEqual({ active: false, reason: 'revoked' });
});

/** Every change of a family is the victim of a deadlock, so many times. @returns how many there were */
async function stumbling(url: string, times: number): Promise<{ count(): Promise<number>; end(): Promise<void> }> {
  const admin = new pg.Client({ connectionString: url });
  await admin.connect();
  // A sequence keeps its number when the transaction is undone.
  await admin.query(`
    create sequence stumbles;
    create function stumble() returns trigger language plpgsql as $$ begin
      if nextval('stumbles') <= ${times} then raise exception 'stumbled' using errcode = '40P01'; end if;
      return new;
    end $$;
    create trigger stumble before update on token_families for each row execute function stumble()`);
  return {
    async count() {
      const { rows } = await admin.query<{ last_value: string }>('select last_value from stumbles');
      return Number(rows[0]?.last_value);
    },
    async end() {
      await admin.query('drop trigger stumble on token_families; drop function stumble; drop sequence stumbles');
      await admin.end();
    },
  };
}

test.each([
  ['a rotation', (server: TestServer, pair: Pair) => server.tryRefresh(pair, { key: 'k' }), 200],
  ['a logout', (server: TestServer, pair: Pair) => server.post('/logout', { refresh_token: pair.refresh_token }), 204],
] as const)('the victim of a deadlock is repeated, three times at most, then 503: %s (Q16)', async (_, ask, status) => {
  const url = await makeDatabase('postgres');
  const server = await startTestServer({ url });
  const pair = await server.login();
  const often = await stumbling(url, 1_000);
  await expectNoChange(server, async () => unavailable(await ask(server, pair)));
  expect(await often.count()).toBe(3);
  await often.end();
  const twice = await stumbling(url, 2);
  expect((await ask(server, pair)).status).toBe(status);
  expect(await twice.count()).toBe(3);
  await twice.end();
});
