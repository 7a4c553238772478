/**
 * N6, Q13, Q14: Postgres is killed, its connections are ended, it stands still, or the way to it is cut in the middle of a
 * change. Clients see 200 and 503 and nothing else, nobody waits past the time limit, and nothing that was answered is lost.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { type Load, refreshRequest, sessionOf, startLoad } from '../../scripts/fire/load.ts';
import { get, post } from '../../scripts/fire/wire.ts';
import {
  expectCleanHistory,
  type Ground,
  loginRequest,
  makeGround,
  REVOKED,
  SEED,
  type Served,
  saidOnAllPaths,
  TIMES,
  tell,
} from './ground.ts';
import { type CutAt, openCuttingProxy, startOwnPostgres } from './postgres.ts';

const REQUEST_TIMEOUT_MS = 10_000;
const CLIENTS = 16;
const POOL = 5;
const INTERRUPTIONS = Math.ceil(3 * TIMES);
const STANDSTILL_MS = 20_000;

const connections = async (ground: Ground): Promise<number> => {
  const [row] = await ground.query<{ count: string }>(
    "select count(*) as count from pg_stat_activity where application_name = 'auth-server'",
  );
  return Number(row?.count);
};

async function expectOnlyTrouble(ground: Ground, load: Load, served: Served): Promise<void> {
  await load.more(CLIENTS);
  await load.finish();
  tell(load.summary());
  const { statuses, slowestMs } = load.tally();
  expect(Object.keys(statuses).filter((status) => status !== '200' && status !== '503')).toEqual([]);
  expect(slowestMs).toBeLessThan(REQUEST_TIMEOUT_MS + 1_000);
  expect(await connections(ground)).toBeLessThanOrEqual(POOL);
  expect((await served.send(get('/readyz'))).status).toBe(200);
  expect(served.said()).not.toContain('unforeseen');
  await expectCleanHistory(ground, load.history);
}

describe('N6: under load', () => {
  test(`Postgres is restarted ${INTERRUPTIONS} times without notice`, async () => {
    const postgres = await startOwnPostgres();
    const ground = await makeGround('postgres', {}, postgres.url);
    const served = await ground.start();
    const load = startLoad({ ports: [served.port], sessions: await served.logins(CLIENTS), seed: SEED });
    for (let round = 0; round < INTERRUPTIONS; round += 1) {
      await load.more(100);
      await postgres.restartImmediately();
    }
    await expectOnlyTrouble(ground, load, served);
  });

  test(`all its connections are ended ${2 * INTERRUPTIONS} times`, async () => {
    const postgres = await startOwnPostgres();
    const ground = await makeGround('postgres', {}, postgres.url);
    const served = await ground.start();
    const load = startLoad({ ports: [served.port], sessions: await served.logins(CLIENTS), seed: SEED });
    for (let round = 0; round < 2 * INTERRUPTIONS; round += 1) {
      await load.more(50);
      await ground.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'auth-server'",
      );
    }
    await expectOnlyTrouble(ground, load, served);
  });

  test(`Postgres stands still for ${STANDSTILL_MS / 1_000} s`, async () => {
    const postgres = await startOwnPostgres();
    const ground = await makeGround('postgres', {}, postgres.url);
    const served = await ground.start();
    const load = startLoad({ ports: [served.port], sessions: await served.logins(CLIENTS), seed: SEED });
    await load.more(50);
    const goOn = postgres.freeze();
    await delay(STANDSTILL_MS).finally(goOn);
    await expectOnlyTrouble(ground, load, served);
  });
});

/** What is asked for, and the statement of it that decides. */
const CUTS: readonly [name: string, statement: RegExp][] = [
  ['the update of a rotation', /with clock as materialized/],
  ['begin', /^begin;/],
  ['the update of a family', /update "token_families"/],
  ['the insertion of a family', /insert into "token_families"/],
  ['commit', /^commit/],
];

const cuts = CUTS.flatMap(([name, statement]) =>
  (['statement', 'answer'] as const).map((at): [CutAt, string, RegExp] => [at, name, statement]),
);

test.each(cuts)(
  'Q14: the connection is cut at the %s of %s: repeated, every request ends well',
  async (at, _, statement) => {
    const ground = await makeGround('postgres');
    const [{ port: databasePort } = { port: '' }] = await ground.query<{ port: string }>(
      "select current_setting('port') as port",
    );
    const proxy = await openCuttingProxy(Number(databasePort));
    const served = await ground.start({ env: { AUTH_SERVER_DATABASE_URL: await throughProxy(ground, proxy.port) } });
    let isCut = false;

    async function untilAnswered(request: string): Promise<{ status: number; text: string }> {
      const disarm = proxy.arm(statement, at);
      for (let tries = 0; tries < 100; tries += 1) {
        const answer = await served.send(request);
        if (answer.status !== 503) {
          isCut = disarm() || isCut;
          return answer;
        }
        await delay(20);
      }
      throw new Error('only 503');
    }

    const login = await untilAnswered(loginRequest());
    expect(login.status).toBe(200);
    const session = sessionOf(login.text);
    const rotated = await untilAnswered(refreshRequest(session, 'a-key'));
    expect(rotated.status).toBe(200);
    const second = sessionOf(rotated.text);
    expect(second.generation).toBe(1);
    const replayed = await untilAnswered(refreshRequest(session, 'a-key'));
    expect(sessionOf(replayed.text).refreshToken).toBe(second.refreshToken);
    const reuse = await untilAnswered(refreshRequest(session, 'another-key'));
    expect(reuse.text).toMatch(/"(reused|revoked)"/);
    expect(await saidOnAllPaths(served, ground.api, second)).toEqual(REVOKED);
    const other = await served.login();
    expect((await untilAnswered(post('/logout', { refresh_token: other.refreshToken }))).status).toBe(204);
    expect(await saidOnAllPaths(served, ground.api, other)).toEqual(REVOKED);
    expect(isCut).toBe(true);
    expect(await connections(ground)).toBeLessThanOrEqual(POOL);
    expect(served.said()).not.toContain('unforeseen');
  },
);

async function throughProxy(ground: Ground, port: number): Promise<string> {
  const [row] = await ground.query<{ name: string; user: string }>(
    'select current_database() as name, current_user as user',
  );
  return `postgres://${row?.user}@127.0.0.1:${port}/${row?.name}`;
}
