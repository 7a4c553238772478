/** The command line wherever it is run: closed streams, other locales, odd names, another user (security G9, G16, G17). */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, renameSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { CLI, runCli, startCli, workFolder } from '../support/cli.ts';
import { makeCliDatabase } from '../support/cli-database.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { storeFamilies } from '../support/test-app.ts';

describeOnBothDatabases('in any environment', (_makeDatabase, kind) => {
  test('G9: closed streams, no terminal, TERM=dumb and 20 columns are no reason to crash', async () => {
    const cli = await makeCliDatabase({}, kind);
    await cli.inside((app) =>
      storeFamilies(
        app,
        Array.from({ length: 1_000 }, () => ({})),
      ),
    );
    const cwd = cli.folder;

    // The reader has read enough, as `head -1` has.
    const { child, stderr } = startCli(['families', 'list'], { cwd });
    child.stdout?.once('data', () => child.stdout?.destroy());
    await once(child, 'exit');
    expect({ code: child.exitCode, stderr: stderr() }).toEqual({ code: 0, stderr: '' });

    // Standard input is not even there.
    const closed = spawn('sh', ['-c', 'exec "$0" "$@" <&-', ...CLI, 'users', 'add', 'alice', '--password-stdin'], {
      cwd,
      env: {},
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    closed.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    await once(closed, 'close');
    expect({ code: closed.exitCode, said }).toEqual({
      code: 2,
      said: expect.stringMatching(/^error: .*\ntry: {3}.*\n$/),
    });

    const narrow = await runCli(['families', 'list', '--limit', '1'], { cwd, env: { TERM: 'dumb', COLUMNS: '20' } });
    expect(narrow).toMatchObject({ code: 0, stdout: expect.stringMatching(/^[0-9a-f-]{36}\t/) });
    expect(narrow.stdout).not.toContain('\u001b');
  });
});

test.each([
  { LANG: 'C', LC_ALL: 'C' },
  { LANG: 'tr_TR.UTF-8', LC_ALL: 'tr_TR.UTF-8' },
])('G16: under %o, in a folder and with file names of spaces, quotes and other letters', async (env) => {
  const cli = await makeCliDatabase();
  const cwd = path.join(workFolder(), `it's "her" Ordner, ñandú $(x)`);
  mkdirSync(cwd);
  for (const name of ['auth.db', 'auth-server.key']) renameSync(path.join(cli.folder, name), path.join(cwd, name));
  const run = (args: readonly string[], stdin = '') => runCli(args, { cwd, env, stdin });
  const name = 'İIıi Žoë';
  const added = await run(['users', 'add', name, '--password-stdin', '--json'], 'pässwörter\n');
  expect(added, added.stderr).toMatchObject({ code: 0 });
  expect(JSON.parse(added.stdout)).toMatchObject({ username: name });
  const shown = await run(['users', 'show', name.toUpperCase()]);
  expect(shown, shown.stderr).toMatchObject({ code: 0, stdout: expect.stringContaining(name) });
  const copied = await run(['backup', `a "copy" of 'ñ'.db`]);
  expect(copied, copied.stderr).toMatchObject({ code: 0 });
  const restored = await run(['restore', `a "copy" of 'ñ'.db`, '--yes']);
  expect(restored, restored.stderr).toMatchObject({ code: 0 });
});

test('G17: who may not open the database is told whose it is: exit 5', async () => {
  const cli = await makeCliDatabase();
  const isRoot = process.getuid?.() === 0;
  chmodSync(cli.folder, 0o755);
  // Root may open anything, so it becomes nobody; whoever is no root takes the right from himself.
  const asNobody = isRoot ? { uid: 65_534, gid: 65_534 } : {};
  if (!isRoot) chmodSync(path.join(cli.folder, 'auth.db'), 0);
  const [program = '', ...args] = CLI;
  const child = spawn(program, [...args, 'users', 'list'], {
    cwd: cli.folder,
    env: {},
    stdio: ['ignore', 'pipe', 'pipe'],
    ...asNobody,
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  await once(child, 'close');
  expect({ code: child.exitCode, said }).toMatchObject({ code: 5 });
  expect(said).toMatch(/^error: The database sqlite:auth\.db cannot be opened \(/);
  if (isRoot) expect(said).toContain('try:   run this as the user that owns the file (user id 0)');
});
