/** A real terminal, tmux: keys in, screen out, and whether the terminal is as it was. */
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { onTestFinished } from 'vitest';

/** A packed program starts in a second on a machine of its own, and in ten where other things run. */
const LIMIT_MS = 30_000;
const STEP_MS = 50;

export interface Terminal {
  /** Keys by tmux's names, or text. */
  press(...keys: string[]): void;
  /** A line for the shell. */
  type(line: string): void;
  screen(): string;
  /** With the escape sequences of colours and weights. */
  painted(): string;
  shows(text: string | RegExp): Promise<void>;
  /** Waits for anything at all. */
  until(condition: () => boolean, what: string): Promise<void>;
  resize(columns: number, rows: number): void;
  isAlternate(): boolean;
  /** Pastes as a terminal does, between brackets where the program asked for them. */
  paste(text: string): void;
  /** Waits for the shell, and checks that it has its lines, its echo, its cursor and its screen back. */
  isBack(): Promise<void>;
}

/** A shell in a window of 80x24 that ends with its test. */
export function openTerminal(folder: string, env: Readonly<Record<string, string>> = {}): Terminal {
  const socket = path.join(folder, 'tmux');
  const tmux = (...args: string[]): string =>
    execFileSync('tmux', ['-S', socket, '-f', '/dev/null', ...args], { encoding: 'utf8' });
  const settings = Object.entries(env).flatMap(([name, value]) => ['-e', `${name}=${value}`]);
  tmux(
    'new-session',
    '-d',
    '-x',
    '80',
    '-y',
    '24',
    '-c',
    folder,
    ...settings,
    'env PS1=READY: bash --norc --noprofile',
  );
  onTestFinished(() => {
    tmux('kill-server');
  });
  const screen = (): string => tmux('capture-pane', '-p');
  async function until(condition: () => boolean, what: string): Promise<void> {
    for (const limit = performance.now() + LIMIT_MS; !condition(); await delay(STEP_MS)) {
      if (performance.now() > limit) throw new Error(`waited in vain until ${what}:\n${screen()}`);
    }
  }
  const shows = (text: string | RegExp): Promise<void> =>
    until(() => (typeof text === 'string' ? screen().includes(text) : text.test(screen())), `the screen shows ${text}`);
  const isAlternate = (): boolean => tmux('display', '-p', '#{alternate_on}').trim() === '1';
  const type = (line: string): void => {
    tmux('send-keys', '-l', line);
    tmux('send-keys', 'Enter');
  };
  return {
    press: (...keys) => {
      tmux('send-keys', ...keys);
    },
    type,
    screen,
    painted: () => tmux('capture-pane', '-p', '-e'),
    shows,
    until,
    resize: (columns, rows) => {
      tmux('resize-window', '-x', String(columns), '-y', String(rows));
    },
    isAlternate,
    paste: (text) => {
      tmux('set-buffer', text);
      tmux('paste-buffer', '-p');
    },
    async isBack() {
      await until(() => !isAlternate(), 'the screen is back');
      type('clear; stty -a | tr ";" "\\n" | grep -c -e "-icanon" -e "-echo " -e "-isig"; echo END');
      // None of them is off: grep counts no line.
      await shows(/^0\nEND/m);
      await until(() => tmux('display', '-p', '#{cursor_flag}').trim() === '1', 'the cursor is back');
    },
  };
}
