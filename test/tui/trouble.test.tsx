/** What an operator does from the screen when deliveries were given up, or somebody else holds the database. */
import BetterSqlite3 from 'better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import { describeOnBothDatabases, makeDatabase } from '../support/databases.ts';
import { familyOf, openTestApp, storeFamilies } from '../support/test-app.ts';
import { startTui } from '../support/tui.tsx';
import { until } from '../support/until.ts';
import { answer, openWebhookReceiver } from '../support/webhook-receiver.ts';
import { created, eventually, notesOf, record, runWorker, SECRET, statesOf } from '../worker/support.ts';

describeOnBothDatabases('dead letters', (database) => {
  test('D asks, and y makes them due again', async () => {
    const receiver = await openWebhookReceiver();
    receiver.behave(answer(410));
    const webhook = { url: receiver.url, secret: SECRET, types: ['client.created'] };
    const { app, clock } = await openTestApp(await database(), { 'events.webhooks': [webhook] });
    runWorker(app);
    await record(app, created('one'));
    await eventually(async () => expect(await statesOf(app)).toEqual(['dead']));
    receiver.behave(answer(200));
    const tui = startTui(app, { screen: 2 });
    await tui.shows('1 dead, 1 disabled');
    tui.press('t');
    tui.press('t');
    await tui.shows('410');
    tui.press('D');
    await tui.shows('Try all dead letters again?');
    clock.advance(400);
    tui.press('\r');
    await tui.shows('kept');
    tui.press('D');
    await tui.shows('Try all dead letters again?');
    clock.advance(400);
    tui.press('y');
    await tui.shows('1 are due again.');
    await eventually(() => expect(notesOf(receiver.accepted)).toEqual(['one']));
    await tui.shows('0 dead');
    await tui.shows('nothing here yet');
    expect(tui.frame().match(/receivers:/g)).toHaveLength(1);
  });
});

test('while somebody else writes to SQLite for long, nothing ends and nothing is lost; afterwards it works (tick 37)', async () => {
  const url = await makeDatabase('sqlite');
  const { app, clock } = await openTestApp(url);
  const [id] = await storeFamilies(app, [{ subject: 'alice' }]);
  if (id === undefined) throw new Error('no session');
  const other = new BetterSqlite3(url.slice('sqlite:'.length));
  onTestFinished(() => void other.close());
  const tui = startTui(app);
  await tui.shows('alice');
  const end = async (): Promise<void> => {
    tui.press('r');
    await tui.shows('End the session of alice?');
    clock.advance(400);
    tui.press('y');
  };
  other.exec('begin immediate');
  await end();
  await tui.shows('(locked)');
  expect(tui.frame()).toContain('alice');
  other.exec('rollback');
  expect((await familyOf(app, id)).revoked).toBeNull();
  clock.advance(20_000);
  await until(() => !tui.frame().includes('UNREACHABLE'), 'it is back');
  await end();
  await tui.shows('Ended 1.');
  expect((await familyOf(app, id)).revoked).not.toBeNull();
});
