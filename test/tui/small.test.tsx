/** A window that is too small for the screen: nobody can see what keys would do, so they do nothing. */
import { expect, test } from 'vitest';
import { makeDatabase } from '../support/databases.ts';
import { familyOf, openTestApp, storeFamilies } from '../support/test-app.ts';
import { startTui } from '../support/tui.tsx';
import { until } from '../support/until.ts';

test('a question that nobody can see is neither asked nor answered; q leaves all the same', async () => {
  const { app, clock } = await openTestApp(await makeDatabase('sqlite'));
  const [id] = await storeFamilies(app, [{ subject: 'alice' }]);
  if (id === undefined) throw new Error('no family');
  const tui = startTui(app);
  await tui.shows('alice');
  tui.press('r');
  await tui.shows('other key: keep');
  clock.advance(400);
  tui.resize(59, 24);
  await tui.shows('is too small');
  tui.press('y');
  tui.resize(80, 24);
  await tui.shows('other key: keep');
  expect((await familyOf(app, id)).revoked).toBeNull();
  tui.resize(80, 15);
  await tui.shows('is too small');
  tui.press('q');
  await until(() => tui.asked.length > 0, 'it was asked to leave');
  expect(tui.asked).toEqual(['quit']);
});

test('a screen reader has no size', async () => {
  const { app } = await openTestApp(await makeDatabase('sqlite'));
  await storeFamilies(app, [{ subject: 'alice' }]);
  const tui = startTui(app, { columns: 40, rows: 10, look: { isSpoken: true } });
  await tui.shows('alice');
  tui.press('r');
  await tui.shows('End the session of');
});
