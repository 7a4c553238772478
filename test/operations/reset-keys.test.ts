/** `keys reset --lost-master-key`: the documented way out, on both databases (D10). */
import { rmSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type App, closeApp, openApp } from '../../src/app.ts';
import { planReset, resetKeys } from '../../src/operations/reset-keys.ts';
import { feedPosition, listRevocations } from '../../src/store/revocations.ts';
import { listKeys } from '../../src/store/signing-keys.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { openTestApp, storeFamilies } from '../support/test-app.ts';
import { startTestServer } from '../support/test-server.ts';

function lose(app: App): void {
  if (app.config.masterKey.kind === 'file') rmSync(app.config.masterKey.path);
}

const stateOf = (app: App) =>
  app.store.read(async (db) => (await listKeys(db)).map(({ kid, state }) => `${kid} ${state}`));

/** As the command opens it: after the loss, so without a master key. */
async function withLost<T>(app: App, run: (lost: App) => Promise<T>): Promise<T> {
  const lost = await openApp({
    config: app.config,
    log: app.log,
    schema: 'current',
    clock: app.clock,
    databaseClock: false,
  });
  try {
    return await run(lost);
  } finally {
    await closeApp(lost);
  }
}

describeOnBothDatabases('keys reset', (makeDatabase) => {
  test('new rings, every session ended, a new epoch; a server that runs follows, and users log in again', async () => {
    const url = await makeDatabase();
    const server = await startTestServer({ url });
    const { app } = server;
    const pair = await server.login();
    const before = { keys: await stateOf(app), feed: await app.store.read(feedPosition) };
    lose(app);
    await withLost(app, async (lost) => {
      expect(await planReset(lost)).toMatchObject({ sessions: 1, keys: 4, isMade: true });
      expect(await stateOf(app)).toEqual(before.keys);
      expect(await resetKeys(lost)).toBe(1);
      await lost.keys.current();
    });
    const after = await stateOf(app);
    expect(after.filter((key) => before.keys.includes(key))).toEqual([]);
    expect(after.map((key) => key.split(' ')[1]).toSorted()).toEqual(['active', 'active', 'next', 'next']);
    expect((await app.store.read(feedPosition)).epoch).not.toBe(before.feed.epoch);
    const feed = await app.store.read((db) => listRevocations(db, 0, 10));
    expect(feed.map(({ familyId, kid }) => familyId ?? kid).toSorted()).toEqual(
      [pair.session_id, ...before.keys.map((key) => key.split(' ')[0]).filter((kid) => kid?.length === 43)].toSorted(),
    );
    expect(await server.family(pair.session_id)).toMatchObject({
      revoked: { cause: 'admin', note: 'the master key was lost' },
    });

    server.clock.advance(2_000);
    expect(await server.verify(pair.access_token)).toEqual({ active: false, reason: 'malformed' });
    expect(await server.tryRefresh(pair)).toMatchObject({ status: 401, body: { reason: 'malformed' } });
    expect(await server.verify((await server.login()).access_token)).toMatchObject({ active: true });
  });

  test('while the master key is at hand it is refused, and nothing changes', async () => {
    const { app } = await openTestApp(await makeDatabase());
    await storeFamilies(app, [{}]);
    const before = await stateOf(app);
    await expect(planReset(app)).rejects.toMatchObject({ code: 'conflict' });
    await expect(resetKeys(app)).rejects.toMatchObject({ code: 'conflict' });
    expect(await stateOf(app)).toEqual(before);
  });

  test('interrupted between two batches it is still to be done, and is done by the next call', async () => {
    const { app } = await openTestApp(await makeDatabase());
    await storeFamilies(
      app,
      Array.from({ length: 600 }, () => ({})),
    );
    const before = await stateOf(app);
    lose(app);
    await withLost(app, async (lost) => {
      const stop = (): never => {
        throw new Error('interrupted');
      };
      await expect(resetKeys(lost, stop)).rejects.toThrow('interrupted');
    });
    expect(await stateOf(app)).toEqual(before);
    await withLost(app, async (lost) => {
      expect(await planReset(lost)).toMatchObject({ sessions: 100, isMade: false });
      expect(await resetKeys(lost)).toBe(100);
      await expect(planReset(lost)).rejects.toMatchObject({ code: 'conflict' });
    });
  });

  test('two at once leave one set of rings under one master key', async () => {
    const { app } = await openTestApp(await makeDatabase());
    lose(app);
    await withLost(app, (left) =>
      withLost(app, async (right) => {
        await Promise.all([resetKeys(left), resetKeys(right)]);
        expect(await stateOf(app)).toHaveLength(4);
        expect((await left.master()).id).toBe((await right.master()).id);
        expect((await left.keys.reload()).unreadable).toEqual([]);
      }),
    );
  });
});
