/** Finding and ending sessions on the screen, on both databases: filters, what is new, marks, reasons, counts. */
import { expect, test, vi } from 'vitest';
import type { ClientId } from '../../src/domain/ids.ts';
import { Secret } from '../../src/domain/secret.ts';
import { addClient } from '../../src/operations/clients.ts';
import { revoke } from '../../src/operations/revoke.ts';
import { addUser } from '../../src/operations/users.ts';
import { revokeFamilies } from '../../src/store/token-families.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { familyOf, type NewFamily, openTestApp, storeFamilies } from '../support/test-app.ts';
import { type RunningTui, startTui } from '../support/tui.tsx';
import { until } from '../support/until.ts';

vi.setConfig({ testTimeout: 120_000 });

/** Types a filter, and waits for what it finds. */
async function filter(tui: RunningTui, text: string, ...subjects: string[]): Promise<void> {
  tui.press('/');
  tui.press('\u0015');
  tui.press(text);
  tui.press('\r');
  await until(
    () => JSON.stringify(subjectsOf(tui)) === JSON.stringify(subjects),
    `${text} finds ${subjects}:\n${tui.frame()}`,
  ).catch((error: unknown) => {
    throw new Error(`${error}\n${tui.frame()}`);
  });
}

const subjectsOf = (tui: RunningTui): string[] =>
  [...tui.frame().matchAll(/[0-9a-f]{8}\.\.[0-9a-f]{6} {2}(\S+)/g)].map(([, subject = '']) => subject);

describeOnBothDatabases('sessions', (makeUrl) => {
  test('a filter takes the words of the flags, a beginning of a name or subject, and an id', async () => {
    const { app, clock } = await openTestApp(await makeUrl());
    const user = await addUser(app, { name: 'Alice', password: new Secret('8 letters') });
    await addClient(app, { id: 'spa', type: 'app', isPublic: true, audiences: [], policy: {} });
    const [old] = await storeFamilies(app, [{ subject: 'zoe', ip: '2001:db8::1' }]);
    clock.advance(3 * 3_600_000);
    // One after the other, because within one millisecond ids are in no order.
    const store = async (family: NewFamily) => {
      clock.advance(10);
      return (await storeFamilies(app, [family]))[0];
    };
    await store({ subject: user.subject });
    const bob = await store({ subject: 'bob', client: 'spa' as ClientId });
    await store({ subject: 'bobby' });
    await store({ subject: 'eve' });
    if (old === undefined || bob === undefined) throw new Error('no family');
    await app.store.write((tx) => revokeFamilies(tx, { subject: 'eve' as never }, { cause: 'reuse' }));
    clock.advance(10);
    await revoke(app, { which: { family: bob } });

    const tui = startTui(app);
    await until(() => subjectsOf(tui).length === 5, 'all are listed');
    await filter(tui, 'client:spa', 'bob');
    await filter(tui, 'bob', 'bobby', 'bob');
    await filter(tui, 'bob state:live', 'bobby');
    await filter(tui, 'cause:reuse', 'eve');
    await filter(tui, 'state:revoked', 'bob', 'eve');
    await filter(tui, 'ali', 'Alice');
    await filter(tui, 'subject:alice', 'Alice');
    await filter(tui, 'ip:2001:DB8:0::1', 'zoe');
    await filter(tui, 'since:2026-03-01T14:00:00Z state:live', 'bobby', 'Alice');
    await filter(tui, `${old.slice(0, 8)}..${old.slice(-6)}`, 'zoe');
    tui.press('/');
    tui.press('\u0015');
    tui.press('state:dead');
    await tui.shows('state: is one of live, revoked, expired.');
    tui.press('\u0015');
    tui.press('ip:nowhere');
    await tui.shows('ip: Expected an IPv4 or IPv6 address.');
    tui.press('\u0015');
    tui.press('colour:red');
    await tui.shows('A filter begins with client:');
  });

  test('a filter without an index reads so far and says how far; . goes on', async () => {
    const { app, clock } = await openTestApp(await makeUrl());
    const [first] = await storeFamilies(app, [{ subject: 'old' }]);
    if (first === undefined) throw new Error('no family');
    clock.advance(3 * 86_400_000);
    await storeFamilies(
      app,
      Array.from({ length: 1_600 }, () => ({ subject: 'new' })),
    );
    clock.advance(60_000);
    await revoke(app, { which: { family: first } });
    const tui = startTui(app);
    await tui.shows('more follow');
    tui.press('/');
    tui.press('client:default state:revoked');
    await tui.shows('read back to 1m ago (. goes on)');
    expect(subjectsOf(tui)).toEqual([]);
    tui.press('\r');
    tui.press('.');
    await tui.shows('old');
  });

  test('new sessions are counted, never inserted; the cursor keeps its session (tick 34)', async () => {
    const { app, clock } = await openTestApp(await makeUrl());
    await storeFamilies(app, [{ subject: 'first' }, { subject: 'second' }]);
    const tui = startTui(app);
    await tui.shows('second');
    const before = subjectsOf(tui);
    const cursor = /> .*/.exec(tui.frame())?.[0];
    clock.advance(1_000);
    await storeFamilies(app, [{ subject: 'third' }]);
    await revoke(app, { which: { subject: before[0] as never }, reason: 'gone' });
    await tui.shows('1 new above (g)');
    await tui.shows('admin');
    expect(subjectsOf(tui)).toEqual(before);
    expect(/> .*/.exec(tui.frame())?.[0]?.slice(0, 20)).toBe(cursor?.slice(0, 20));
    tui.press('g');
    await tui.shows('third');
    expect(subjectsOf(tui)).toEqual(['third', ...before]);
    tui.press('f');
    await tui.shows('FROZEN');
  });

  test('an empty list shows the first session when it comes; a cursor at the end of a long list stays in sight', async () => {
    const { app, clock } = await openTestApp(await makeUrl());
    const tui = startTui(app);
    await tui.shows('no session fits');
    await storeFamilies(app, [{ subject: 'solo' }]);
    await tui.shows('solo');
    clock.advance(1_000);
    await storeFamilies(
      app,
      Array.from({ length: 60 }, () => ({ subject: 'many' })),
    );
    await tui.shows('60 new above (g)');
    tui.press('g');
    await tui.shows('many');
    tui.press('G');
    await tui.shows('solo');
    expect(subjectsOf(tui)).toHaveLength(17);
    await filter(tui, 'solo', 'solo');
  });

  test('several end when their number is typed, with the reason that was given (ticks 21, 22, 36)', async () => {
    const { app, clock } = await openTestApp(await makeUrl());
    const ids = await storeFamilies(app, [{ subject: 'anna' }, { subject: 'bert' }, { subject: 'cleo' }]);
    const tui = startTui(app);
    await tui.shows('anna');
    tui.press(' j ');
    await tui.shows('2 marked');
    tui.press('r');
    await tui.shows('End 2 marked sessions?');
    clock.advance(400);
    for (const key of ['\r', 'r', ' ', 'y', '\u007f', '\u007f', '\u007f']) tui.press(key);
    tui.press('e');
    await tui.shows('   reason: operator_');
    tui.press('\u0015');
    tui.paste('laptop stolen\n2');
    await tui.shows('   reason: laptop stolen_');
    tui.press('\r');
    await tui.shows('reason: laptop stolen (e edits)    Type 2: _');
    tui.press('2');
    clock.advance(400);
    expect((await Promise.all(ids.map((id) => familyOf(app, id)))).filter(({ revoked }) => revoked !== null)).toEqual(
      [],
    );
    tui.press('2');
    await tui.shows('Ended 2.');
    const ended = (await Promise.all(ids.map((id) => familyOf(app, id)))).filter(({ revoked }) => revoked !== null);
    expect(ended.map(({ revoked }) => revoked?.note)).toEqual(['laptop stolen', 'laptop stolen']);
  });

  test('S ends all of a subject, counted first; of a client on its own screen', async () => {
    const { app, clock } = await openTestApp(await makeUrl());
    await addClient(app, { id: 'spa', type: 'app', isPublic: true, audiences: [], policy: {} });
    const client = 'spa' as ClientId;
    await storeFamilies(app, [{ subject: 'xena', client }]);
    clock.advance(10);
    await storeFamilies(app, [{ subject: 'yves', client }, { subject: 'yves' }]);
    const tui = startTui(app);
    await tui.shows('yves');
    tui.press('S');
    await tui.shows('End 2 sessions of subject yves?');
    clock.advance(400);
    tui.press('2');
    await tui.shows('Ended 2.');
    tui.press('4');
    await tui.shows('AUDIENCE');
    tui.press('G');
    tui.press('S');
    await tui.shows('End the one session of client spa?');
    clock.advance(400);
    tui.press('\r');
    await tui.shows('kept');
    tui.press('\r');
    await tui.shows('/ client:spa');
    await until(() => subjectsOf(tui).length === 2, 'its sessions are listed');
  });
});
