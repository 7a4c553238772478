/** The command lines of the pages on deployment and of the runbooks, typed as they stand there. */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { makeProgram, type Program } from '../support/executable.ts';
import { scratchFolder } from '../support/scratch.ts';

const root = path.dirname(path.dirname(import.meta.dirname));
const BUILT = path.join(root, 'dist/auth-server');
const MARK = '<!-- test/deploy/docs.test.ts runs this -->\n```sh\n';

/** The blocks of a page that it says are run. */
function blocks(page: string): string[] {
  const [, ...parts] = readFileSync(path.join(root, 'docs', page), 'utf8').split(MARK);
  return parts.map((part) => part.slice(0, part.indexOf('```')));
}

/** In a shell that stops at the first command that fails. @returns what it printed */
function type(folder: string, block: string): string {
  const script = `set -euo pipefail\nauth-server() { '${BUILT}' "$@"; }\n${block}`;
  const { status, stdout, stderr } = spawnSync('bash', ['-c', script], {
    cwd: folder,
    env: { PATH: '/usr/bin:/bin' },
    encoding: 'utf8',
  });
  expect({ block, status, stderr: status === 0 ? '' : stderr }).toEqual({ block, status: 0, stderr: '' });
  return stdout;
}

/** With a database that a server has used. */
async function usedProgram(): Promise<Program> {
  const program = await makeProgram('sqlite');
  const server = await program.serve();
  const credentials = { username: 'alice', password: 'correct horse battery staple' };
  await program.json(['users', 'add', credentials.username, '--password-stdin'], credentials.password);
  const { status, body } = await server.post('/login', credentials);
  expect({ status, body }).toMatchObject({ status: 200 });
  await server.post('/refresh', body);
  expect((await server.post('/refresh', body)).body.reason).toBe('reused');
  await server.post('/login', credentials);
  expect(await server.stop('SIGTERM')).toBe(0);
  return program;
}

interface Keys {
  readonly keys: readonly { readonly ring: string; readonly state: string }[];
}

interface Families {
  readonly families: readonly { readonly revoke_reason: string | null }[];
}

test('deploy.md: the master key and the configuration, with the rights that a service needs', () => {
  const etc = scratchFolder('etc', os.tmpdir());
  onTestFinished(() => rmSync(etc, { recursive: true, force: true }));
  const [block = '', ...others] = blocks('deploy.md');
  expect(others).toEqual([]);
  type(
    etc,
    block
      .replaceAll('/etc/auth-server', etc)
      .replaceAll('/var/lib/auth-server', etc)
      .replaceAll('root:auth-server', `${process.getuid?.()}:${process.getgid?.()}`),
  );
  expect(statSync(path.join(etc, 'master.key')).mode & 0o777).toBe(0o440);
  expect(statSync(path.join(etc, 'auth.config.json')).mode & 0o777).toBe(0o640);
});

test('upgrade.md: what is done before a new version starts', async () => {
  const [sqlite = '', postgres = '', ...others] = blocks('upgrade.md');
  expect(others).toEqual([]);
  const used = await usedProgram();
  type(used.folder, sqlite);
  expect(statSync(path.join(used.folder, 'before-upgrade.db')).size).toBeGreaterThan(0);
  const { folder } = await makeProgram('postgres');
  type(folder, postgres);
  expect(type(folder, 'auth-server migrate status --json')).toContain('"pending":[]');
});

test('runbook-key-compromise.md: both rings', async () => {
  const program = await usedProgram();
  const [access = '', refresh = '', ...others] = blocks('runbook-key-compromise.md');
  expect(others).toEqual([]);
  const compromised = async (ring: string): Promise<number> => {
    const { keys } = await program.json<Keys>(['keys', 'list']);
    return keys.filter((key) => key.ring === ring && key.state === 'compromised').length;
  };
  type(program.folder, access);
  expect([await compromised('access'), await compromised('refresh')]).toEqual([1, 0]);
  const live = ['families', 'list', '--state', 'live'];
  expect((await program.json<Families>(live)).families.length).toBe(1);
  type(program.folder, refresh);
  expect(await compromised('refresh')).toBe(1);
  expect((await program.json<Families>(live)).families).toEqual([]);
  const ended = await program.json<Families>(['families', 'list', '--state', 'revoked']);
  expect(ended.families.map((family) => family.revoke_reason).toSorted()).toEqual(['key_compromised', 'reuse']);
});

test('runbook-reuse-alarm.md: the alarm is found', async () => {
  const program = await usedProgram();
  const [block = '', ...others] = blocks('runbook-reuse-alarm.md');
  expect(others).toEqual([]);
  expect(type(program.folder, block)).toContain('late_retry');
});

test('runbook-full-disk.md: what makes room', async () => {
  const program = await usedProgram();
  const [block = '', ...others] = blocks('runbook-full-disk.md');
  expect(others).toEqual([]);
  expect(type(program.folder, block)).toMatch(/master key/);
});
