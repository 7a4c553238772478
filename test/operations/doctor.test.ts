/** What `doctor` says of a database and its keys (contract §7): on both databases, as the fault is made. */
import { expect, test } from 'vitest';
import type { App } from '../../src/app.ts';
import type { Finding } from '../../src/domain/finding.ts';
import type { Subject } from '../../src/domain/ids.ts';
import { HOUR, MINUTE } from '../../src/domain/time.ts';
import { examine } from '../../src/operations/doctor.ts';
import { recordEvent } from '../../src/store/events.ts';
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
      message: expect.stringContaining(kind === 'sqlite' ? 'WAL, integrity ok' : 'PostgreSQL'),
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
