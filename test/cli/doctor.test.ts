/** `auth-server doctor` as a process: what is broken becomes a finding, and the next check goes on (contract §7, §12). */
import { chmodSync, closeSync, openSync, readdirSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { checkFiles } from '../../cli/machine.ts';
import { loadConfig } from '../../src/config/load.ts';
import { Secret } from '../../src/domain/secret.ts';
import { addClient } from '../../src/operations/clients.ts';
import { keepIssuer } from '../../src/operations/issuer.ts';
import { addUser } from '../../src/operations/users.ts';
import { runCli, workFolder } from '../support/cli.ts';
import { makeCliDatabase } from '../support/cli-database.ts';

interface Finding {
  readonly name: string;
  readonly status: 'ok' | 'warn' | 'fail';
  readonly message: string;
  readonly remedy: string | null;
}

interface Report {
  readonly ok: boolean;
  readonly checks: readonly Finding[];
}

async function doctor(cwd: string): Promise<Report & { code: number | null }> {
  const { code, stdout } = await runCli(['doctor', '--json'], { cwd });
  const report: Report = JSON.parse(stdout);
  // A failure is told by the exit code, and what is not well has a remedy.
  expect(code).toBe(report.ok ? 0 : 1);
  expect(report.ok).toBe(report.checks.every(({ status }) => status !== 'fail'));
  for (const { status, remedy } of report.checks) expect(remedy === null).toBe(status === 'ok');
  return { ...report, code };
}

const find = ({ checks }: Report, name: string): Finding | undefined => checks.find((check) => check.name === name);
/** Without the worker: no test here starts one. */
const notOk = ({ checks }: Report): string[] =>
  checks.filter(({ name, status }) => status !== 'ok' && name !== 'worker').map(({ name }) => name);

async function makeSound() {
  const cli = await makeCliDatabase();
  await cli.inside(async (app) => {
    await keepIssuer(app);
    await addUser(app, { name: 'alice', password: new Secret('correct horse') });
    await addClient(app, { id: 'api', type: 'resource-server', isPublic: false, audiences: [], policy: {} });
  });
  return cli;
}

test('a sound installation has nothing but ok, and nothing is changed by looking', async () => {
  const cli = await makeSound();
  const before = cli.hash();
  const report = await doctor(cli.folder);
  expect(notOk(report)).toEqual([]);
  expect(find(report, 'master key')?.message).toContain('opens 4 of 4 keys');
  expect(cli.hash()).toBe(before);
  const { stdout } = await cli.run(['doctor']);
  expect(stdout.trimEnd().split('\n').at(-1)).toMatch(/^\d+ ok, \d warnings?, 0 failures$/);
});

test('a young installation is warned of what it lacks, and that is no failure', async () => {
  const cli = await makeCliDatabase();
  const report = await doctor(cli.folder);
  expect(notOk(report)).toEqual(['users', 'clients']);
  expect(report.ok).toBe(true);
});

test('all faults of a configuration are findings', async () => {
  const folder = workFolder();
  writeFileSync(path.join(folder, 'auth.config.json'), '{"listn": 1, "tokens": {"accessTokenTTL": "5m"}}');
  const report = await doctor(folder);
  const faults = report.checks.filter(({ name }) => name === 'configuration');
  expect(faults.map(({ status }) => status)).toEqual(['fail', 'fail']);
  const remedies = faults.map(({ remedy }) => remedy).join(' ');
  expect(remedies).toContain('listen');
  expect(remedies).toContain('tokens.accessTokenTtl');
});

test('no database, and one that is none, are findings; no file is made', async () => {
  const folder = workFolder();
  expect(find(await doctor(folder), 'database')).toMatchObject({ status: 'fail' });
  expect(readdirSync(folder)).toEqual([]);
  writeFileSync(
    path.join(folder, 'auth.db'),
    'this is no database, but a text of more than a hundred bytes '.repeat(9),
    { mode: 0o600 },
  );
  expect(find(await doctor(folder), 'database')).toMatchObject({
    status: 'fail',
    message: expect.stringContaining('NOTADB'),
  });
});

test('a folder that is not there is a finding, and so is one that may not be looked into', async () => {
  const cwd = workFolder();
  const file = { database: { url: 'sqlite:nowhere/auth.db' } };
  writeFileSync(path.join(cwd, 'auth.config.json'), JSON.stringify(file), { mode: 0o600 });
  const report = await doctor(cwd);
  expect(find(report, 'database folder')).toMatchObject({ status: 'fail', message: 'there is no folder nowhere' });
  expect(notOk(report)).toEqual(['database folder', 'database']);

  // A name that is longer than any can be: like a folder of somebody else, it cannot be asked about.
  const { config } = loadConfig({ flags: { 'database.url': `sqlite:${'x'.repeat(300)}` }, env: {}, cwd });
  expect(checkFiles(config)).toMatchObject([{ status: 'fail', message: 'they cannot be looked at (ENAMETOOLONG)' }]);
});

test('another master key, and none, fail by name, and the checks after it go on', async () => {
  const cli = await makeSound();
  const file = path.join(cli.folder, 'auth-server.key');
  writeFileSync(file, `${Buffer.from(Array.from({ length: 32 }, (_, index) => index)).toString('base64')}\n`, {
    mode: 0o600,
  });
  const other = await doctor(cli.folder);
  expect(notOk(other)).toEqual(['master key']);
  expect(find(other, 'clients')).toBeDefined();
  rmSync(file);
  expect(notOk(await doctor(cli.folder))).toEqual(['master key']);
});

test('files that others can read or replace are findings, with the command that closes them', async () => {
  const cli = await makeSound();
  chmodSync(path.join(cli.folder, 'auth.db'), 0o644);
  chmodSync(path.join(cli.folder, 'auth-server.key'), 0o640);
  chmodSync(cli.folder, 0o777);
  const report = await doctor(cli.folder);
  expect(find(report, 'database file')).toMatchObject({ status: 'fail', remedy: 'chmod 600 auth.db' });
  expect(find(report, 'master key file')).toMatchObject({ status: 'fail', remedy: 'chmod 600 auth-server.key' });
  expect(find(report, 'database folder')).toMatchObject({ status: 'warn' });
  expect(find(report, 'master key')).toMatchObject({ status: 'fail' });
});

test('an issuer that is not the one of the sessions is a failure; http beyond this machine is a warning', async () => {
  const cli = await makeSound();
  writeFileSync(path.join(cli.folder, 'auth.config.json'), '{"issuer": "http://auth.example"}');
  const report = await doctor(cli.folder);
  expect(find(report, 'issuer')).toMatchObject({ status: 'warn' });
  expect(find(report, 'stored issuer')).toMatchObject({
    status: 'fail',
    message: expect.stringContaining('http://127.0.0.1:8080'),
  });
  // Nobody configured this one: it follows from a flag that the server was perhaps started with.
  writeFileSync(path.join(cli.folder, 'auth.config.json'), '{"listen": {"port": 9000}}');
  expect(find(await doctor(cli.folder), 'stored issuer')).toMatchObject({ status: 'warn' });
});

test('a damaged database is told as damaged', async () => {
  const cli = await makeSound();
  const file = path.join(cli.folder, 'auth.db');
  const handle = openSync(file, 'r+');
  writeSync(handle, Buffer.alloc(4 * 4_096, 0x5a), 0, 4 * 4_096, 6 * 4_096);
  closeSync(handle);
  expect(find(await doctor(cli.folder), 'database')).toMatchObject({
    status: 'fail',
    message: expect.stringContaining('damaged'),
  });
});

test('Q3: a log that was taken away while stopped is told, and so is what a log is', async () => {
  const cli = await makeSound();
  const file = path.join(cli.folder, 'auth.db');
  writeFileSync(`${file}-wal`, 'commits', { mode: 0o600 });
  const { config } = loadConfig({ flags: { 'database.url': `sqlite:${file}` }, env: {}, cwd: cli.folder });
  const told = (): unknown => checkFiles(config).find(({ name }) => name === 'write-ahead log');
  expect(told()).toMatchObject({ status: 'ok', message: expect.stringContaining('never the file alone') });
  // As a killed server leaves them, but for the one that somebody deleted.
  rmSync(`${file}-wal`);
  writeFileSync(`${file}-shm`, Buffer.alloc(32_768), { mode: 0o600 });
  expect(told()).toMatchObject({ status: 'warn', message: expect.stringContaining('the last commits may be lost') });
  expect(find(await doctor(cli.folder), 'write-ahead log')).toMatchObject({ status: 'warn' });
  // At its end the command has put the database in order, as the next start would.
  expect(find(await doctor(cli.folder), 'write-ahead log')).toBeUndefined();
});
