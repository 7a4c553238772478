/** `backup`: the copy of a live database is one moment of its history, or there is no copy (security.md G10, G13, N18). */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import BetterSqlite3 from 'better-sqlite3';
import { expect, test } from 'vitest';
import { backup } from '../../src/operations/backup.ts';
import { backupSqlite } from '../../src/store/backup.ts';
import { runCli, startCli } from '../support/cli.ts';
import { makeDatabase } from '../support/databases.ts';
import { makeInstance } from '../support/instance.ts';
import { openTestApp } from '../support/test-app.ts';
import { until } from '../support/until.ts';

/** Makes the database so large that its copy takes a while. */
function fatten(file: string, megabytes: number): void {
  const db = new BetterSqlite3(file);
  db.exec('create table filler (bytes blob)');
  const insert = db.prepare('insert into filler values (zeroblob(1000000))');
  db.transaction(() => {
    for (let count = 0; count < megabytes; count += 1) insert.run();
  })();
  db.close();
}

test('beside rotations each copy is whole, 0600, and a moment between its start and its end', async () => {
  const instance = await makeInstance();
  const server = await instance.serve();
  let pair = await server.login();
  let acknowledged = 0;
  let isOver = false;
  const load = (async () => {
    while (!isOver) {
      pair = await server.refresh(pair);
      acknowledged += 1;
    }
  })();
  for (const name of ['one.db', "it's another.db"]) {
    const least = acknowledged;
    const { code, stdout } = await runCli(['backup', name, '--json'], { cwd: instance.folder });
    const most = acknowledged + 1;
    const file = path.join(instance.folder, name);
    const { size, mode } = statSync(file);
    expect({ code, mode: mode & 0o777 }).toEqual({ code: 0, mode: 0o600 });
    expect(JSON.parse(stdout)).toMatchObject({ file: name, bytes: size, integrity: 'ok' });

    const copy = new BetterSqlite3(file, { readonly: true });
    const generation = copy.prepare('select generation from token_families').pluck().get() as number;
    expect(generation).toBeGreaterThanOrEqual(least);
    expect(generation).toBeLessThanOrEqual(most);
    // One moment: the timeline has exactly the generations that the family has had.
    expect(copy.prepare('select count(*) from refresh_tokens').pluck().get()).toBe(generation + 1);
    expect(copy.pragma('integrity_check', { simple: true })).toBe('ok');
    copy.close();
  }
  isOver = true;
  await load;
  expect(acknowledged).toBeGreaterThan(0);
  expect(readdirSync(instance.folder).filter((name) => name.includes('partial'))).toEqual([]);
  await server.stop();
});

test('it says for people what it did, and that the master key is not in the copy', async () => {
  const instance = await makeInstance();
  const { stdout } = await runCli(['backup', 'nightly.db'], { cwd: instance.folder });
  expect(stdout).toMatch(/^wrote nightly\.db: [\d.]+ MB in [\d.]+s, integrity ok\. The master key is not in it\.\n$/);
});

const watch = { signal: new AbortController().signal };

test.each(['taken.db', 'auth.db', './auth.db', 'auth.db-wal', 'folder', 'missing/x.db'])(
  'G13: onto %s nothing is written, and nothing is left',
  async (target) => {
    const { folder, database } = await makeInstance();
    writeFileSync(path.join(folder, 'taken.db'), 'mine');
    mkdirSync(path.join(folder, 'folder'));
    const before = readFileSync(database);
    const names = readdirSync(folder);
    await expect(backupSqlite(database, path.join(folder, target), watch)).rejects.toMatchObject({
      code: target === 'missing/x.db' ? 'ENOENT' : 'conflict',
    });
    expect(readFileSync(database).equals(before)).toBe(true);
    expect(readdirSync(folder)).toEqual(names);
  },
);

test('into a folder that is not there it exits 1 and says to make it; from a file that is not there, too', async () => {
  const { folder } = await makeInstance();
  for (const command of [
    ['backup', 'missing/x.db'],
    ['restore', 'missing.db', '--yes'],
  ]) {
    const { code, stdout, stderr } = await runCli(command, { cwd: folder });
    expect({ code, stdout }, command.join(' ')).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^error: .*no such file.*missing.*\ntry: {3}correct the path, or make the folder first\n$/);
  }
});

test('onto an existing file it exits 1 and says what to do', async () => {
  const { folder } = await makeInstance();
  const { code, stdout, stderr } = await runCli(['backup', 'auth.db'], { cwd: folder });
  expect({ code, stdout, stderr }).toEqual({
    code: 1,
    stdout: '',
    stderr: 'error: auth.db exists already, and a backup replaces nothing.\ntry:   name another file\n',
  });
});

test('G13: a disk that is full ends it with exit 1, without a file', async () => {
  const instance = await makeInstance();
  fatten(instance.database, 20);
  const root = path.dirname(path.dirname(import.meta.dirname));
  const program = ['--import', path.join(root, 'scripts/tsx-hook.ts'), path.join(root, 'cli/main.ts')];
  const node = path.join(root, 'node_modules/.bin/node');
  // A file of this process may not grow beyond 10 MB: SQLite hears of it as of a full disk.
  const child = spawn('prlimit', ['--fsize=10000000', node, ...program, 'backup', 'copy.db'], {
    cwd: instance.folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  await once(child, 'close');
  expect({ code: child.exitCode, stderr }).toEqual({
    code: 1,
    stderr: expect.stringMatching(/could not be made \(SQLITE_/),
  });
  expect(readdirSync(instance.folder).filter((name) => name.startsWith('copy.db'))).toEqual([]);
});

test.each(['SIGINT', 'SIGTERM'] as const)('G10: %s in the middle leaves nothing, and ends with 130', async (signal) => {
  const instance = await makeInstance();
  fatten(instance.database, 200);
  const { child, stderr } = startCli(['backup', 'copy.db'], { cwd: instance.folder });
  const isUnderWay = () => readdirSync(instance.folder).some((name) => name.startsWith('copy.db.partial'));
  await until(isUnderWay, 'the copy has begun');
  child.kill(signal);
  await once(child, 'close');
  expect({ code: child.exitCode, stderr: stderr() }).toEqual({
    code: 130,
    stderr: expect.stringMatching(/^error: Interrupted; nothing was changed or kept\./),
  });
  expect(readdirSync(instance.folder).filter((name) => name.startsWith('copy.db'))).toEqual([]);
});

test('a damaged database gives no copy', async () => {
  const { folder, database } = await makeInstance();
  const bytes = readFileSync(database);
  // In the middle of the file, far from the page that says what it is.
  bytes.fill(0xa5, 8 * 4096, 24 * 4096);
  writeFileSync(database, bytes);
  await expect(backupSqlite(database, path.join(folder, 'copy.db'), watch)).rejects.toMatchObject({ code: 'conflict' });
  expect(readdirSync(folder).filter((name) => name.startsWith('copy.db'))).toEqual([]);
});

test('the copy is private, whatever the mode of the database', async () => {
  const { folder, database } = await makeInstance();
  chmodSync(database, 0o644);
  await backupSqlite(database, path.join(folder, 'copy.db'), watch);
  expect(statSync(path.join(folder, 'copy.db')).mode & 0o777).toBe(0o600);
});

test('on Postgres it names pg_dump', async () => {
  const { app } = await openTestApp(await makeDatabase('postgres'));
  await expect(backup(app, 'copy.db', watch)).rejects.toMatchObject({
    code: 'invalid_request',
    remedy: expect.stringContaining('pg_dump --format=custom'),
  });
  expect(existsSync('copy.db')).toBe(false);
});
