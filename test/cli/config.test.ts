/** `config`: all faults at once, secrets masked, and where each value came from. Rows C2, C11, C17; ticks 7 to 9. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { runCli, startServe, workFolder } from '../support/cli.ts';

const SECRETS = {
  database: { url: 'postgres://who:hunter2@db.example/auth' },
  users: {
    directory: 'http',
    http: {
      url: 'https://users.example/authenticate',
      secret: `whsec_${Buffer.alloc(32, 'hunter2').toString('base64')}`,
    },
  },
  events: {
    webhooks: [{ url: 'https://hook.example', secret: `whsec_${Buffer.alloc(32, 'hunter3').toString('base64')}` }],
  },
};

function folderWith(config: unknown): string {
  const cwd = workFolder();
  writeFileSync(path.join(cwd, 'auth.config.json'), JSON.stringify(config, null, 2), { mode: 0o600 });
  return cwd;
}

test('config check lists every fault with its line or its variable, and what to do', async () => {
  const cwd = folderWith({ tokens: { acessTokenTtl: '5m' }, listen: { port: '80' } });
  const env = { AUTH_SERVER_TOKENS_REFRESH_TOKEN_TTL: 'abc' };
  const { code, stdout, stderr } = await runCli(['config', 'check'], { cwd, env });
  expect({ code, stdout }).toEqual({ code: 5, stdout: '' });
  expect(stderr).toContain(
    'error: auth.config.json:3: unknown key tokens.acessTokenTtl\ntry:   did you mean tokens.accessTokenTtl?',
  );
  expect(stderr).toContain('error: auth.config.json:6: listen.port');
  expect(stderr).toContain('error: AUTH_SERVER_TOKENS_REFRESH_TOKEN_TTL: tokens.refreshTokenTtl');
  expect(stderr.match(/^error: /gm)).toHaveLength(3);
  expect(stderr.match(/^try: /gm)).toHaveLength(3);
});

test('the same faults stop every other command, with exit 5', async () => {
  const cwd = folderWith({ listen: { port: '80' } });
  for (const args of [['serve'], ['migrate', 'status'], ['config', 'show']]) {
    const { code, stderr } = await runCli(args, { cwd });
    expect(code).toBe(5);
    expect(stderr).toContain('auth.config.json:3: listen.port');
  }
});

test('config check says that a changed issuer ends every session', async () => {
  const cwd = workFolder();
  const { child } = await startServe({ cwd, env: { AUTH_SERVER_ISSUER: 'https://old.example' } });
  child.kill('SIGTERM');
  const env = { AUTH_SERVER_ISSUER: 'https://new.example' };
  const { code, stderr } = await runCli(['config', 'check'], { cwd, env });
  expect(code).toBe(0);
  expect(stderr).toContain('https://old.example: serving like this ends every session');
  const same = await runCli(['config', 'check'], { cwd, env: { AUTH_SERVER_ISSUER: 'https://old.example' } });
  expect(same.stderr).toBe('');
});

test('config show masks every secret and shows its origin, for people and machines', async () => {
  const cwd = folderWith(SECRETS);
  const env = { AUTH_SERVER_MASTER_KEY: Buffer.from('hunter4-hunter4-hunter4-hunter4-').toString('base64') };
  const plain = await runCli(['config', 'show'], { cwd, env });
  const json = await runCli(['config', 'show', '--json'], { cwd, env });
  for (const { code, stdout, stderr } of [plain, json]) {
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).not.toMatch(/hunter2|aHVudGVy/);
  }
  expect(plain.stdout).toMatch(/^users\.directory\thttp\tfile: auth\.config\.json:\d+$/m);
  const { file, values } = JSON.parse(json.stdout);
  expect(file).toBe(path.join(cwd, 'auth.config.json'));
  expect(values).toContainEqual({
    key: 'masterKey',
    value: '[secret]',
    origin: 'environment',
    source: 'AUTH_SERVER_MASTER_KEY',
  });
  expect(values).toContainEqual({ key: 'listen.port', value: 8080, origin: 'default', source: null });
});

test('config schema prints a JSON Schema that names every key', async () => {
  const { code, stdout } = await runCli(['config', 'schema'], { cwd: workFolder() });
  expect(code).toBe(0);
  expect(JSON.parse(stdout).properties.tokens.properties.accessTokenTtl.default).toBe('5m');
});

test('an unknown variable is a warning on stderr, and no more', async () => {
  const { code, stdout, stderr } = await runCli(['config', 'check'], {
    cwd: workFolder(),
    env: { AUTH_SERVER_PORT: 'tcp://10.0.0.1:80' },
  });
  expect(code).toBe(0);
  expect(stdout).toMatch(/^ok/);
  expect(stderr).toMatch(/^warning: .*AUTH_SERVER_PORT/);
});
