/** Who locks several rows on Postgres does it in one order, so that no two wait for each other in a circle. */
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type App, closeApp, openApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { FamilyId, TokenId } from '../../src/domain/ids.ts';
import { Secret } from '../../src/domain/secret.ts';
import { durationMs, HOUR } from '../../src/domain/time.ts';
import { makeLog } from '../../src/log.ts';
import { logout } from '../../src/operations/sessions.ts';
import { addUser } from '../../src/operations/users.ts';
import { migrateUp } from '../../src/store/migrate.ts';
import { lockFamily } from '../../src/store/token-families.ts';
import { makeDatabase } from '../support/databases.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { scratchFolder } from '../support/scratch.ts';
import { familyOf, logIn, ORIGIN, openTestApp, storeFamilies } from '../support/test-app.ts';
import { until } from '../support/until.ts';

const WAITING = `select 1 from pg_locks join pg_stat_activity using (pid) where not granted and datname = current_database()`;

/** Runs `work` while somebody holds one family; until it waits for that, `other` must be free. */
async function expectFirstToWait(app: App, held: FamilyId, other: FamilyId, work: () => Promise<unknown>) {
  const gate = Promise.withResolvers<void>();
  const locked = Promise.withResolvers<void>();
  const holder = app.store.write(async (tx) => {
    await lockFamily(tx, held);
    locked.resolve();
    await gate.promise;
  });
  await locked.promise;
  const working = work();
  await until(
    async () => (await app.store.read((db) => db.connection.execute(WAITING, []))).rows.length > 0,
    'it waits for the family',
  );
  const free = 'select id from token_families where id = $1 for update skip locked';
  const { rows } = await app.store.read((db) => db.connection.execute(free, [other]));
  gate.resolve();
  await Promise.all([holder, working]);
  expect(rows).toEqual([{ id: other }]);
}

describe('on Postgres', () => {
  test('rotations of one turn lock their families in the order in which a revocation does', async () => {
    const { app } = await openTestApp(await makeDatabase('postgres'));
    // So many that each is looked up by its id, as it is in a database that is worth locking.
    const ids = await storeFamilies(
      app,
      Array.from({ length: 2_000 }, () => ({})),
    );
    await app.store.write((tx) => tx.connection.execute('analyze token_families', []));
    const [one, two] = ids.toSorted();
    if (one === undefined || two === undefined) throw new Error('no families');
    const { kid } = (await app.keys.current()).refresh.active;
    const rotate = async (id: FamilyId) => {
      const { generation, current } = await familyOf(app, id);
      const next = { jti: `${id.slice(0, -1)}f` as TokenId, kid, requestKeyHash: null };
      return {
        id,
        generation,
        jti: current.jti,
        next,
        refreshTokenTtl: durationMs(HOUR),
        idleTimeout: null,
        origin: ORIGIN,
      };
    };
    const rotations = [await rotate(two), await rotate(one)];
    await expectFirstToWait(app, one, two, async () => {
      const moved = await Promise.all(rotations.map((rotation) => app.rotateAtOnce?.(rotation)));
      expect(moved.map((family) => family?.id)).toEqual([two, one]);
    });
  });

  test('a logout that ends several sessions locks its own in its turn', async () => {
    const { app } = await openTestApp(await makeDatabase('postgres'));
    await addUser(app, { name: 'alice', password: new Secret('correct horse') });
    const sessions = [await logIn(app, 'alice', 'correct horse'), await logIn(app, 'alice', 'correct horse')];
    const [one, two] = sessions.toSorted((left, right) => (left.sid < right.sid ? -1 : 1));
    if (one === undefined || two === undefined) throw new Error('no sessions');
    await expectFirstToWait(app, one.sid, two.sid, () => logout(app, two.refreshToken, { kind: 'everywhere' }));
    expect((await familyOf(app, one.sid)).revoked).not.toBeNull();
  });

  test('of two first servers with a master key each, one is told that its key is not the right one', async () => {
    const url = await makeDatabase('postgres');
    const clock = fakeClock();
    const open = async (schema: 'any' | 'create'): Promise<App> => {
      const folder = scratchFolder('app');
      const masterKey = { file: path.join(folder, 'auth-server.key') };
      const { config } = loadConfig({ flags: { 'database.url': url, masterKey }, env: {}, cwd: folder });
      const app = await openApp({
        config,
        log: makeLog({ level: 'error', format: 'json', now: clock.now, write: () => undefined }),
        schema,
        clock,
      });
      onTestFinished(() => closeApp(app));
      return app;
    };
    await migrateUp((await open('any')).store);
    for (let round = 0; round < 10; round += 1) {
      const apps = [await open('create'), await open('create')];
      const opened = await Promise.allSettled(apps.map((app) => app.master()));
      expect(opened.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
      await apps[0]?.store.write((tx) =>
        tx.sql.deleteFrom('settings').where('name', '=', 'master_key_check').execute(),
      );
    }
  });
});
