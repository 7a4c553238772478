/** `restore`: what was spent or ended after the copy stays so, and nothing is replaced that somebody uses (I12, N18, G14). */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import BetterSqlite3 from 'better-sqlite3';
import { expect, test } from 'vitest';
import { planRestore } from '../../src/operations/restore.ts';
import { backupSqlite } from '../../src/store/backup.ts';
import { runCli, startCli } from '../support/cli.ts';
import { type Instance, makeInstance } from '../support/instance.ts';
import { until } from '../support/until.ts';

const watch = { signal: new AbortController().signal };

async function copyOf(instance: Instance): Promise<string> {
  const file = path.join(instance.folder, 'copy.db');
  await backupSqlite(instance.database, file, watch);
  return file;
}

const restore = (instance: Instance, ...args: readonly string[]) =>
  runCli(['restore', ...args], { cwd: instance.folder });

const hashOf = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');
const leftovers = ({ folder }: Instance): string[] =>
  readdirSync(folder).filter((name) => /restoring|partial|-journal$/.test(name));

test('the whole story: tokens from before and after the copy are refused, everybody can log in again', async () => {
  const instance = await makeInstance();
  let server = await instance.serve();
  const spent = await server.login();
  await instance.run('backup', 'copy.db');
  const newest = await server.refresh(spent);
  const later = await server.login();
  expect(await server.isActive(later)).toBe(true);

  const refused = await restore(instance, 'copy.db', '--yes');
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(/^error: A process has the database sqlite:auth\.db open\.\ntry: {3}stop every serve/);
  expect(await server.isActive(newest)).toBe(true);
  await server.stop();

  const before = instance.rows('select * from token_families order by id');
  const { code, stdout, stderr } = await restore(instance, 'copy.db', '--yes', '--json');
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  const { kept, ...rest } = JSON.parse(stdout);
  expect(rest).toEqual({ file: 'copy.db', database: 'auth.db', revoked: 1, compromised: [] });
  const replaced = new BetterSqlite3(path.join(instance.folder, kept), { readonly: true });
  expect(replaced.prepare('select * from token_families order by id').all()).toEqual(before);
  replaced.close();
  for (const file of ['auth.db', kept]) expect(statSync(path.join(instance.folder, file)).mode & 0o777).toBe(0o600);
  expect(leftovers(instance)).toEqual([]);
  expect(instance.rows('select revoke_reason as cause from token_families')).toEqual([{ cause: 'restored' }]);

  server = await instance.serve();
  for (const pair of [spent, newest, later]) expect(await server.isActive(pair)).toBe(false);
  expect(await server.tryRefresh(newest)).toMatchObject({ status: 401, body: { reason: 'revoked' } });
  expect(await server.tryRefresh(spent)).toMatchObject({ status: 401, body: { reason: 'revoked' } });
  // A family that the copy had not seen.
  expect(await server.tryRefresh(later)).toMatchObject({ status: 401, body: { reason: 'unknown' } });
  expect(await server.isActive(await server.refresh(await server.login()))).toBe(true);
  await server.stop();
});

test('any connection is a use: a reader that does nothing refuses it, and the database is untouched', async () => {
  const instance = await makeInstance();
  const copy = await copyOf(instance);
  const before = hashOf(instance.database);
  const writer = new BetterSqlite3(instance.database);
  writer.pragma('journal_mode = WAL');
  const reader = new BetterSqlite3(instance.database, { readonly: true });
  reader.prepare('select count(*) from users').get();
  writer.close();
  await expect(planRestore(copy, instance.database)).rejects.toMatchObject({ code: 'conflict' });
  reader.close();
  expect((await planRestore(copy, instance.database)).live?.instance).toBeDefined();
  expect(hashOf(instance.database)).toBe(before);
});

const unfit: readonly [string, string, string, (file: string) => void][] = [
  ['a text file', 'conflict', 'is not a SQLite database', (file) => writeFileSync(file, 'hello\n'.repeat(1_000))],
  ['an empty file', 'conflict', 'is no database of auth-server', (file) => writeFileSync(file, '')],
  [
    'a database of another program',
    'conflict',
    'is no database of auth-server',
    (file) => {
      writeFileSync(file, '');
      new BetterSqlite3(file).exec('create table other (x)').close();
    },
  ],
  [
    'a copy of a newer schema',
    'schema_behind',
    'newer',
    (file) => alter(file, "insert into migrations values ('9999-later', 1)"),
  ],
  [
    'a copy of another instance',
    'conflict',
    'another database',
    (file) => alter(file, "update settings set value = 'another' where name = 'instance_id'"),
  ],
  [
    'a damaged copy',
    'conflict',
    'damaged',
    (file) => {
      const bytes = readFileSync(file);
      bytes.fill(0xa5, 8 * 4096, 24 * 4096);
      writeFileSync(file, bytes);
    },
  ],
];

function alter(file: string, sql: string): void {
  new BetterSqlite3(file).exec(sql).close();
}

test.each(unfit)('%s is refused, and the database is untouched', async (_, code, why, spoil) => {
  const instance = await makeInstance();
  const copy = await copyOf(instance);
  const before = hashOf(instance.database);
  spoil(copy);
  const refusal = await planRestore(copy, instance.database).then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(refusal).toMatchObject({ code });
  expect(`${(refusal as Error).message} ${(refusal as { remedy?: string }).remedy}`).toContain(why);
  expect(hashOf(instance.database)).toBe(before);
  expect(leftovers(instance)).toEqual([]);
});

test('no file, a folder: exit 1, and nothing happens', async () => {
  const instance = await makeInstance();
  await expect(planRestore(path.join(instance.folder, 'none.db'), instance.database)).rejects.toMatchObject({
    code: 'ENOENT',
  });
  await expect(planRestore(instance.folder, instance.database)).rejects.toMatchObject({ code: 'conflict' });
});

test('without a yes it changes nothing; a dry run wins over --yes; a master key that does not open the copy stops it', async () => {
  const instance = await makeInstance();
  const copy = await copyOf(instance);
  const before = hashOf(instance.database);
  const asked = await restore(instance, copy);
  expect(asked.code).toBe(4);
  const dry = await restore(instance, copy, '--yes', '--dry-run', '--json');
  expect({ code: dry.code, ...JSON.parse(dry.stdout) }).toMatchObject({ code: 0, file: copy, would_replace: true });
  writeFileSync(path.join(instance.folder, 'auth-server.key'), `${Buffer.alloc(32, 7).toString('base64')}\n`);
  const foreign = await restore(instance, copy, '--yes');
  expect({ code: foreign.code, stderr: foreign.stderr }).toEqual({
    code: 5,
    stderr: expect.stringMatching(/^error: The master key of this configuration does not open .*copy\.db\.\ntry: /),
  });
  expect(hashOf(instance.database)).toBe(before);
  expect(leftovers(instance)).toEqual([]);

  const forced = await restore(instance, copy, '--yes', '--without-master-key', '--json');
  expect(forced.code).toBe(0);
  expect(existsSync(path.join(instance.folder, JSON.parse(forced.stdout).kept))).toBe(true);
});

test('wrong usage: neither a file nor --in-place, or both', async () => {
  const instance = await makeInstance();
  for (const args of [[], ['copy.db', '--in-place']]) {
    const { code, stdout, stderr } = await restore(instance, ...args);
    expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: '', stderr: expect.stringContaining('usage: ') });
  }
});

test('a database that is too damaged to be opened is replaced and kept, unless a process still has it open', async () => {
  const instance = await makeInstance();
  const copy = await copyOf(instance);
  const server = await instance.serve();
  const bytes = readFileSync(instance.database);
  writeFileSync(instance.database, bytes.fill(0, 0, 4096), { flag: 'r+' });
  await expect(planRestore(copy, instance.database)).rejects.toMatchObject({ code: 'conflict' });
  server.child.kill('SIGKILL');
  await once(server.child, 'exit');

  const { code, stdout } = await restore(instance, copy, '--yes', '--json');
  expect(code).toBe(0);
  const { kept } = JSON.parse(stdout);
  expect(
    readFileSync(path.join(instance.folder, kept))
      .subarray(0, 4096)
      .every((byte) => byte === 0),
  ).toBe(true);
  expect(instance.rows('select name from users')).toEqual([{ name: 'alice' }]);
});

test('a log without its database is not taken for the log of the copy', async () => {
  const instance = await makeInstance();
  const copy = await copyOf(instance);
  renameSync(instance.database, path.join(instance.folder, 'away.db'));
  writeFileSync(`${instance.database}-wal`, 'of another');
  await expect(planRestore(copy, instance.database)).rejects.toMatchObject({ code: 'conflict' });
});

test('on another machine there is nothing to replace', async () => {
  const instance = await makeInstance();
  const copy = await copyOf(instance);
  renameSync(instance.database, path.join(instance.folder, 'away.db'));
  const { code, stdout } = await restore(instance, copy, '--yes', '--json');
  expect({ code, ...JSON.parse(stdout) }).toMatchObject({ code: 0, kept: null });
  expect(instance.rows('select name from users')).toEqual([{ name: 'alice' }]);
});

test('a key that was declared compromised after the copy stays so, and another signs', async () => {
  const instance = await makeInstance();
  const copy = await copyOf(instance);
  const [active] = instance.rows<{ kid: string }>(
    "select kid from signing_keys where ring = 'access' and state = 'active'",
  );
  await instance.run('keys', 'rotate', '--compromised', '--yes');
  const { code, stdout } = await restore(instance, copy, '--yes', '--json');
  expect({ code, ...JSON.parse(stdout) }).toMatchObject({ code: 0, compromised: [active?.kid] });
  expect(instance.rows(`select state, sealed_key from signing_keys where kid = '${active?.kid}'`)).toEqual([
    { state: 'compromised', sealed_key: null },
  ]);
  expect(instance.rows("select 1 from signing_keys where ring = 'access' and state = 'active'")).toHaveLength(1);
});

test('who waits for the database while it is replaced gets the new one', async () => {
  const instance = await makeInstance();
  const copy = path.join(instance.folder, 'new.db');
  copyFileSync(instance.database, copy);
  alter(copy, "update users set name = 'from the copy'");
  const hold = new BetterSqlite3(instance.database);
  hold.pragma('journal_mode = DELETE');
  hold.exec('begin exclusive');
  const waiting = startCli(['users', 'list'], { cwd: instance.folder });
  const hasOpened = (): boolean => {
    const fds = `/proc/${waiting.child.pid}/fd`;
    return readdirSync(fds).some((fd) => linkOf(path.join(fds, fd)) === instance.database);
  };
  await until(hasOpened, 'the command has opened the database');
  renameSync(copy, instance.database);
  hold.exec('rollback');
  hold.close();
  await once(waiting.child, 'close');
  expect({ code: waiting.child.exitCode, stderr: waiting.stderr() }).toEqual({ code: 0, stderr: '' });
  expect(waiting.stdout()).toContain('from the copy');
});

/** A descriptor may be closed between the list and the look. */
function linkOf(file: string): string | undefined {
  try {
    return readlinkSync(file);
  } catch {
    return undefined;
  }
}

test.each(['SIGINT', 'SIGKILL'] as const)('%s in the middle leaves the database as it was', async (signal) => {
  const instance = await makeInstance();
  alter(instance.database, 'create table filler (bytes blob)');
  alter(
    instance.database,
    'with recursive n(i) as (values (1) union all select i + 1 from n where i < 150) insert into filler select zeroblob(1000000) from n',
  );
  const copy = await copyOf(instance);
  const before = statSync(instance.database);
  const { child } = startCli(['restore', copy, '--yes'], { cwd: instance.folder });
  await until(() => readdirSync(instance.folder).some((name) => name.includes('restoring')), 'the copy has begun');
  child.kill(signal);
  await once(child, 'close');
  expect(child.exitCode).toBe(signal === 'SIGINT' ? 130 : null);
  const { ino, size } = statSync(instance.database);
  expect({ ino, size }).toEqual({ ino: before.ino, size: before.size });
  if (signal === 'SIGINT') expect(leftovers(instance)).toEqual([]);
  expect(instance.rows('select name from users')).toEqual([{ name: 'alice' }]);
});
