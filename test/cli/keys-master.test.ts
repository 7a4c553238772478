/** `keys rewrap` and `keys reset` as an operator types them: what they print, what they refuse, what a kill leaves (G10). */
import { once } from 'node:events';
import { existsSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { runCli, startCli } from '../support/cli.ts';
import { makeInstance } from '../support/instance.ts';
import { until } from '../support/until.ts';

const SEALERS = 'select distinct substr(sealed_key, 4, 8) as id from signing_keys where sealed_key is not null';

test('rewrap makes the new master key, and a start needs it then; a dry run makes nothing', async () => {
  const instance = await makeInstance();
  const cwd = instance.folder;
  const file = path.join(cwd, 'new.key');
  const dry = await runCli(['keys', 'rewrap', '--new-key', 'new.key', '--dry-run'], { cwd });
  expect({ ...dry, isThere: existsSync(file) }).toMatchObject({
    code: 0,
    stdout: 'Would seal 4 keys under new.key, which would be made. No session would end.\n',
    isThere: false,
  });
  const { code, stdout } = await runCli(['keys', 'rewrap', '--new-key', 'new.key', '--json'], { cwd });
  const [{ id } = { id: '' }, ...others] = instance.rows<{ id: string }>(SEALERS);
  expect(others).toEqual([]);
  expect({ code, ...JSON.parse(stdout) }).toEqual({ code: 0, rewrapped: 4, master_key: id, made: true });
  expect(statSync(file).mode & 0o777).toBe(0o600);

  const stale = await runCli(['serve', '--port', '0'], { cwd });
  expect(stale.code).toBe(5);
  expect(stale.stderr).toContain('auth-server.key is not the master key that sealed the keys');
  renameSync(file, path.join(cwd, 'auth-server.key'));
  const server = await instance.serve();
  await server.login();
  await server.stop();
});

test('the new master key may come from the environment; its text is in no output', async () => {
  const instance = await makeInstance();
  const NEW_KEY = Buffer.alloc(32, 9).toString('base64');
  const { code, stdout, stderr } = await runCli(['keys', 'rewrap', '--new-key-env', 'NEW_KEY'], {
    cwd: instance.folder,
    env: { NEW_KEY },
  });
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Sealed 4 keys under NEW_KEY \([\w-]{8}\)\.\n/);
  expect(stdout + stderr).not.toContain(NEW_KEY);
});

test('where the old master key is no file, the next step is one that can be done', async () => {
  const instance = await makeInstance();
  const OLD_KEY = readFileSync(path.join(instance.folder, 'auth-server.key'), 'utf8').trim();
  const { code, stderr } = await runCli(['keys', 'rewrap', '--new-key', 'new.key'], {
    cwd: instance.folder,
    env: { OLD_KEY, AUTH_SERVER_MASTER_KEY: '{"env": "OLD_KEY"}' },
  });
  expect(code).toBe(0);
  expect(stderr).toContain('next: set masterKey of every server to {"file": "new.key"}; keep the old one');
});

test.each([
  [['rewrap'], 2],
  [['rewrap', '--new-key', 'a', '--new-key-env', 'B'], 2],
  [['rewrap', '--new-key-env', 'NOT_SET'], 2],
  [['reset'], 2],
  [['reset', '--lost-master-key', '--yes'], 1],
] as const)('keys %s ends with %i and changes nothing', async (args, expected) => {
  const instance = await makeInstance();
  const before = instance.rows('select * from signing_keys order by kid');
  const { code, stdout, stderr } = await runCli(['keys', ...args], { cwd: instance.folder });
  expect({ code, stdout }).toEqual({ code: expected, stdout: '' });
  expect(stderr).toMatch(/^error: .*\n(usage: .*\n)?try: {3}.*\n$/);
  expect(instance.rows('select * from signing_keys order by kid')).toEqual(before);
});

test.each(['SIGINT', 'SIGKILL'] as const)(
  'G10: %s in the middle of a rewrap: one master key opens all keys, and saying it again finishes it',
  async (signal) => {
    const instance = await makeInstance();
    const cwd = instance.folder;
    const { child } = startCli(['keys', 'rewrap', '--new-key', 'new.key'], { cwd });
    await until(() => existsSync(path.join(cwd, 'new.key')), 'the new key is made');
    child.kill(signal);
    await once(child, 'close');
    expect(instance.rows(SEALERS)).toHaveLength(1);
    await instance.run('keys', 'rewrap', '--new-key', 'new.key');
    renameSync(path.join(cwd, 'new.key'), path.join(cwd, 'auth-server.key'));
    await instance.run('keys', 'rotate', '--yes');
  },
);

test('reset asks, can be tried, and makes a lost master key anew', async () => {
  const instance = await makeInstance();
  const cwd = instance.folder;
  let server = await instance.serve();
  const pair = await server.login();
  await server.stop();
  const key = path.join(cwd, 'auth-server.key');
  const old = readFileSync(key, 'utf8');
  rmSync(key);

  const lost = await runCli(['serve', '--port', '0'], { cwd });
  expect({ code: lost.code, isThere: existsSync(key) }).toEqual({ code: 5, isThere: false });
  expect(lost.stderr).toContain('auth-server keys reset --lost-master-key');
  const asked = await runCli(['keys', 'reset', '--lost-master-key'], { cwd });
  const dry = await runCli(['keys', 'reset', '--lost-master-key', '--yes', '--dry-run', '--json'], { cwd });
  expect([asked.code, dry.code, existsSync(key)]).toEqual([4, 0, false]);
  expect(JSON.parse(dry.stdout)).toEqual({ would_revoke: 1, would_remove: 4 });

  const { code, stdout } = await runCli(['keys', 'reset', '--lost-master-key', '--yes', '--json'], { cwd });
  expect({ code, ...JSON.parse(stdout) }).toEqual({ code: 0, revoked: 1, removed: 4 });
  expect(readFileSync(key, 'utf8')).not.toBe(old);
  server = await instance.serve();
  expect(await server.isActive(pair)).toBe(false);
  expect(await server.tryRefresh(pair)).toMatchObject({ status: 401, body: { reason: 'malformed' } });
  expect(await server.isActive(await server.login())).toBe(true);
  await server.stop();
});
