/** The other screens and what they ask, a database that goes and comes back, and the screen as a reader says it. */
import { renameSync } from 'node:fs';
import { expect, test, vi } from 'vitest';
import { makeModel } from '../../cli/tui/model.ts';
import { HEALTH, KEYS } from '../../cli/tui/state.ts';
import type { App } from '../../src/app.ts';
import { shortKid } from '../../src/domain/ids.ts';
import { schemaStatus } from '../../src/store/migrate.ts';
import { openBehind } from '../support/behind.ts';
import { describeOnBothDatabases, makeDatabase } from '../support/databases.ts';
import { openTcpProxy } from '../support/tcp-proxy.ts';
import { openTestApp, storeFamilies } from '../support/test-app.ts';
import { startTui } from '../support/tui.tsx';
import { until } from '../support/until.ts';

vi.setConfig({ testTimeout: 120_000 });

describeOnBothDatabases('the other screens', (makeUrl, kind) => {
  test('R rotates the ring after y; C takes the kid, and every letter of it', async () => {
    const { app, clock } = await openTestApp(await makeUrl());
    const before = await app.keys.current();
    const tui = startTui(app, { screen: KEYS });
    await tui.shows('refresh');
    tui.press('G');
    tui.press('R');
    await tui.shows('Rotate the refresh ring now? No session ends.');
    clock.advance(400);
    tui.press('y');
    await tui.shows('The refresh ring has moved on.');
    expect((await app.keys.current()).refresh.active.kid).not.toBe(before.refresh.active.kid);

    tui.press('g');
    tui.press('j');
    const active = before.access.active.kid;
    await tui.shows(`>  ${shortKid(active)}`);
    tui.press('C');
    await tui.shows(`Type ${shortKid(active)}`);
    clock.advance(400);
    for (const key of 'wrong') tui.press(key);
    await tui.shows(': wrong_');
    tui.press('\r');
    tui.press('\u0015');
    for (let count = 0; count < 5; count += 1) tui.press('\u007f');
    for (const key of shortKid(active)) tui.press(key);
    await tui.shows('is compromised; 0 sessions ended.');
    await tui.shows('compromised');
  });

  test('a schema that is behind opens on Health, and M migrates', async () => {
    const { app, clock } = await openBehind(await makeUrl());
    const tui = startTui(app, { screen: HEALTH, isSchemaBehind: true });
    await tui.shows('schema 0 of 2, 2 pending');
    for (const screen of '12345') {
      tui.press(screen);
      await tui.shows(`[${screen} `);
      await tui.shows('the schema is behind: 6 shows what is pending');
      expect(tui.frame()).not.toContain('bug');
    }
    tui.press('6');
    await tui.shows('schema 0 of 2, 2 pending');
    tui.press('M');
    await tui.shows('Run the pending migrations?');
    clock.advance(400);
    tui.press('y');
    await until(() => tui.asked.includes('migrated'), 'it has migrated');
    expect((await schemaStatus(app.store)).pending).toEqual([]);
  });

  test('rows of the log are in Health, and what has no work is dim and says why', async () => {
    const { app } = await openTestApp(await makeUrl());
    const log = ['12:00:00 WARN database trouble reason=\u001b[2J'];
    const tui = startTui(app, { screen: HEALTH, rows: 40, log });
    await tui.shows('log');
    expect(tui.frame()).toContain('reason=\\u001b[2J');
    // Only Postgres counts rotations by itself.
    await tui.shows(kind === 'postgres' ? 'refresh 0/min' : 'login 0/min');
    await tui.shows('reuse 0/h');
    expect(tui.frame()).toContain('schema 2 of 2, 0 pending');
    expect(tui.frame()).toContain(kind === 'sqlite' ? 'WAL' : '0 sessions');
    tui.press('M');
    await tui.shows('M (migrate): nothing is pending');
    tui.press(':');
    tui.press('migr');
    await tui.shows('M        runs the migrations that are pending  (nothing is pending)');
    tui.press('\r');
    await tui.shows('M (migrate): nothing is pending');
    tui.press('q');
    await until(() => tui.asked.includes('quit'), 'it quits');
  });
});

test.each(['sqlite', 'postgres'] as const)(
  'a %s that is lost is waited for: data stays, actions are off (tick 37)',
  async (kind) => {
    const url = await makeDatabase(kind);
    const { app, cut, restore } = kind === 'sqlite' ? await onFile(url) : await onProxy(url);
    await storeFamilies(app, [{ subject: 'alice' }]);
    const tui = startTui(app);
    await tui.shows('alice');
    await cut();
    await tui.shows('DATABASE UNREACHABLE');
    expect(tui.frame()).toContain('alice');
    expect(tui.frame()).toMatch(/retry in \d+s, data of \d\d:/);
    tui.press('r');
    await tui.shows('r (revoke): the database does not answer');
    await restore();
    await tui.shows(' auth-server  ');
    expect(tui.frame()).toContain('alice');
    tui.press('r');
    await tui.shows('End the session of alice?');
  },
);

/** The clock goes on by itself: retries are timed by it. */
const moving = (app: App): App => {
  const start = performance.now();
  return { ...app, clock: { ...app.clock, now: () => (app.clock.now() + performance.now() - start) as never } };
};

async function onFile(url: string) {
  const { app } = await openTestApp(url);
  const file = url.slice('sqlite:'.length);
  return {
    app: moving(app),
    cut: async () => renameSync(file, `${file}.away`),
    restore: async () => renameSync(`${file}.away`, file),
  };
}

async function onProxy(url: string) {
  const { port, pathname } = new URL(url);
  const proxy = await openTcpProxy(Number(port));
  const { app } = await openTestApp(url.replace(`:${port}${pathname}`, `:${proxy.port}${pathname}`));
  return { app: moving(app), cut: () => proxy.cut(), restore: () => proxy.restore() };
}

test('a fault of ours is said as what it is, and is no lost database', async () => {
  const { app } = await openTestApp(await makeDatabase('sqlite'));
  await storeFamilies(app, [{ subject: 'alice' }]);
  let isBroken = false;
  const read: App['store']['read'] = (query) => {
    if (isBroken) throw new TypeError('x is not a function');
    return app.store.read(query);
  };
  const tui = startTui({ ...app, store: { ...app.store, read } as App['store'] });
  await tui.shows('alice');
  isBroken = true;
  await tui.shows('this is a bug: TypeError: x is not a function');
  expect(tui.frame()).not.toContain('UNREACHABLE');
  expect(tui.frame()).toContain('alice');
});

test('a screen reader hears sentences, and nothing that ticks (tick 40)', async () => {
  const { app, clock } = await openTestApp(await makeDatabase('sqlite'));
  await storeFamilies(app, [{ subject: 'alice' }]);
  const tui = startTui(app, { look: { isSpoken: true } });
  await tui.shows('Row 1 of 1: session');
  const said = (): string => tui.frame().replaceAll('\n', ' ');
  expect(said()).toContain('subject alice, state live, gen 0, used now, from 192.0.2.10');
  expect(tui.frame()).toContain('0 logins in the last minute, 0 reuses in the last hour.');
  clock.advance(3 * 60_000);
  tui.press('j');
  tui.press('r');
  await tui.shows('End the session of alice?');
  clock.advance(400);
  tui.press('n');
  await tui.shows('kept');
  expect(said()).toContain('used now');
  tui.press('u');
  await until(() => said().includes('used 3m ago'), 'it has read again');
});

test('it reads each second, and each ten when nobody has touched it for five minutes (tick 33)', async () => {
  const { app, clock } = await openTestApp(await makeDatabase('sqlite'));
  const nothing = (): undefined => undefined;
  const model = makeModel({
    app,
    screen: 0,
    log: () => [],
    isSchemaBehind: () => false,
    onMigrated: nothing,
    quit: nothing,
  });
  expect(model.wait()).toBe(1_000);
  clock.advance(300_001);
  expect(model.wait()).toBe(10_000);
  model.press('j');
  expect(model.wait()).toBe(1_000);
});

test('too small a window says so, and a larger one has everything again (tick 31)', async () => {
  const { app } = await openTestApp(await makeDatabase('sqlite'));
  await storeFamilies(app, [{ subject: 'alice' }]);
  const tui = startTui(app);
  await tui.shows('alice');
  tui.resize(59, 24);
  await tui.shows('59x24 is too small: 60x16 is needed. q quits.');
  tui.resize(80, 15);
  await tui.shows('80x15 is too small');
  tui.resize(60, 16);
  await tui.shows('alice');
});
