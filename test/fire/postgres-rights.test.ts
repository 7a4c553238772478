/**
 * Q12, Q17, Q18: a Postgres that lets nobody in, or only to read, or that is an older copy of itself. At the start that is
 * exit 5; while serving it is 503, until it is over.
 */
import { expect, test } from 'vitest';
import { refreshRequest, sessionOf } from '../../scripts/fire/load.ts';
import { get } from '../../scripts/fire/wire.ts';
import { until } from '../support/until.ts';
import { makeGround, type Served } from './ground.ts';
import { runOn, startOwnPostgres, throughProxy } from './postgres.ts';
import { REVOKED, saidOnAllPaths } from './said.ts';

const untilReady = (served: Served, status: number): Promise<void> =>
  until(async () => (await served.send(get('/readyz'))).status === status, `/readyz is ${status}`);

test('Q12: wrong password, no such database, TLS required, no connection left: exit 5, and 503 while serving', async () => {
  const postgres = await startOwnPostgres();
  const ground = await makeGround('postgres', {}, postgres.url);
  for (const sql of [
    "create role keeper login password 'right'",
    'grant all on all tables in schema public to keeper',
    'grant all on all sequences in schema public to keeper',
    'create role sealed login',
    'create role crowded login connection limit 0',
  ]) {
    await ground.query(sql);
  }
  await postgres.admit([
    'host all keeper 127.0.0.1/32 scram-sha-256',
    'hostssl all sealed 127.0.0.1/32 trust',
    'hostnossl all sealed 127.0.0.1/32 reject',
    'host all all 127.0.0.1/32 trust',
  ]);
  const at = (user: string, database = 'postgres'): { env: Record<string, string> } => ({
    env: { AUTH_SERVER_DATABASE_URL: `postgres://${user}@127.0.0.1:${postgres.port}/${database}` },
  });
  const refused: readonly [string, ReturnType<typeof at>][] = [
    ['28P01', at('keeper:wrong')],
    ['3D000', at('postgres', 'nowhere')],
    ['28000', at('sealed')],
    ['53300', at('crowded')],
  ];
  // A place that is wanted is waited for, half a minute; the rest goes on meanwhile.
  const refusals = Promise.all(
    refused.map(async ([state, options]) => {
      const { code, stderr } = await ground.tryStart(options);
      expect({ code, stderr }).toMatchObject({ code: 5, stderr: expect.stringContaining(`(${state})`) });
      expect(stderr).not.toContain('wrong');
    }),
  );

  const served = await ground.start(at('keeper:right'));
  const session = await served.login();
  const cutOff = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'keeper'";
  for (const [away, back] of [
    ['alter role keeper connection limit 0', 'alter role keeper connection limit -1'],
    ["alter role keeper password 'another'", "alter role keeper password 'right'"],
    ['revoke all on all tables in schema public from keeper', 'grant all on all tables in schema public to keeper'],
  ] as const) {
    await ground.query(away);
    await ground.query(cutOff);
    await untilReady(served, 503);
    expect((await served.send(refreshRequest(session, 'a-key'))).status).toBe(503);
    await ground.query(back);
    await untilReady(served, 200);
    expect((await served.send(refreshRequest(session, 'a-key'))).status).toBe(200);
  }
  expect(served.said()).not.toContain('unforeseen');
  await refusals;
});

test('Q18: a role without the right to write: exit 5 at the start, and doctor says what to grant', async () => {
  const postgres = await startOwnPostgres();
  const ground = await makeGround('postgres', {}, postgres.url);
  await ground.query('create role reader login');
  await ground.query('grant select on all tables in schema public to reader');
  const env = { AUTH_SERVER_DATABASE_URL: `postgres://reader@127.0.0.1:${postgres.port}/postgres` };
  const start = await ground.tryStart({ env });
  expect(start).toMatchObject({ code: 5, stderr: expect.stringContaining('token_families') });
  const doctor = await ground.runAs({ env }, 'doctor');
  expect(doctor.stdout + doctor.stderr).toContain('grant insert, update, delete on');
  expect(doctor.code).toBe(1);
});

test('Q17: an older copy takes over: what it has not seen ends its family, and goes on nowhere (I12)', async () => {
  const ground = await makeGround('postgres');
  const { url, port } = await throughProxy(ground);
  let served = await ground.start();
  const [session, other] = [await served.login(), await served.login()];
  const one = sessionOf((await served.send(refreshRequest(session, 'one'))).text);
  await served.end('SIGTERM');
  const original = new URL(url(port));
  const standby = new URL(original);
  standby.pathname = `${original.pathname}_copy`;
  // Of a database that nobody has open.
  const elsewhere = new URL(original);
  elsewhere.pathname = '/postgres';
  const nameOf = ({ pathname }: URL): string => pathname.slice(1);
  await runOn(elsewhere.href, `create database ${nameOf(standby)} template ${nameOf(original)}`);
  served = await ground.start();
  const two = sessionOf((await served.send(refreshRequest(one, 'two'))).text);
  const three = sessionOf((await served.send(refreshRequest(two, 'three'))).text);
  await served.end('SIGTERM');

  served = await ground.start({ env: { AUTH_SERVER_DATABASE_URL: standby.href } });
  expect((await served.send(refreshRequest(three, 'four'))).text).toContain('"unknown"');
  expect(await saidOnAllPaths(served, ground.api, one)).toEqual(REVOKED);
  expect((await served.send(refreshRequest(other, 'a-key'))).status).toBe(200);
  await served.end('SIGTERM');
  await runOn(elsewhere.href, `drop database ${nameOf(standby)}`);
});
