/** The terminal interface of the executable in a real terminal, tmux: keys in, screen out, and the terminal as it was. */
import { copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { makeProgram, type Program } from '../support/executable.ts';
import { openTerminal, type Terminal } from '../support/tmux.ts';

vi.setConfig({ testTimeout: 180_000 });

const PASSWORD = 'correct horse battery staple';
const LOGIN = { username: 'alice', password: PASSWORD };

/** A database with one session of alice, whose user agent would like to steer a terminal. */
async function withSession(kind: 'sqlite' | 'postgres' = 'sqlite') {
  const program = await makeProgram(kind);
  if (kind === 'postgres') await program.run(['migrate', 'up']);
  const server = await program.serve();
  await program.json(['users', 'add', 'alice', '--password-stdin'], `${PASSWORD}\n`);
  const pair = await server.post('/login', LOGIN, { 'user-agent': 'evil\u009b31m' });
  expect(pair.status).toBe(200);
  return { program, server, pair };
}

/** Starts it as an operator does, and waits for the first session. */
async function startTui(program: Program, env: Readonly<Record<string, string>> = {}): Promise<Terminal> {
  copyFileSync('dist/auth-server', path.join(program.folder, 'auth-server'));
  const terminal = openTerminal(program.folder, env);
  // Its own process id, for signals.
  terminal.type("bash -c 'echo $$ >pid; exec ./auth-server tui'; echo EXIT $?");
  await terminal.shows('alice');
  expect(terminal.isAlternate()).toBe(true);
  return terminal;
}

const pidOf = ({ folder }: Program): number => Number(readFileSync(path.join(folder, 'pid'), 'utf8'));

/** Asks, and answers as soon as somebody listens: keys of the first 300 ms are dropped. */
async function endSession(terminal: Terminal): Promise<void> {
  await terminal.until(() => {
    const screen = terminal.screen();
    if (screen.includes('Ended 1.')) return true;
    if (screen.includes('other key: keep')) terminal.press('y');
    else if (!screen.includes('working')) terminal.press('r');
    return false;
  }, 'the session has ended');
}

describe.each(['sqlite', 'postgres'] as const)('on %s', (kind) => {
  test('a revoke is seen by the server at once, and quitting gives the terminal back (tick 39)', async () => {
    const { program, server, pair } = await withSession(kind);
    const api = await program.json<{ client_secret: string }>(['clients', 'add', 'api', '--type', 'resource-server']);
    const verify = () =>
      server.post('/verify', { token: pair.body.access_token }, { authorization: `Bearer ${api.client_secret}` });
    await vi.waitFor(async () => expect(await verify()).toMatchObject({ status: 200, body: { active: true } }), 5_000);
    const terminal = await startTui(program);
    expect(terminal.screen()).toContain('evil\\u009b31m');
    // Held: it asks, and ends nothing.
    terminal.press('r', 'r', 'r', 'Enter', 'Enter');
    await terminal.shows(/kept|other key: keep/);
    expect((await server.post('/refresh', pair.body)).status).toBe(200);
    await endSession(terminal);
    expect(await verify()).toEqual({ status: 200, body: { active: false, reason: 'revoked' } });
    expect(await server.post('/refresh', pair.body)).toMatchObject({ status: 401, body: { reason: 'revoked' } });
    terminal.press('q');
    await terminal.shows('EXIT 0');
    await terminal.isBack();
    expect(await server.stop('SIGTERM')).toBe(0);
  });
});

test('it works with the server down, and shows a resized window whole (tick 31)', async () => {
  const { program, server } = await withSession();
  await server.stop('SIGTERM');
  const terminal = await startTui(program);
  terminal.resize(120, 36);
  await terminal.shows('| live, its token ends');
  terminal.resize(60, 16);
  await terminal.until(() => !terminal.screen().includes(' | '), 'the story has no room');
  await terminal.shows(/\? keys {2}: palette {2}q quit/);
  terminal.resize(59, 16);
  await terminal.shows('59x16 is too small: 60x16 is needed.');
  terminal.resize(80, 24);
  await terminal.shows('alice');
  terminal.press('6');
  await terminal.shows('1 session');
  terminal.press('q');
  await terminal.shows('EXIT 0');
});

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)('%s ends it with %i, and the terminal is as it was (tick 38)', async (signal, code) => {
  const { program } = await withSession();
  const terminal = await startTui(program);
  process.kill(pidOf(program), signal);
  await terminal.shows(`EXIT ${code}`);
  await terminal.isBack();
});

test.each([
  ['SIGUSR2', 'thrown', "throw new Error('boom')"],
  ['SIGWINCH', 'rejected', "void Promise.reject(new Error('boom'))"],
] as const)(
  'a crash (%s: an error is %s) gives the screen back first, then says what it was (tick 38)',
  async (signal, _, crash) => {
    const { program, server } = await withSession();
    await server.stop('SIGTERM');
    // From source, because nothing can make the packed program fail.
    const root = path.dirname(path.dirname(import.meta.dirname));
    const preload = path.join(program.folder, 'crash.mjs');
    writeFileSync(preload, `process.on('${signal}', () => { ${crash}; });`);
    const terminal = openTerminal(program.folder);
    const node = path.join(root, 'node_modules/.bin/node');
    const loader = path.join(root, 'scripts/tsx-hook.ts');
    terminal.type(
      `bash -c 'echo $$ >pid; exec ${node} --import ${loader} --import ./crash.mjs ${root}/cli/main.ts tui'; echo EXIT $?`,
    );
    await terminal.shows('alice');
    process.kill(pidOf(program), signal);
    await terminal.shows('error: this is a bug: Error: boom');
    await terminal.shows('EXIT 1');
    await terminal.isBack();
  },
);

test('Ctrl-C ends it; Ctrl-Z and SIGTSTP stop it, and fg goes on (tick 38)', async () => {
  const { program } = await withSession();
  const terminal = await startTui(program);
  const jobs = (): void => terminal.type('clear; jobs');
  for (const stop of [() => terminal.press('C-z'), () => process.kill(pidOf(program), 'SIGTSTP')]) {
    stop();
    await terminal.until(() => !terminal.isAlternate(), 'the screen is back');
    jobs();
    await terminal.shows('Stopped');
    terminal.type('fg');
    await terminal.until(() => terminal.isAlternate(), 'it draws again');
    await terminal.shows('alice');
  }
  terminal.press('C-c');
  await terminal.until(() => !terminal.isAlternate(), 'it has ended');
  terminal.type('echo EXIT $?');
  await terminal.shows('EXIT 130');
  await terminal.isBack();
});

test('a database that is gone is waited for, and found again (tick 37)', async () => {
  const { program, server } = await withSession();
  await server.stop('SIGTERM');
  const terminal = await startTui(program);
  const file = path.join(program.folder, 'auth.db');
  renameSync(file, `${file}.away`);
  await terminal.shows('DATABASE UNREACHABLE');
  expect(terminal.screen()).toContain('alice');
  terminal.press('r');
  await terminal.shows('r (revoke): the database does not answer');
  renameSync(`${file}.away`, file);
  await terminal.shows(/live \d\d:/);
  terminal.press('q');
  await terminal.shows('EXIT 0');
});

test('what is pasted goes into the filter, and nowhere else', async () => {
  const { program } = await withSession();
  const terminal = await startTui(program);
  terminal.paste('rrry\n');
  await terminal.shows('press / first');
  terminal.press('/');
  terminal.paste('state:revoked\nrm -rf');
  await terminal.shows('/ state:revoked_');
  await terminal.shows('no session fits');
  terminal.press('Escape');
  await terminal.shows('alice');
  terminal.press('q');
  await terminal.shows('EXIT 0');
});

test('NO_COLOR is honoured, and black and white says as much (ticks 15, 16)', async () => {
  const { program, server, pair } = await withSession();
  expect((await server.post('/refresh', pair.body)).status).toBe(200);
  expect(await server.post('/refresh', pair.body)).toMatchObject({ body: { reason: 'reused' } });
  const terminal = await startTui(program, { NO_COLOR: '1' });
  await terminal.shows('REUSE');
  // Foreground and background colours; bold, dim and inverse are none.
  expect(terminal.painted()).not.toMatch(/\u001b\[[0-9;]*\b(3[0-7]|9[0-7]|4[0-7])\b/);
  terminal.press('q');
  await terminal.shows('EXIT 0');
});

test('a screen reader gets sentences on the ordinary screen (tick 40)', async () => {
  const { program } = await withSession();
  copyFileSync('dist/auth-server', path.join(program.folder, 'auth-server'));
  const terminal = openTerminal(program.folder);
  terminal.type('INK_SCREEN_READER=true ./auth-server tui; echo EXIT $?');
  await terminal.shows('Row 1 of 1: session');
  expect(terminal.isAlternate()).toBe(false);
  terminal.press('?');
  await terminal.shows('r: ends the session');
  terminal.press('Escape');
  // Together they would be Alt-q.
  await terminal.shows(/^(?![\s\S]*r: ends the session)/);
  terminal.press('q');
  await terminal.shows('EXIT 0');
});

test('without a terminal it says what to use instead (exit 2)', async () => {
  const program = await makeProgram('sqlite');
  const { code, stderr } = await program.run(['tui']);
  expect(code).toBe(2);
  expect(stderr).toContain('try:   auth-server families list');
});
