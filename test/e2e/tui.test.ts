/** The terminal interface of the executable in a real terminal, tmux: keys in, screen out, and the terminal as it was. */
import { execFileSync } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { makeProgram } from '../support/executable.ts';

const PASSWORD = 'correct horse battery staple';
const LIMIT_MS = 20_000;

async function waitFor(condition: () => boolean, what: () => string): Promise<void> {
  for (const limit = performance.now() + LIMIT_MS; !condition(); await delay(50)) {
    if (performance.now() > limit) throw new Error(`waited in vain: ${what()}`);
  }
}

test('a revoke in the terminal is seen by the server at once, and quitting gives the terminal back', async () => {
  const program = await makeProgram('sqlite');
  const server = await program.serve();
  await program.json(['users', 'add', 'alice', '--password-stdin'], `${PASSWORD}\n`);
  const login = { username: 'alice', password: PASSWORD };
  const pair = await server.post('/login', login, { 'user-agent': 'evil\u009b31m' });
  expect(pair.status).toBe(200);

  const binary = path.join(program.folder, 'auth-server');
  copyFileSync('dist/auth-server', binary);
  const socket = path.join(program.folder, 'tmux');
  const tmux = (...args: string[]): string =>
    execFileSync('tmux', ['-S', socket, '-f', '/dev/null', ...args], { encoding: 'utf8' });
  tmux('new-session', '-d', '-x', '80', '-y', '24', '-c', program.folder, 'bash --norc');
  onTestFinished(() => {
    tmux('kill-server');
  });
  const screen = (): string => tmux('capture-pane', '-p');
  const shows = (text: string): Promise<void> =>
    waitFor(
      () => screen().includes(text),
      () => `${text} in\n${screen()}`,
    );
  tmux('send-keys', './auth-server tui', 'Enter');
  await shows('alice');
  expect(tmux('display', '-p', '#{alternate_on}').trim()).toBe('1');

  tmux('send-keys', 'r', 'r', 'Enter');
  await shows('y: end it');
  // Keys of the first 300 ms are dropped, so it is pressed until somebody listens.
  await waitFor(
    () => {
      tmux('send-keys', screen().includes('kept') ? 'r' : 'y');
      return screen().includes('Ended 1');
    },
    () => screen(),
  );
  expect(await server.post('/refresh', pair.body)).toMatchObject({ status: 401, body: { reason: 'revoked' } });

  tmux('send-keys', 'q');
  await waitFor(() => tmux('display', '-p', '#{alternate_on}').trim() === '0', screen);
  tmux('send-keys', 'stty -a', 'Enter');
  await shows('icanon');
  expect(screen()).not.toMatch(/-icanon|-echo\b/);
  expect(await server.stop('SIGTERM')).toBe(0);
});
