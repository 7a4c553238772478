/** What a snapshot promises of the age of its value, and of the number of loads (K6). */
import { expect, test } from 'vitest';
import { makeSnapshot } from '../src/snapshot.ts';

/** A value that others change, and loads that the test lets end. */
function prepare() {
  let stored = 1;
  const waiting: (() => void)[] = [];
  let loads = 0;
  const snapshot = makeSnapshot(
    async () => {
      loads += 1;
      const value = stored;
      await new Promise<void>((resolve) => waiting.push(resolve));
      return value;
    },
    1_000,
    () => performance.now(),
  );
  return {
    snapshot,
    loads: () => loads,
    change: (value: number): void => {
      stored = value;
    },
    release: (): void => {
      for (const resolve of waiting.splice(0)) resolve();
    },
  };
}

test('K6: a reload begins after the call, also when a load is under way', async () => {
  const { snapshot, change, release, loads } = prepare();
  const before = snapshot.current();
  change(2);
  const after = snapshot.reload();
  release();
  expect(await before).toBe(1);
  await expect.poll(loads).toBe(2);
  release();
  expect(await after).toBe(2);
});

test('K6: junk by the thousand shares its reads, and they keep their distance', async () => {
  let loads = 0;
  const snapshot = makeSnapshot(
    async () => {
      loads += 1;
      return loads;
    },
    1_000,
    () => performance.now(),
  );
  await snapshot.current();
  const start = performance.now();
  for (let wave = 0; wave < 5; wave += 1) {
    const values = await Promise.all(Array.from({ length: 1_000 }, () => snapshot.reload(20)));
    expect(Math.min(...values)).toBe(wave + 2);
  }
  // A timer may be a millisecond early.
  expect(performance.now() - start).toBeGreaterThan(5 * 19);
  expect(loads).toBeLessThanOrEqual(1 + (performance.now() - start) / 19);
});
