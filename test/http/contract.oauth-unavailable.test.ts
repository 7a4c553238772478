/** The standard endpoints while the database is away or locked: 503, never a 200 that was not meant (O8, security I37). */
import BetterSqlite3 from 'better-sqlite3';
import pg from 'pg';
import { expect, test } from 'vitest';
import { makeDatabase } from '../support/databases.ts';
import { expectNoChange, expectRefusal } from '../support/expectations.ts';
import { postForm } from '../support/form.ts';
import type { Answer } from '../support/http-client.ts';
import { type Pair, pairOf, startTestServer, type TestClient, type TestServer } from '../support/test-server.ts';
import { until } from '../support/until.ts';

interface Stage {
  readonly server: TestServer;
  readonly app: TestClient;
  readonly pair: Pair;
}

async function prepare(url: string): Promise<Stage> {
  const server = await startTestServer({ url });
  const app = await server.addClient('backend');
  return { server, app, pair: await server.login({ client_id: app.id, headers: app.basic }) };
}

const refresh = ({ server, app, pair: { refresh_token } }: Stage): Promise<Answer> =>
  postForm(
    server,
    '/oauth/token',
    { grant_type: 'refresh_token', refresh_token },
    { ...app.basic, 'idempotency-key': 'k' },
  );

const revoke = ({ server, app }: Stage, token: string): Promise<Answer> =>
  postForm(server, '/oauth/revoke', { token }, app.basic);

const introspect = ({ server, pair }: Stage): Promise<Answer> =>
  postForm(server, '/oauth/introspect', { token: pair.access_token }, server.api.basic);

/** At once, because each of them waits for a while. */
const writing = (stage: Stage): Promise<Answer[]> =>
  Promise.all([refresh(stage), revoke(stage, stage.pair.refresh_token), revoke(stage, stage.pair.access_token)]);

const unavailable = (answer: Answer): void => expectRefusal(answer, 503, 'temporarily_unavailable');

/** The client repeats what it asked, and then it is done. */
async function expectHealed(stage: Stage): Promise<void> {
  const next = pairOf(await refresh(stage));
  expect((await revoke(stage, next.refresh_token)).status).toBe(200);
  expect((await introspect(stage)).body).toEqual({ active: false });
}

test('a SQLite file that another process keeps locked is 503 for refresh and revocation (O8)', async () => {
  const url = await makeDatabase('sqlite');
  const stage = await prepare(url);
  const intruder = new BetterSqlite3(url.slice('sqlite:'.length));
  await expectNoChange(stage.server, async () => {
    intruder.exec('begin immediate');
    for (const answer of await writing(stage)) unavailable(answer);
    expect((await introspect(stage)).body).toMatchObject({ active: true });
    intruder.exec('rollback');
  });
  intruder.close();
  await expectHealed(stage);
});

test('a Postgres that is away is 503 for refresh, revocation and introspection (O8)', async () => {
  const url = new URL(await makeDatabase('postgres'));
  const stage = await prepare(url.href);
  const before = await stage.server.dump();
  const name = url.pathname.slice(1);
  const admin = new pg.Client({ connectionString: url.href.replace(/[^/]*$/, 'postgres') });
  await admin.connect();
  await admin.query(`alter database ${name} allow_connections false`);
  await admin.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name]);
  for (const answer of [...(await writing(stage)), await introspect(stage)]) unavailable(answer);
  await admin.query(`alter database ${name} allow_connections true`);
  await admin.end();
  await until(async () => (await introspect(stage)).status === 200, 'the server has healed');
  expect(await stage.server.dump()).toEqual(before);
  await expectHealed(stage);
});
