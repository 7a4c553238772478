/**
 * The pictures of docs/tui-frames, each screen at two sizes, out of sessions that were really begun, refreshed and stolen:
 * `vitest -u` draws them anew. And what holds at any size: as many rows as there are, none wider than the window.
 */
import stringWidth from 'string-width';
import { expect, test, vi } from 'vitest';
import type { App } from '../../src/app.ts';
import { Secret } from '../../src/domain/secret.ts';
import { DAY, HOUR, MINUTE } from '../../src/domain/time.ts';
import { addClient } from '../../src/operations/clients.ts';
import { login } from '../../src/operations/login.ts';
import { refresh } from '../../src/operations/refresh.ts';
import { logout } from '../../src/operations/sessions.ts';
import { addUser } from '../../src/operations/users.ts';
import { makeDatabase } from '../support/databases.ts';
import { type FakeClock, fakeClock } from '../support/fake-clock.ts';
import { openTestApp } from '../support/test-app.ts';
import { type RunningTui, startTui } from '../support/tui.tsx';
import { until } from '../support/until.ts';

const PASSWORD = new Secret('correct horse battery staple');
const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';
const CHROME = 'Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36';
const IPHONE = 'Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604.1';

/** The same in every run. */
function evenRandom() {
  let count = 0;
  return {
    bytes: (size: number) =>
      Uint8Array.from({ length: size }, () => {
        count += 1;
        return (count * 151) % 256;
      }),
    jitter: () => 0.5,
  };
}

interface Session {
  accessToken: string;
  refreshToken: string;
}

async function begin(app: App, username: string, ip: string, userAgent: string): Promise<Session> {
  const outcome = await login(app, {
    username,
    password: PASSWORD,
    clientId: username === 'carol' ? null : 'spa',
    device: null,
    credentials: undefined,
    origin: { ip, userAgent },
  });
  if (outcome.kind !== 'issued') throw new Error(`the login was ${outcome.kind}`);
  return outcome.pair;
}

/** @returns the next pair; the same when it was refused */
async function goOn(app: App, session: Session, ip: string, userAgent: string): Promise<Session> {
  const outcome = await refresh(app, {
    ...session,
    requestKey: null,
    credentials: undefined,
    origin: { ip, userAgent },
  });
  return outcome.kind === 'issued' ? outcome.pair : session;
}

/** Carol's token was stolen two days ago; alice is at work; dave has left. */
async function populate(app: App, clock: FakeClock): Promise<void> {
  for (const name of ['alice', 'carol', 'dave']) await addUser(app, { name, password: PASSWORD });
  await addClient(app, { id: 'spa', type: 'app', isPublic: true, audiences: [], policy: {} });
  await addClient(app, { id: 'api', type: 'resource-server', isPublic: false, audiences: ['api'], policy: {} });
  const carol = await begin(app, 'carol', '192.0.2.77', CHROME);
  let theirs = carol;
  for (let hour = 0; hour < 8; hour += 1) {
    clock.advance(HOUR);
    theirs = await goOn(app, theirs, '192.0.2.77', CHROME);
  }
  const stolen = theirs;
  clock.advance(14 * MINUTE);
  await goOn(app, stolen, '203.0.113.200', CHROME);
  clock.advance(4 * MINUTE);
  await goOn(app, stolen, '192.0.2.77', CHROME);
  clock.advance(DAY);
  const dave = await begin(app, 'dave', '192.0.2.10', 'curl/8.5.0');
  await logout(app, dave.refreshToken, { kind: 'own' });
  clock.advance(HOUR);
  await begin(app, 'alice', '198.51.100.4', IPHONE);
  let alice = await begin(app, 'alice', '203.0.113.9', FIREFOX);
  for (let turn = 0; turn < 12; turn += 1) {
    clock.advance(5 * MINUTE);
    alice = await goOn(app, alice, '203.0.113.9', FIREFOX);
  }
  clock.advance(42_000);
}

/** Ids of keys are made of chance alone. */
function withFixedKids(frame: string): string {
  const names = new Map<string, string>();
  return frame.replace(/(?<![\w-])[\w-]{4}\.\.[\w-]{4}(?![\w-])/g, (kid) => {
    const name = names.get(kid) ?? `KEY${names.size + 1}..x9Za`;
    names.set(kid, name);
    return name;
  });
}

async function shownAs(tui: RunningTui, name: string): Promise<void> {
  // How much of the log has moved into the file is SQLite's business.
  const text = withFixedKids(tui.frame().replace(/WAL \d+ KB/, 'WAL 700 KB'))
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
  await expect(`${text}\n`).toMatchFileSnapshot(`../../docs/tui-frames/${name}.txt`);
}

async function openPopulated(): Promise<{ app: App; clock: FakeClock }> {
  const settings = { 'keys.rotateEvery': '30d' };
  const { app, clock } = await openTestApp(await makeDatabase('sqlite'), settings, fakeClock(), evenRandom());
  await populate(app, clock);
  // Where a test puts its files is of no interest.
  const config = { ...app.config, masterKey: { kind: 'file', path: 'auth-server.key' } as const };
  return { app: { ...app, config, store: { ...app.store, label: 'sqlite:auth.db' } }, clock };
}

vi.setConfig({ testTimeout: 120_000 });

const SIZES = [
  [80, 24],
  [120, 36],
] as const;

test('the pictures of the documents are what is drawn (tick 31)', async () => {
  const { app, clock } = await openPopulated();
  const signs = ['carol', 'access', 'token.reuse_detected', 'resource-server', 'dave', 'schema 2 of 2'];
  for (const [columns, rows] of SIZES) {
    const size = `${columns}x${rows}`;
    const tui = startTui(app, { columns, rows, log: ['15:24:01 WARN database trouble code=SQLITE_BUSY'] });
    await tui.shows('login 0/min');
    for (const [screen, sign] of signs.entries()) {
      tui.press(String(screen + 1));
      await tui.shows(`[${screen + 1} `);
      await until(() => !tui.frame().includes(' reading\n'), 'it is read');
      await tui.shows(sign);
      if (screen === 0 && columns === 120) await tui.shows('| alice');
      if (screen === 4) await tui.shows('active         2');
      await shownAs(tui, `${size}-${screen + 1}`);
    }
    tui.press('1');
    await tui.shows('[1 ');
    await tui.shows('logout');
    tui.press('r');
    await tui.shows('other key: keep');
    await shownAs(tui, `${size}-question`);
    clock.advance(400);
    tui.press('?');
    await tui.shows('kept');
    tui.press('G');
    tui.press('\r');
    await tui.shows('Two holders');
    await shownAs(tui, `${size}-session`);
    tui.press('\u001b');
    await tui.shows('f freeze');
    tui.press(':');
    await tui.shows('Enter does it');
    await shownAs(tui, `${size}-palette`);
    tui.press('\u001b');
    await until(() => !tui.frame().includes('Enter does it'), 'the palette is gone');
    tui.press('?');
    await tui.shows('Ctrl-C too');
    await shownAs(tui, `${size}-help`);
  }
});

test.each([
  [60, 16],
  [80, 24],
  [109, 30],
  [120, 36],
  [250, 70],
])('at %ix%i nothing wraps and nothing is missing (ticks 11, 31)', async (columns, rows) => {
  const { app } = await openPopulated();
  const tui = startTui(app, { columns, rows });
  for (const key of ['1', '2', '3', '4', '5', '6', ':']) {
    tui.press(key);
    await tui.shows(key === ':' ? 'Esc leaves' : `[${key} `);
    const drawn = (): string[] => tui.frame().split('\n');
    const isWhole = (): boolean =>
      drawn().length === rows - 1 &&
      drawn().every((line) => stringWidth(line) <= columns) &&
      /\? keys {2}: palette {2}q quit/.test(drawn().at(-1) ?? '');
    // The window was another one when the first picture was drawn.
    await until(isWhole, `${rows - 1} rows of ${columns} are drawn, the keys last:\n${tui.frame()}`);
  }
});
