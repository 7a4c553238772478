/** What waits for the revocation feed: woken by this process without a timer, and told when it has missed something. */
import { afterEach, expect, test, vi } from 'vitest';
import type { App } from '../../src/app.ts';
import type { KeyId } from '../../src/domain/ids.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { openTestApp } from '../support/test-app.ts';
import { until } from '../support/until.ts';

afterEach(() => {
  vi.useRealTimers();
});

describeOnBothDatabases('who waits for the feed', (makeDatabase) => {
  const write = (app: App, count: number): Promise<void> =>
    app.store.write(async (tx) => {
      for (let index = 0; index < count; index += 1) tx.feed.push({ kid: `kid-${index}` as KeyId });
    });

  const here = (): boolean => false;

  test('is woken by a commit of the same process, at once and by it alone', async () => {
    const { app } = await openTestApp(await makeDatabase());
    const { place } = await app.feed.read(0);
    const next = () => app.feed.next({ place, patience: 60_000, isGone: here });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const waiting = [next(), next()];
    // The pause until the next look, which nobody ends.
    while (vi.getTimerCount() === 0) await new Promise((resolve) => setImmediate(resolve));
    await write(app, 2);
    for (const news of await Promise.all(waiting)) {
      expect(news).toMatchObject({ entries: [{ number: 1, kid: 'kid-0' }, { number: 2 }], isLast: true });
    }
    expect(app.feed.waiting()).toBe(0);
  });

  test('hears nothing of what was undone', async () => {
    const { app } = await openTestApp(await makeDatabase());
    const { place } = await app.feed.read(0);
    const waiting = app.feed.next({ place, patience: 300, isGone: here });
    const undone = app.store.write(async (tx) => {
      tx.feed.push({ kid: 'kid' as KeyId });
      throw new Error('after all not');
    });
    await expect(undone).rejects.toThrow('after all not');
    expect(await waiting).toEqual({ place, entries: [], isLast: true });
  });

  test('is told to ask the database when more has come than is remembered, and misses nothing before', async () => {
    const { app } = await openTestApp(await makeDatabase());
    const { place } = await app.feed.read(0);
    // Somebody waits all the while, so that there is a memory at all.
    const isOver = { now: false };
    const far = { epoch: place.epoch, number: 1_000_000 };
    const other = app.feed.next({ place: far, patience: 60_000, isGone: () => isOver.now });
    for (let round = 0; round < 8; round += 1) await write(app, 800);
    const news = async (number: number) => {
      const got = await app.feed.next({ place: { ...place, number }, patience: 60_000, isGone: here });
      return typeof got === 'string' ? got : [got.entries[0]?.number, got.entries.at(-1)?.number, got.place.number];
    };
    await until(async () => (await news(6_399)).toString() === '6400,6400,6400', 'all is known');
    expect(await news(0)).toBe('missed');
    expect(await news(1_399)).toBe('missed');
    expect(await news(1_400)).toEqual([1_401, 2_400, 2_400]);
    expect(await news(5_400)).toEqual([5_401, 6_400, 6_400]);
    isOver.now = true;
    expect(await other).toBe('over');
  });

  test('ahead of the feed is told to ask the database when its patience ends: it went back', async () => {
    const { app } = await openTestApp(await makeDatabase());
    const { place } = await app.feed.read(0);
    expect(await app.feed.next({ place: { ...place, number: 7 }, patience: 10, isGone: here })).toBe('missed');
    expect(await app.feed.next({ place: { epoch: 'x', number: 0 }, patience: 60_000, isGone: here })).toBe('missed');
  });

  test('waits no more once it is to end', async () => {
    const { app } = await openTestApp(await makeDatabase());
    const { place } = await app.feed.read(0);
    const waiting = app.feed.next({ place, patience: 60_000, isGone: here });
    app.feed.end();
    expect(await waiting).toBe('over');
    expect(await app.feed.next({ place, patience: 60_000, isGone: here })).toBe('over');
  });
});
