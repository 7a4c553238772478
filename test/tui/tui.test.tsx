/** The terminal interface on a real database, by its frames: what it shows, and which keys end a session. */
import { render } from 'ink-testing-library';
import { expect, test } from 'vitest';
import { Tui } from '../../cli/tui/app.tsx';
import { SCREENS } from '../../cli/tui/keys.ts';
import type { App } from '../../src/app.ts';
import { makeDatabase } from '../support/databases.ts';
import { familyOf, openTestApp, storeFamilies } from '../support/test-app.ts';
import { until } from '../support/until.ts';

function start(app: App, screen = 0) {
  const tui = render(
    <Tui app={app} isColoured={false} quit={() => undefined} stop={async () => undefined} screen={screen} />,
  );
  const frame = (): string => tui.lastFrame() ?? '';
  const shows = (text: string): Promise<void> =>
    until(() => frame().includes(text), `the screen shows ${text}:\n${frame()}`);
  return { press: (keys: string) => tui.stdin.write(keys), frame, shows, end: () => tui.unmount() };
}

test('sessions are listed, and hostile text is text', async () => {
  const { app } = await openTestApp(await makeDatabase('sqlite'));
  await storeFamilies(app, [{ subject: 'alice', userAgent: 'evil\u001b[31m\nrow' }]);
  const tui = start(app);
  await tui.shows('alice');
  expect(tui.frame()).toContain('evil\\u001b');
  expect(tui.frame()).toContain('r revoke');
  tui.end();
});

test('r asks; Enter and r end nothing; y ends the session that was named', async () => {
  const { app } = await openTestApp(await makeDatabase('sqlite'));
  const [id] = await storeFamilies(app, [{ subject: 'alice' }]);
  if (id === undefined) throw new Error('no family');
  const tui = start(app);
  await tui.shows('alice');
  tui.press('rrr\r');
  await tui.shows('y: end it');
  // Whatever is pressed, sooner or later the question is answered with no.
  await until(() => {
    tui.press('r');
    return tui.frame().includes('kept');
  }, 'the question is gone');
  expect((await familyOf(app, id)).revoked).toBeNull();
  await until(async () => {
    if (!tui.frame().includes('y: end it')) tui.press('r');
    else tui.press('y');
    return (await familyOf(app, id)).revoked !== null;
  }, 'y has ended it');
  expect((await familyOf(app, id)).revoked).toMatchObject({ cause: 'admin', note: 'operator' });
  tui.end();
});

test('every screen has something to show, and the help names its keys', async () => {
  const { app } = await openTestApp(await makeDatabase('sqlite'));
  for (const [screen, name] of SCREENS.entries()) {
    const tui = start(app, screen);
    await tui.shows(`[${screen + 1} ${name}]`);
    await until(() => !tui.frame().includes(' reading\n'), `${name} is read`);
    tui.press('?');
    await tui.shows('goes back; clears the filter');
    tui.end();
  }
});
