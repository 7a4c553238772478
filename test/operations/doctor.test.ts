/** What `doctor` says of a database and its keys (contract §7): on both databases, as the fault is made. */
import { expect, test } from 'vitest';
import type { App } from '../../src/app.ts';
import type { Finding } from '../../src/domain/finding.ts';
import type { Subject } from '../../src/domain/ids.ts';
import { epochMs, HOUR, MINUTE } from '../../src/domain/time.ts';
import { examine } from '../../src/operations/doctor.ts';
import { judgePostgres } from '../../src/operations/doctor-database.ts';
import { recordEvent } from '../../src/store/events.ts';
import type { PostgresHealth } from '../../src/store/health.ts';
import { deleteKey, listKeys } from '../../src/store/signing-keys.ts';
import { describeOnBothDatabases, makeDatabase as makeOne } from '../support/databases.ts';
import { openTestApp, storeFamilies } from '../support/test-app.ts';

const look = async (app: App): Promise<ReadonlyMap<string, Finding>> =>
  new Map((await examine(app, { isDefault: false })).map((finding) => [finding.name, finding]));

describeOnBothDatabases('doctor', (makeDatabase, kind) => {
  test('a sound database is ok, and its kind is told', async () => {
    const { app } = await openTestApp(await makeDatabase());
    const findings = await look(app);
    expect(findings.get('database')).toMatchObject({
      status: 'ok',
      message: expect.stringContaining(kind === 'sqlite' ? 'WAL, synchronous FULL, integrity ok' : 'PostgreSQL'),
    });
    for (const name of ['schema', 'master key', 'access keys', 'refresh keys', 'key coverage']) {
      expect(findings.get(name), name).toMatchObject({ status: 'ok' });
    }
  });

  test('a row of a key that was changed is told by its short kid, and the other keys still open', async () => {
    const { app } = await openTestApp(await makeDatabase());
    const next = (await app.store.read(listKeys)).find((key) => key.ring === 'access' && key.state === 'next');
    await app.store.write(async (tx) => {
      await tx.sql
        .updateTable('signing_keys')
        .set({ sealed_key: 'v1.x.y.z' })
        .where('kid', '=', next?.kid ?? ('' as never))
        .execute();
    });
    expect((await look(app)).get('master key')).toMatchObject({
      status: 'fail',
      message: expect.stringContaining(`${next?.kid.slice(0, 4)}..${next?.kid.slice(-4)} (access, next)`),
    });
  });

  test('live sessions whose refresh key is gone are counted', async () => {
    const { app } = await openTestApp(await makeDatabase());
    await storeFamilies(app, [{}, {}]);
    const { kid } = (await app.keys.current()).refresh.active;
    await app.store.write((tx) => deleteKey(tx, kid));
    const findings = await look(app);
    expect(findings.get('key coverage')).toMatchObject({ status: 'fail', message: expect.stringContaining('2 live') });
    expect(findings.get('refresh keys')).toMatchObject({ status: 'fail' });
  });

  test('a clock that is wrong is told', async () => {
    const { app, clock } = await openTestApp(await makeDatabase());
    await app.store.write((tx) => recordEvent(tx, { type: 'user.enabled', data: { subject: 'x' as Subject } }));
    if (kind === 'postgres') {
      // The clock of the test stands still in another month than that of the server.
      expect((await look(app)).get('clock')).toMatchObject({ status: 'fail' });
      clock.advance(Date.now() - clock.now());
      expect((await look(app)).get('clock')).toMatchObject({ status: 'ok' });
      clock.advance(30_000);
      expect((await look(app)).get('clock')).toMatchObject({
        status: 'warn',
        message: expect.stringMatching(/ahead of/),
      });
      return;
    }
    clock.advance(-HOUR);
    expect((await look(app)).get('clock')).toMatchObject({
      status: 'warn',
      message: expect.stringContaining('went back'),
    });
    clock.advance(HOUR + MINUTE);
    expect((await look(app)).get('clock')).toMatchObject({ status: 'ok' });
    clock.advance(-clock.now());
    expect((await look(app)).get('clock')).toMatchObject({ status: 'fail' });
  });
});

test('a Postgres that forgets what it confirmed is a failure', async () => {
  const { app } = await openTestApp(await makeOne('postgres'));
  // The tests' own server is tuned to forget.
  expect((await look(app)).get('durability')).toMatchObject({
    status: 'fail',
    message: expect.stringContaining('fsync off'),
  });
});

test('the time-outs of a Postgres connection are looked at as the server has them', async () => {
  const { app } = await openTestApp(await makeOne('postgres'));
  expect((await look(app)).get('time-outs')).toMatchObject({
    status: 'ok',
    message: expect.stringContaining('statement_timeout 5s, idle_in_transaction_session_timeout 5s'),
  });
});

const SOUND: PostgresHealth = {
  version: '18',
  fsync: 'on',
  synchronousCommit: 'on',
  fullPageWrites: 'on',
  timeouts: { statement_timeout: '5s', lock_timeout: '0', idle_in_transaction_session_timeout: '5s' },
  synchronousStandbys: '',
  standbys: 0,
  isStandby: false,
  readOnlyTables: [],
  now: epochMs(0),
};

const NO_TIMEOUTS = { ...SOUND.timeouts, statement_timeout: '0', idle_in_transaction_session_timeout: '0' };

// Settings that the tests' own server cannot be given for one test alone.
test.each<[string, Partial<PostgresHealth>, Pick<Finding, 'name' | 'status'>, string]>([
  ['a sound one', {}, { name: 'durability', status: 'ok' }, ''],
  ['no fsync', { fsync: 'off' }, { name: 'durability', status: 'fail' }, 'alter system set fsync = on'],
  [
    'commits that do not wait',
    { synchronousCommit: 'off' },
    { name: 'durability', status: 'fail' },
    'set synchronous_commit = on',
  ],
  [
    'torn pages',
    { fullPageWrites: 'off' },
    { name: 'durability', status: 'warn' },
    'alter system set full_page_writes = on',
  ],
  [
    'no time-outs',
    { timeouts: NO_TIMEOUTS },
    { name: 'time-outs', status: 'warn' },
    "alter role current_user set statement_timeout = '5s'",
  ],
  ['a standby that is not waited for', { standbys: 1 }, { name: 'replication', status: 'warn' }, 'restore --in-place'],
  ['one that is', { standbys: 1, synchronousStandbys: 'ANY 1 (*)' }, { name: 'replication', status: 'ok' }, ''],
  ['a standby itself', { isStandby: true }, { name: 'database', status: 'fail' }, 'point database.url at the primary'],
  [
    'a user who may only read',
    { readOnlyTables: ['users'] },
    { name: 'database', status: 'fail' },
    'grant insert, update, delete on users',
  ],
])('Postgres, %s', (_name, differs, expected, remedy) => {
  const findings = judgePostgres({ ...SOUND, ...differs }, 'postgres://db/auth');
  const found = findings.find(({ name }) => name === expected.name);
  expect(found).toMatchObject(expected);
  expect(found?.remedy ?? '').toContain(remedy);
});
