/** `serve` as a process: what it makes, what it says off a terminal, how it stops, and what stops its start. */
import { once } from 'node:events';
import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import path from 'node:path';
import { expect, test } from 'vitest';
import { runCli, startServe, workFolder } from '../support/cli.ts';
import { until } from '../support/until.ts';

test('with no configuration it makes a database and a master key, private whatever the umask, and listens', async () => {
  const cwd = workFolder();
  const { url, database, schema, stdout, stderr } = await startServe({ cwd });
  expect({ database, schema: schema > 0 }).toEqual({ database: 'sqlite:auth.db', schema: true });
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
  expect(stdout()).toBe('');
  for (const line of stderr().trim().split('\n')) expect(() => JSON.parse(line)).not.toThrow();
  const modes = readdirSync(cwd).map((name) => (statSync(path.join(cwd, name)).mode & 0o777).toString(8));
  expect(new Set(modes)).toEqual(new Set(['600']));
  expect(readdirSync(cwd)).toEqual(expect.arrayContaining(['auth-server.key', 'auth.db']));
});

test.for(['SIGINT', 'SIGTERM'] as const)('%s stops it with exit 0, and it says so', async (signal) => {
  const { child, stderr } = await startServe({ cwd: workFolder() });
  child.kill(signal);
  await once(child, 'close');
  expect(child.exitCode).toBe(0);
  const messages = stderr()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).message);
  expect(messages.slice(-2)).toEqual(['stopping', 'stopped']);
});

test('a second Ctrl-C stops it at once, with exit 130', async () => {
  const { child, url, stderr } = await startServe({ cwd: workFolder() });
  // A request whose body never comes keeps the server waiting; it has arrived when the server asks for the body.
  const slow = request(`${url}/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'content-length': '100', expect: '100-continue' },
  });
  slow.on('error', () => undefined).flushHeaders();
  await once(slow, 'continue');
  child.kill('SIGINT');
  await until(() => stderr().includes('"stopping"'), 'the stop begins');
  expect(child.exitCode).toBeNull();
  child.kill('SIGINT');
  await once(child, 'close');
  expect(child.exitCode).toBe(130);
  expect(stderr()).toContain('interrupted');
});

test('a port in use is exit 5, and names a way out; nothing is made', async () => {
  const first = await startServe({ cwd: workFolder() });
  const { port } = new URL(first.url);
  const cwd = workFolder();
  const { code, stdout, stderr } = await runCli(['serve', '--port', port], { cwd });
  expect({ code, stdout }).toEqual({ code: 5, stdout: '' });
  expect(stderr).toBe(
    `error: 127.0.0.1:${port} is in use by another process.\n` +
      `try:   auth-server serve --port ${Number(port) + 1}, or find it: ss -ltnp 'sport = :${port}'\n`,
  );
  expect(readdirSync(cwd)).toEqual([]);
});

test('the port of the metrics in use is exit 5 as well, and nothing is made', async () => {
  const first = await startServe({ cwd: workFolder() });
  const { port } = new URL(first.url);
  const cwd = workFolder();
  const env = { AUTH_SERVER_METRICS_LISTEN: `127.0.0.1:${port}` };
  const { code, stdout, stderr } = await runCli(['serve', '--port', '0'], { cwd, env });
  expect({ code, stdout }).toEqual({ code: 5, stdout: '' });
  expect(stderr).toBe(
    `error: 127.0.0.1:${port} is in use by another process.\n` +
      `try:   name another port in metrics.listen, or find it: ss -ltnp 'sport = :${port}'\n`,
  );
  expect(readdirSync(cwd)).toEqual([]);
});

test('beyond loopback without https it does not start', async () => {
  const cwd = workFolder();
  const { code, stderr } = await runCli(['serve', '--host', '0.0.0.0', '--port', '0'], { cwd });
  expect(code).toBe(5);
  expect(stderr).toContain('server.insecure');
  expect(readdirSync(cwd)).toEqual([]);
});

test('a master key that is missing beside its database is not made anew', async () => {
  const cwd = workFolder();
  const { child } = await startServe({ cwd });
  child.kill('SIGTERM');
  await once(child, 'close');
  rmSync(path.join(cwd, 'auth-server.key'));
  const missing = await runCli(['serve', '--port', '0'], { cwd });
  expect(missing.code).toBe(5);
  expect(missing.stderr).toMatch(/auth\.db exists, its master key auth-server\.key does not\.\ntry: {3}put it back/);
  writeFileSync(path.join(cwd, 'auth-server.key'), `${Buffer.alloc(32, 'other').toString('base64')}\n`, {
    mode: 0o600,
  });
  expect((await runCli(['serve', '--port', '0'], { cwd })).code).toBe(5);
});

test('a secret from the environment is in no output and no child of the process', async () => {
  const key = Buffer.from('0123456789abcdef0123456789abcdef').toString('base64');
  const { stderr, url } = await startServe({ cwd: workFolder(), env: { AUTH_SERVER_MASTER_KEY: key } });
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
  expect(stderr()).not.toContain(key);
});
