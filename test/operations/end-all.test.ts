/** Ending every family after a restore by other means (`restore --in-place`), on both databases, beside a running server. */
import { expect, test } from 'vitest';
import { countLive, endAll } from '../../src/operations/end-all.ts';
import { feedPosition, listRevocations } from '../../src/store/revocations.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { eventsOf, openTestApp, storeFamilies } from '../support/test-app.ts';
import { startTestServer } from '../support/test-server.ts';

describeOnBothDatabases('restore --in-place', (makeDatabase) => {
  test('every family ends in batches, in a new epoch of the feed, and one event tells of it', async () => {
    const { app } = await openTestApp(await makeDatabase());
    await storeFamilies(
      app,
      Array.from({ length: 700 }, () => ({})),
    );
    const before = await app.store.read(feedPosition);
    const progress: number[] = [];
    expect(await countLive(app)).toBe(700);
    const ended = await endAll(app, {
      revocation: { cause: 'restored' },
      onProgress: (count) => void progress.push(count),
    });
    expect({ ended, progress, left: await countLive(app) }).toEqual({ ended: 700, progress: [500, 700], left: 0 });
    const after = await app.store.read(feedPosition);
    expect(after.epoch).not.toBe(before.epoch);
    expect(after.number).toBe(700);
    expect(await app.store.read((db) => listRevocations(db, 0, 1_000))).toHaveLength(700);
    const events = await eventsOf(app);
    expect(events).toHaveLength(701);
    expect(events[0]).toMatchObject({ type: 'family.revoked', data: { cause: 'restored' } });
    expect(events.at(-1)).toEqual({
      type: 'families.revoked',
      data: { selector: 'all', value: null, issued_before: null, count: 700, cause: 'restored' },
    });
  });

  test('interrupted between two batches, it is run again and ends the rest', async () => {
    const { app } = await openTestApp(await makeDatabase());
    await storeFamilies(
      app,
      Array.from({ length: 700 }, () => ({})),
    );
    const stop = (): never => {
      throw new Error('interrupted');
    };
    await expect(endAll(app, { revocation: { cause: 'restored' }, onProgress: stop })).rejects.toThrow('interrupted');
    expect(await countLive(app)).toBe(200);
    expect(await endAll(app, { revocation: { cause: 'restored' } })).toBe(200);
    expect(await countLive(app)).toBe(0);
  });

  test('a server that runs refuses what has ended, and says so at once, whatever its memory of the feed', async () => {
    const url = await makeDatabase();
    const server = await startTestServer({ url });
    const beside = await startTestServer({ url, beside: server });
    const ended = await server.login();
    // Both have seen position 1 of the old epoch, and remember that the second is live.
    const first = await server.login();
    await server.post('/logout', { refresh_token: ended.refresh_token });
    for (const one of [server, beside]) expect(await one.verify(first.access_token)).toMatchObject({ active: true });
    expect(await endAll(beside.app, { revocation: { cause: 'restored' } })).toBe(1);
    for (const one of [server, beside]) {
      expect(await one.verify(first.access_token)).toEqual({ active: false, reason: 'revoked' });
      expect(await one.tryRefresh(first)).toMatchObject({ status: 401, body: { reason: 'revoked' } });
    }
    expect(await server.verify((await server.login()).access_token)).toMatchObject({ active: true });
  });
});
