/** `auth-server users` as a process (contract §7 and §12; security G3 to G7). */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import { addUser } from '../../src/operations/users.ts';
import { makeCliDatabase } from '../support/cli-database.ts';
import { logIn } from '../support/test-app.ts';

const STDIN = '--password-stdin';

test('a user is added, listed and shown, each in its shape of JSON', async () => {
  const cli = await makeCliDatabase();
  const added = await cli.json<{ subject: string }>(['users', 'add', 'alice', STDIN], 'correct horse\n');
  expect(added).toEqual({ username: 'alice', subject: expect.stringMatching(/^[0-9a-f-]{36}$/) });
  await cli.inside((app) => logIn(app, 'alice', 'correct horse'));
  const user = { username: 'alice', subject: added.subject, state: 'active' };
  expect(await cli.json(['users', 'list'])).toMatchObject({ users: [user], next_cursor: null });
  expect(await cli.json(['users', 'show', 'ALICE'])).toMatchObject({ ...user, sessions: 1 });
});

test('a new password, disabling and removing end sessions, and each says how many', async () => {
  const cli = await makeCliDatabase();
  const { subject } = await cli.inside(async (app) => {
    const user = await addUser(app, { name: 'alice', password: new Secret('correct horse') });
    await logIn(app, 'alice', 'correct horse');
    return user;
  });
  const user = { username: 'alice', subject, state: 'active' };
  const passwd = ['users', 'passwd', 'alice', STDIN];
  expect(await cli.json([...passwd, '--keep-sessions'], 'another horse')).toMatchObject({ ...user, revoked: 0 });
  expect(await cli.json([...passwd, '--yes', '--dry-run'], 'third horse')).toEqual({ would_revoke: 1 });
  expect(await cli.json(passwd, 'third horse')).toMatchObject({ ...user, revoked: 1 });
  expect(await cli.json([...passwd, '--yes'], 'fourth horse')).toMatchObject({ ...user, revoked: 0 });
  expect(await cli.json(['users', 'disable', subject, '--yes'])).toMatchObject({ state: 'disabled', revoked: 0 });
  expect(await cli.json(['users', 'enable', 'alice'])).toMatchObject(user);
  expect(await cli.run(['users', 'remove', 'alice', '--yes'])).toMatchObject({
    code: 0,
    stdout: 'Removed alice. No session was live.\n',
  });
  expect(await cli.run(['users', 'show', subject])).toMatchObject({ code: 3, stdout: '' });
});

test('G7: a name that is taken is exit 1, before any password is asked for', async () => {
  const cli = await makeCliDatabase();
  await cli.run(['users', 'add', 'alice', STDIN], 'correct horse');
  const { code, stdout, stderr } = await cli.run(['users', 'add', 'Alice']);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toMatch(/^error: There is a user of this name\.\ntry: {3}\S/);
});

test('G5: a password as an argument is refused with a hint, and is not repeated', async () => {
  const cli = await makeCliDatabase();
  const before = cli.hash();
  for (const args of [['--password', 'hunter2hunter2'], ['--password=hunter2hunter2'], ['--password']]) {
    const { code, stdout, stderr } = await cli.run(['users', 'add', 'alice', ...args]);
    expect({ code, stdout }, args.join(' ')).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(STDIN);
    expect(stderr).not.toContain('hunter2');
  }
  expect(cli.hash()).toBe(before);
});

test('G6: a password that is no password is exit 2, and nobody is added', async () => {
  const cli = await makeCliDatabase();
  const before = cli.hash();
  const cases: readonly (readonly [string, string | Uint8Array])[] = [
    ['nothing', ''],
    ['7 characters', '1234567\n'],
    ['1,025 bytes', 'x'.repeat(1_025)],
    ['invalid UTF-8', Uint8Array.from([0xff, 0xfe, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47])],
  ];
  for (const [name, stdin] of cases) {
    expect(await cli.run(['users', 'add', 'alice', STDIN], stdin), name).toMatchObject({ code: 2, stdout: '' });
  }
  expect(cli.hash()).toBe(before);
});

test('a password comes from a file, too, without its line break', async () => {
  const cli = await makeCliDatabase();
  writeFileSync(path.join(cli.folder, 'password'), 'correct horse\n');
  await cli.json(['users', 'add', 'alice', '--password-file', 'password']);
  await cli.inside((app) => logIn(app, 'alice', 'correct horse'));
  expect(await cli.run(['users', 'add', 'bob', '--password-file', 'nowhere'])).toMatchObject({ code: 2 });
});

test('without a terminal and without --yes nothing is destroyed; --dry-run counts, and wins over --yes', async () => {
  const cli = await makeCliDatabase();
  await cli.inside(async (app) => {
    await addUser(app, { name: 'alice', password: new Secret('correct horse') });
    await logIn(app, 'alice', 'correct horse');
    await logIn(app, 'alice', 'correct horse');
  });
  const before = cli.hash();
  for (const verb of ['disable', 'remove']) {
    const refused = await cli.run(['users', verb, 'alice']);
    expect(refused).toMatchObject({ code: 4, stdout: '' });
    expect(refused.stderr).toContain('2 sessions');
    expect(await cli.json(['users', verb, 'alice', '--dry-run', '--yes'])).toEqual({ would_revoke: 2 });
  }
  expect(cli.hash()).toBe(before);
  expect(await cli.json(['users', 'disable', 'alice', '--yes'])).toMatchObject({ revoked: 2 });
});

test('a pipe gets whole values between tabs, without a header; nothing is a hint on stderr', async () => {
  const cli = await makeCliDatabase();
  expect(await cli.run(['users', 'list'])).toMatchObject({
    code: 0,
    stdout: '',
    stderr: 'no users yet: auth-server users add NAME\n',
  });
  await cli.inside(async (app) => {
    for (const name of ['bob', 'alice']) await addUser(app, { name, password: new Secret('correct horse') });
  });
  const { stdout, stderr } = await cli.run(['users', 'list']);
  expect(stderr).toBe('');
  expect(stdout.split('\n').map((line) => line.split('\t').slice(0, 2))).toEqual([
    ['alice', 'active'],
    ['bob', 'active'],
    [''],
  ]);
});

test('where a user service knows the users, the commands say where to go', async () => {
  const cli = await makeCliDatabase();
  const http = { url: 'http://127.0.0.1:9/login', secret: `whsec_${Buffer.alloc(32, 7).toString('base64')}` };
  writeFileSync(path.join(cli.folder, 'auth.config.json'), JSON.stringify({ users: { directory: 'http', http } }), {
    mode: 0o600,
  });
  const { code, stderr } = await cli.run(['users', 'list']);
  expect(code).toBe(1);
  expect(stderr).toContain('user service');
  expect(readFileSync(path.join(cli.folder, 'auth.config.json'), 'utf8')).toContain('whsec_');
  expect(stderr).not.toContain('whsec_');
});
