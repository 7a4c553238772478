/** After the first migration of a database the interface opens it again: the same one, however it was named. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { makeProgram } from '../../cli/program.ts';
import { runTui } from '../../cli/tui/run.tsx';
import { workFolder } from '../support/cli.ts';

vi.mock('../../cli/tui/run.tsx', () => ({ runTui: vi.fn() }));

const setTerminal = (isTTY: boolean | undefined): void => {
  for (const stream of [process.stdin, process.stdout]) Object.assign(stream, { isTTY });
};

test('a database that only the environment names is opened again', async () => {
  const file = path.join(workFolder(), 'empty.db');
  writeFileSync(file, '', { mode: 0o600 });
  vi.stubEnv('AUTH_SERVER_DATABASE_URL', `sqlite:${file}`);
  vi.stubEnv('TERM', 'xterm');
  const before = process.stdin.isTTY;
  setTerminal(true);
  onTestFinished(() => setTerminal(before));

  const opened: string[] = [];
  vi.mocked(runTui).mockImplementation(async (app) => {
    opened.push(app.store.label);
    return { exit: 0, isToReopen: opened.length === 1 };
  });
  await makeProgram().parseAsync(['tui'], { from: 'user' });
  expect(opened).toEqual([`sqlite:${file}`, `sqlite:${file}`]);
});
