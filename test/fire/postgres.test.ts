/**
 * N6, Q13, Q15: Postgres is killed, its connections are ended, it stands still, or the way to it is slow, deaf or broken.
 * Clients see 200 and 503 and nothing else, nobody waits past the time limit, and nothing that was answered is lost.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { type Load, startLoad } from '../../scripts/fire/load.ts';
import { get } from '../../scripts/fire/wire.ts';
import { openTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { expectCleanHistory, type Ground, makeGround, SEED, type Served, TIMES, tell } from './ground.ts';
import { startOwnPostgres, throughProxy, untilPoolIs } from './postgres.ts';

const REQUEST_TIMEOUT_MS = 10_000;
const CLIENTS = 16;
const POOL = 5;
const INTERRUPTIONS = Math.ceil(3 * TIMES);
const STANDSTILL_MS = 20_000;
const BACK_WITHIN_MS = 5_000;

/** Once what was wrong is over, the next answers come soon. */
async function expectServedSoon(load: Load): Promise<void> {
  const began = performance.now();
  await load.more(1);
  expect(performance.now() - began).toBeLessThan(BACK_WITHIN_MS);
}

async function expectOnlyTrouble(ground: Ground, load: Load, served: Served): Promise<void> {
  await load.more(CLIENTS);
  await load.finish();
  tell(load.summary());
  const { statuses, slowestMs } = load.tally();
  expect(Object.keys(statuses).filter((status) => status !== '200' && status !== '503')).toEqual([]);
  expect(slowestMs).toBeLessThan(REQUEST_TIMEOUT_MS + 1_000);
  await untilPoolIs(ground, POOL);
  expect((await served.send(get('/readyz'))).status).toBe(200);
  expect(served.said()).not.toContain('unforeseen');
  await expectCleanHistory(ground, load.history);
}

describe('N6, Q13: under load', () => {
  test(`Postgres is restarted ${INTERRUPTIONS} times without notice`, async () => {
    const postgres = await startOwnPostgres();
    const ground = await makeGround('postgres', {}, postgres.url);
    const served = await ground.start();
    const load = startLoad({ ports: [served.port], sessions: await served.logins(CLIENTS), seed: SEED });
    for (let round = 0; round < INTERRUPTIONS; round += 1) {
      await load.more(100);
      await postgres.restartImmediately();
      await expectServedSoon(load);
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
    await expectServedSoon(load);
    await expectOnlyTrouble(ground, load, served);
  });
});

/** One spoils it for so long, ms; the other is over at once. */
const FAULTS: readonly [name: string, spoil: (proxy: TcpProxy) => Promise<void>][] = [
  [
    'answers come 500 ms later',
    async (proxy) => {
      proxy.delay(500);
      await delay(3_000);
      proxy.delay(0);
    },
  ],
  [
    'swallows all for 3 s',
    async (proxy) => {
      const end = proxy.swallow();
      await delay(3_000);
      end();
    },
  ],
  ['resets all connections', async (proxy) => proxy.reset()],
  ['half closes all connections', async (proxy) => proxy.halfClose()],
  [
    'is cut off for 3 s',
    async (proxy) => {
      await proxy.cut();
      await delay(3_000);
      await proxy.restore();
    },
  ],
];

describe('N6, Q15: under load, the way to Postgres', () => {
  test.each(FAULTS)('%s', async (name, spoil) => {
    const ground = await makeGround('postgres');
    const { url, port } = await throughProxy(ground);
    const proxy = await openTcpProxy(port);
    const served = await ground.start({ env: { AUTH_SERVER_DATABASE_URL: url(proxy.port) } });
    const load = startLoad({ ports: [served.port], sessions: await served.logins(CLIENTS), seed: SEED });
    for (let round = 0; round < Math.ceil(TIMES); round += 1) {
      await load.more(2 * CLIENTS);
      await spoil(proxy);
      // What was swallowed is given up after the patience of a statement.
      if (!name.startsWith('swallows')) await expectServedSoon(load);
    }
    await expectOnlyTrouble(ground, load, served);
    if (name.startsWith('answers')) expect(Object.keys(load.tally().statuses)).toEqual(['200']);
  });
});
