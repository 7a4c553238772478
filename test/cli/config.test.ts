/** `config`: all faults at once, secrets masked, and where each value came from. Rows C2, C11, C17; ticks 7 to 9. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { DEVIATIONS } from '../../src/config/deviations.ts';
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
  expect(plain.stdout).toMatch(/^users\.directory\thttp\tfile: auth\.config\.json:\d+\t$/m);
  const { file, values } = JSON.parse(json.stdout);
  expect(file).toBe(path.join(cwd, 'auth.config.json'));
  expect(values).toContainEqual({
    key: 'masterKey',
    value: '[secret]',
    origin: 'environment',
    source: 'AUTH_SERVER_MASTER_KEY',
    deviates: null,
  });
  expect(values).toContainEqual({ key: 'listen.port', value: 8080, origin: 'default', source: null, deviates: null });
});

const deviating = async (cwd: string): Promise<Record<string, string>> => {
  const { stdout } = await runCli(['config', 'show', '--json'], { cwd });
  const { values }: { values: { key: string; deviates: string | null }[] } = JSON.parse(stdout);
  return Object.fromEntries(values.flatMap(({ key, deviates }) => (deviates === null ? [] : [[key, deviates]])));
};

test('D15: config show marks what is beyond a safe bound, of the defaults the three limits of a session', async () => {
  const found = await deviating(workFolder());
  expect(Object.keys(found)).toEqual(['tokens.refreshTokenTtl', 'tokens.familyMaxLifetime', 'tokens.idleTimeout']);
  expect(found['tokens.familyMaxLifetime']).toMatch(/^at most 30d is safe: .*NIST SP 800-63B/);
  const plain = await runCli(['config', 'show'], { cwd: workFolder() });
  expect(plain.stdout).toMatch(/^tokens\.familyMaxLifetime\t365d\tdefault\tat most 30d is safe: /m);
  expect(plain.stdout).toMatch(/^tokens\.accessTokenTtl\t5m\tdefault\t$/m);
});

test('D15: every switch turned the unsafe way is marked, and a strict configuration has no mark', async () => {
  const strict = { refreshTokenTtl: '30d', familyMaxLifetime: '30d', idleTimeout: '7d' };
  expect(await deviating(folderWith({ tokens: strict }))).toEqual({});
  const loose = folderWith({
    issuer: 'http://auth.example',
    server: { insecure: true },
    tokens: {
      ...strict,
      accessTokenTtl: '16m',
      refresh: { leeway: '1s', replayWindow: '2h', requireAccessToken: false },
    },
    keys: { rotateEvery: '31d' },
    login: { maxFailuresPerUser: 11, maxFailuresPerAddress: 101, window: '14m' },
  });
  expect(Object.keys(await deviating(loose))).toEqual(
    DEVIATIONS.map(({ path }) => path).filter((path) => !Object.hasOwn(strict, path.replace('tokens.', ''))),
  );
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
