/** Who locks what on Postgres: in one order, so that no two wait for each other in a circle, and all that a decision stands on. */
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type App, closeApp, openApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { ReceiverKey } from '../../src/domain/delivery.ts';
import type { FamilyId, TokenId } from '../../src/domain/ids.ts';
import { Secret } from '../../src/domain/secret.ts';
import { durationMs, HOUR } from '../../src/domain/time.ts';
import { makeLog } from '../../src/log.ts';
import { addClient } from '../../src/operations/clients.ts';
import { declareKeyCompromised } from '../../src/operations/keys.ts';
import { logout } from '../../src/operations/sessions.ts';
import { addUser } from '../../src/operations/users.ts';
import { buryDeliveries, insertDeliveries } from '../../src/store/deliveries.ts';
import { migrateUp } from '../../src/store/migrate.ts';
import { lockFamily } from '../../src/store/token-families.ts';
import { makeDatabase } from '../support/databases.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { scratchFolder } from '../support/scratch.ts';
import { familyOf, logIn, ORIGIN, openTestApp, storeFamilies } from '../support/test-app.ts';
import { until } from '../support/until.ts';

const WAITING = `select 1 from pg_locks join pg_stat_activity using (pid) where not granted and datname = current_database()`;

/** Locks a family, as somebody does who is about to change it. */
async function hold(app: App, family: FamilyId): Promise<{ release(): Promise<void> }> {
  const gate = Promise.withResolvers<void>();
  const locked = Promise.withResolvers<void>();
  const holder = app.store.write(async (tx) => {
    await lockFamily(tx, family);
    locked.resolve();
    await gate.promise;
  });
  await locked.promise;
  return {
    release() {
      gate.resolve();
      return holder;
    },
  };
}

const untilWaiting = (app: App, count: number): Promise<void> =>
  until(
    async () => (await app.store.read((db) => db.connection.execute(WAITING, []))).rows.length >= count,
    `${count} wait for a lock`,
  );

/** Runs `work` while somebody holds one family; until it waits for that, `other` must be free. */
async function expectFirstToWait(app: App, held: FamilyId, other: FamilyId, work: () => Promise<unknown>) {
  const holder = await hold(app, held);
  const working = work();
  await untilWaiting(app, 1);
  const free = 'select id from token_families where id = $1 for update skip locked';
  const { rows } = await app.store.read((db) => db.connection.execute(free, [other]));
  await Promise.all([holder.release(), working]);
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

  test('burying what is on its way to a receiver waits for nobody who settles', async () => {
    const { app } = await openTestApp(await makeDatabase('postgres'));
    const [receiver, familyId] = ['receiver-1' as ReceiverKey, 'family-1' as FamilyId];
    const delivery = { receiver, familyId, lastError: null };
    await app.store.write((tx) =>
      insertDeliveries(tx, [
        { ...delivery, number: 1, state: 'pending' },
        { ...delivery, number: 2, state: 'waiting' },
      ]),
    );
    const bury = (): Promise<number> => app.store.write((tx) => buryDeliveries(tx, receiver, 'gone', 10));
    const first = 'select from deliveries where event_number = 1 for update';
    await app.store.write(async (tx) => {
      await tx.connection.execute(first, []);
      expect(await bury()).toBe(1);
    });
    expect(await bury()).toBe(1);
  });

  test('a login under way while its key is declared compromised ends with the others of that key', async () => {
    const { app } = await openTestApp(await makeDatabase('postgres'));
    await addUser(app, { name: 'alice', password: new Secret('correct horse') });
    await addClient(app, { id: 'tv', type: 'app', isPublic: true, audiences: [], policy: { maxSessions: 1 } });
    const first = await logIn(app, 'alice', 'correct horse', 'tv');
    const holder = await hold(app, first.sid);
    // It has looked at the key, and waits for the session that it is to end.
    const login = logIn(app, 'alice', 'correct horse', 'tv');
    await untilWaiting(app, 1);
    const compromise = declareKeyCompromised(app, 'refresh');
    await untilWaiting(app, 2);
    await holder.release();
    const { sid } = await login;
    await compromise;
    expect((await familyOf(app, sid)).revoked).toMatchObject({ cause: 'key_compromised' });
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
