/** `init`: what it writes, that it overwrites nothing, and that it never guesses what nobody answered. Ticks 10, 23, 30. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { runCli, workFolder } from '../support/cli.ts';

const contents = (cwd: string): Record<string, string> =>
  Object.fromEntries(readdirSync(cwd).map((name) => [name, readFileSync(path.join(cwd, name), 'latin1')]));

test('--yes writes a commented configuration and a master key, both 0600; again, it changes nothing', async () => {
  const cwd = workFolder();
  const first = await runCli(['init', '--yes'], { cwd });
  expect(first).toMatchObject({
    code: 0,
    stdout: 'wrote auth.config.json (commented), auth-server.key (0600; keep a copy)\n',
  });
  expect(first.stderr).toContain('next: ');
  const made = contents(cwd);
  expect(Object.keys(made)).toEqual(['auth-server.key', 'auth.config.json']);
  for (const name of Object.keys(made)) expect(statSync(path.join(cwd, name)).mode & 0o777).toBe(0o600);
  expect(made['auth.config.json']).toContain('// Lifetime of an access token');
  expect((await runCli(['config', 'check'], { cwd })).code).toBe(0);

  const second = await runCli(['init', '--yes'], { cwd });
  expect(second).toMatchObject({ code: 0, stdout: 'kept auth.config.json\n' });
  expect(contents(cwd)).toEqual(made);
});

test('a flag that would change an existing file is refused', async () => {
  const cwd = workFolder();
  await runCli(['init', '--yes'], { cwd });
  const made = contents(cwd);
  const { code, stderr } = await runCli(['init', '--yes', '--database', 'sqlite:other.db'], { cwd });
  expect(code).toBe(1);
  expect(stderr).toContain('auth.config.json exists, and is not overwritten.');
  expect(contents(cwd)).toEqual(made);
});

test('without a terminal and without --yes it asks nobody and writes nothing: exit 4', async () => {
  const cwd = workFolder();
  const { code, stdout, stderr } = await runCli(['init'], { cwd });
  expect({ code, stdout }).toEqual({ code: 4, stdout: '' });
  expect(stderr).toContain('--yes');
  expect(readdirSync(cwd)).toEqual([]);
});

test('it adds the first user, resource server and browser client, and shows a secret once', async () => {
  const cwd = workFolder();
  const args = ['init', '--yes', '--json', '--user', 'alice', '--password-stdin', '--resource-server', 'api'];
  const { code, stdout } = await runCli([...args, '--browser-client', 'spa', '--leeway', '5s'], {
    cwd,
    stdin: '8letters\n',
  });
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual({
    files: ['auth.config.json', 'auth-server.key'],
    user: { username: 'alice', subject: expect.stringMatching(/^[0-9a-f-]{36}$/) },
    clients: [
      { client_id: 'api', type: 'resource-server', client_secret: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/) },
      { client_id: 'spa', type: 'app', client_secret: null },
    ],
  });
  const { client_secret: secret } = JSON.parse(stdout).clients[0];
  for (const text of Object.values(contents(cwd))) expect(text).not.toContain(secret);
});

test('--leeway default leaves the browser client with what the server has', async () => {
  const cwd = workFolder();
  const { code, stdout } = await runCli(['init', '--yes', '--browser-client', 'spa', '--leeway', 'default'], { cwd });
  expect(code).toBe(0);
  expect(stdout).toContain('client spa, public, leeway as the server has it');
  const { clients } = JSON.parse((await runCli(['clients', 'list', '--json'], { cwd })).stdout);
  expect(clients).toContainEqual(expect.objectContaining({ client_id: 'spa', leeway: null }));
});

test.for<[string, string | Uint8Array]>([
  ['empty', ''],
  ['7 characters', '7letter\n'],
  ['1,025 bytes', 'x'.repeat(1_025)],
  ['a megabyte', 'x'.repeat(1_000_000)],
  ['not UTF-8', new Uint8Array([0x70, 0xff, 0xfe, 0x70, 0x70, 0x70, 0x70, 0x70, 0x70])],
])('a password that is %s is exit 2, and nothing is written', async ([, stdin]) => {
  const cwd = workFolder();
  const { code } = await runCli(['init', '--yes', '--user', 'alice', '--password-stdin'], { cwd, stdin });
  expect(code).toBe(2);
  expect(readdirSync(cwd)).toEqual([]);
});

test('with a user service it makes the secret that both need', async () => {
  const cwd = workFolder();
  const args = ['init', '--yes', '--users', 'http', '--user-service', 'https://users.example/authenticate'];
  const { code, stdout } = await runCli(args, { cwd });
  expect(code).toBe(0);
  expect(stdout).toContain('user-service.secret (0600; the user service needs it too)');
  const secret = readFileSync(path.join(cwd, 'user-service.secret'), 'utf8').trim();
  expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  expect(stdout).not.toContain(secret);
  expect((await runCli(['config', 'check'], { cwd })).code).toBe(0);
});

test.for<[string, readonly string[], number]>([
  ['a URL that is none', ['--url', 'auth.example'], 5],
  ['a database of no kind', ['--database', 'mysql://h/x'], 5],
  ['a password in an argument', ['--database', 'postgres://who:hunter2@h/x'], 2],
  ['a password in the query of an argument', ['--database', 'postgres://who@h/x?password=hunter2'], 2],
  ['a place where no users live', ['--users', 'ldap'], 2],
  ['an id that would break Basic', ['--resource-server', 'a:b'], 2],
])('%s: nothing is written, nothing is repeated', async ([, flags, exit]) => {
  const cwd = workFolder();
  const { code, stderr } = await runCli(['init', '--yes', ...flags], { cwd });
  expect(code).toBe(exit);
  expect(stderr).not.toContain('hunter2');
  expect(readdirSync(cwd)).toEqual([]);
});

test('beside a database it does not make a master key that cannot open it', async () => {
  const cwd = workFolder();
  writeFileSync(path.join(cwd, 'auth.db'), 'this is no database');
  const { code } = await runCli(['init', '--yes'], { cwd });
  expect(code).toBe(5);
  expect(readdirSync(cwd)).not.toContain('auth-server.key');
});

test.each([
  ['its leeway does not fit', 'spa', ['--leeway', '10m']],
  ['its id is that of the resource server', 'api', []],
])('no secret is made that nobody is shown: a browser client is refused, %s', async (_, browserClient, more) => {
  const cwd = workFolder();
  const args = ['init', '--yes', '--resource-server', 'api', '--browser-client', browserClient, ...more];
  expect((await runCli(args, { cwd })).code).not.toBe(0);
  const { stdout } = await runCli(['clients', 'list', '--json'], { cwd });
  expect(JSON.parse(stdout).clients.filter(({ type }: { type: string }) => type === 'resource-server')).toEqual([]);
});

test('what it says to do next can be pasted, whatever the file is called', async () => {
  const cwd = workFolder();
  const { stderr } = await runCli(['init', '--yes', '--config', 'my conf.json'], { cwd });
  expect(stderr).toMatch(/^next: .* --config 'my conf\.json' serve$/m);
});
