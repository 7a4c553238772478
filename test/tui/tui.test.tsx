/** The terminal interface on a real database, by its frames: what it shows, and which keys end a session. */
import { expect, test } from 'vitest';
import { SCREENS } from '../../cli/tui/state.ts';
import { describeOnBothDatabases, makeDatabase } from '../support/databases.ts';
import { familyOf, openTestApp, storeFamilies } from '../support/test-app.ts';
import { startTui } from '../support/tui.tsx';
import { until } from '../support/until.ts';

describeOnBothDatabases('the screen', (makeUrl) => {
  test('sessions are listed, and hostile text is text (Z1)', async () => {
    const { app } = await openTestApp(await makeUrl());
    await storeFamilies(app, [{ subject: 'alice', userAgent: 'evil\u001b[31m\nrow' }]);
    const tui = startTui(app);
    await tui.shows('alice');
    expect(tui.frame()).toContain('evil\\u001b');
    expect(tui.frame()).toContain('r revoke');
  });

  test('r asks; held r and Enter end nothing; y ends the session that was named', async () => {
    const { app, clock } = await openTestApp(await makeUrl());
    const [id] = await storeFamilies(app, [{ subject: 'alice' }]);
    if (id === undefined) throw new Error('no family');
    const tui = startTui(app);
    await tui.shows('alice');
    tui.press('rrr\r');
    await tui.shows('End the session of alice? test');
    expect(tui.frame()).toContain('reason: operator (e edits)    y: do it    other key: keep');
    clock.advance(400);
    tui.press('\r');
    await tui.shows('kept');
    expect((await familyOf(app, id)).revoked).toBeNull();

    tui.press('r');
    await tui.shows('other key: keep');
    clock.advance(400);
    tui.press('y');
    await tui.shows('Ended 1.');
    expect((await familyOf(app, id)).revoked).toMatchObject({ cause: 'admin', note: 'operator' });
    await tui.shows('admin');
    tui.press('r');
    await tui.shows('r (revoke): it has ended');
  });
});

test('every screen has something to show, and the help names its keys', async () => {
  const { app } = await openTestApp(await makeDatabase('sqlite'));
  for (const [screen, name] of SCREENS.entries()) {
    const tui = startTui(app, { screen });
    await tui.shows(`[${screen + 1} ${name}]`);
    await until(() => !tui.frame().includes(' reading\n'), `${name} is read`);
    tui.press('?');
    await tui.shows('clears the filter, then goes back');
  }
});
