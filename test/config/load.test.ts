/** Where values come from and which one wins; rows C1, C5, C7, C11, C15 and C16; the rules between keys. */
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ConfigurationRefusal } from '../../src/config/fault.ts';
import { variableOf } from '../../src/config/keys.ts';
import { defaultIssuer, loadConfig } from '../../src/config/load.ts';
import { checkListen } from '../../src/config/rules.ts';
import { Refusal } from '../../src/refusal.ts';
import { check, complaints, faultsOf, folder, load, write } from './support.ts';

const SECRET = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;

test('without any configuration everything has its default, and nothing warns', () => {
  const { config, origins, file, warnings } = load();
  expect(config.issuer).toBe('http://127.0.0.1:8080');
  expect(file).toBeNull();
  expect(warnings).toEqual([]);
  expect(new Set([...origins.values()].map(({ kind }) => kind))).toEqual(new Set(['default']));
  expect(config.users).toEqual({ directory: 'local', http: null });
});

test('flags beat environment beats file beats defaults, and each value knows its origin', () => {
  const { config, origins } = load({
    file: '{\n"listen": {"host": "::1", "port": 1},\n"log": {"level": "warn"}, "tokens": {"audience": "file"}}',
    env: { AUTH_SERVER_LISTEN_PORT: '2', AUTH_SERVER_LOG_LEVEL: 'debug' },
    flags: { 'listen.port': 3, issuer: undefined },
  });
  expect([config.listen.host, config.listen.port, config.log.level]).toEqual(['::1', 3, 'debug']);
  expect(origins.get('listen.host')).toEqual({ kind: 'file', name: 'auth.config.json:2' });
  expect(origins.get('listen.port')).toEqual({ kind: 'flag' });
  expect(origins.get('log.level')).toEqual({ kind: 'environment', name: 'AUTH_SERVER_LOG_LEVEL' });
  expect(origins.get('log.format')).toEqual({ kind: 'default' });
  expect(config.issuer).toBe('http://[::1]:3');
});

test('the configuration is frozen to its depth', () => {
  const { config } = load({ file: { events: { webhooks: [{ url: 'https://a', secret: SECRET }] } } });
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null || value.constructor.name === 'Secret') return;
    expect(Object.isFrozen(value)).toBe(true);
    for (const inner of Object.values(value)) visit(inner);
  };
  visit(config);
});

test('the file is looked for by --config, then AUTH_SERVER_CONFIG, then in the working directory', () => {
  const cwd = folder();
  mkdirSync(join(cwd, 'other'));
  for (const name of ['auth.config.json', 'other/b.json', 'c.json'])
    write(join(cwd, name), JSON.stringify({ tokens: { audience: name } }));
  const audience = (configFile: string | undefined, env: Record<string, string>): string =>
    load({ cwd, configFile, env }).config.tokens.audience;
  expect(audience(undefined, {})).toBe('auth.config.json');
  expect(audience(undefined, { AUTH_SERVER_CONFIG: 'other/b.json' })).toBe('other/b.json');
  expect(audience(join(cwd, 'c.json'), { AUTH_SERVER_CONFIG: 'other/b.json' })).toBe('c.json');
  expect(load({ cwd, configFile: 'c.json' }).file).toBe(join(cwd, 'c.json'));
});

test('a named file must exist, and be a file', () => {
  expect(complaints({ configFile: 'nope.json' })).toEqual(['--config: there is no file nope.json']);
  expect(complaints({ env: { AUTH_SERVER_CONFIG: 'nope.json' } })).toEqual([
    'AUTH_SERVER_CONFIG: there is no file nope.json',
  ]);
  expect(complaints({ env: { AUTH_SERVER_CONFIG: '' } })).toEqual(['AUTH_SERVER_CONFIG: is empty']);
  expect(complaints({ configFile: '/' })).toEqual(['/: is a directory']);
});

test('C1: what is not JSON is refused with line and column', () => {
  expect(complaints({ file: '{\n  "issuer" "x"\n}' })).toEqual(['auth.config.json:2:12: is not JSON: ":" is expected']);
  expect(complaints({ file: '{\n  issuer: 1 }' })[0]).toMatch(/^auth\.config\.json:2:3: is not JSON/);
  expect(complaints({ file: '' })[0]).toMatch(/^auth\.config\.json:1:1: is not JSON/);
  expect(complaints({ file: '[]' })).toEqual(['auth.config.json:1: must be a JSON object']);
});

test('C1: comments, trailing commas, a byte order mark and $schema are accepted', () => {
  const file = '\uFEFF{\n  // one\n  "$schema": "./x.json", /* two */\n  "listen": { "port": 1, },\n}';
  expect(load({ file }).config.listen.port).toBe(1);
});

test('a key that is given twice is refused', () => {
  expect(complaints({ file: '{"listen": {"port": 1,\n"port": 2}}' })).toEqual([
    'auth.config.json:2: port is given twice',
  ]);
});

test('all faults come at once, those of the file by line, with the rules between keys', () => {
  const file = '{\n"log": {"level": "loud"},\n"users": {"directory": "http"},\n"isuer": 1}';
  expect(complaints({ file, env: { AUTH_SERVER_LISTEN_PORT: 'x' }, flags: { 'listen.host': '' } })).toEqual([
    'auth.config.json:2: log.level must be one of "trace", "debug", "info", "warn", "error"',
    'auth.config.json:3: users.http.url is needed with users.directory "http"',
    'auth.config.json:3: users.http.secret is needed with users.directory "http"',
    'auth.config.json:4: unknown key isuer',
    'command line: listen.host must be an address or a host name, without brackets and port',
    'AUTH_SERVER_LISTEN_PORT: listen.port must be a whole number from 0 to 65535',
  ]);
});

test('the refusal says the first fault, its remedy and how to see the rest', () => {
  const refuse = (): unknown => load({ file: '{"tokens": {\n"accessTokenTTL": 1}, "a": 1}' });
  expect(refuse).toThrow(ConfigurationRefusal);
  try {
    refuse();
  } catch (error) {
    expect(error).toMatchObject({
      code: 'configuration_invalid',
      description: 'auth.config.json:2: unknown key tokens.accessTokenTTL',
      remedy: 'did you mean tokens.accessTokenTtl? auth-server config check lists all 2 faults',
    });
  }
});

test.each([
  ['tokens.accessTokenTtl', 'AUTH_SERVER_TOKENS_ACCESS_TOKEN_TTL'],
  ['database.url', 'AUTH_SERVER_DATABASE_URL'],
  ['users.http.statusUrl', 'AUTH_SERVER_USERS_HTTP_STATUS_URL'],
  ['masterKey', 'AUTH_SERVER_MASTER_KEY'],
])('the variable of %s is %s', (path, variable) => {
  expect(variableOf(path)).toBe(variable);
});

test('variables are read by the kind of their key; lists and objects are JSON', () => {
  const { config } = load({
    env: {
      AUTH_SERVER_LISTEN_PORT: '81',
      AUTH_SERVER_SERVER_INSECURE: 'true',
      AUTH_SERVER_SERVER_BODY_LIMIT: '20000',
      AUTH_SERVER_SERVER_TRUSTED_PROXIES: '["10.0.0.0/8"]',
      AUTH_SERVER_TOKENS_IDLE_TIMEOUT: 'null',
      AUTH_SERVER_TOKENS_AUDIENCE: '12',
      AUTH_SERVER_MASTER_KEY: '{"file": "/k"}',
      AUTH_SERVER_LOGIN: '{"window": "1m", "maxFailuresPerUser": 3}',
      AUTH_SERVER_LOGIN_MAX_FAILURES_PER_USER: '4',
    },
  });
  expect(config.listen.port).toBe(81);
  expect(config.server).toMatchObject({ insecure: true, bodyLimit: 20_000, trustedProxies: ['10.0.0.0/8'] });
  expect(config.tokens).toMatchObject({ idleTimeout: null, audience: '12' });
  expect(config.masterKey).toEqual({ kind: 'file', path: '/k' });
  expect(config.login).toMatchObject({ window: 60_000, maxFailuresPerUser: 4 });
});

test('C11: a variable with a wrong value is refused by its name', () => {
  expect(complaints({ env: { AUTH_SERVER_TOKENS_ACCESS_TOKEN_TTL: 'abc' } })).toEqual([
    'AUTH_SERVER_TOKENS_ACCESS_TOKEN_TTL: tokens.accessTokenTtl must be a duration such as "90d", "5m", "10s" or "250ms"',
  ]);
  expect(complaints({ env: { AUTH_SERVER_SERVER_TRUSTED_PROXIES: '10.0.0.1', AUTH_SERVER_LOG: 'x' } })).toEqual([
    'AUTH_SERVER_LOG: log must be a JSON object',
    'AUTH_SERVER_SERVER_TRUSTED_PROXIES: server.trustedProxies must be JSON',
  ]);
  expect(complaints({ env: { AUTH_SERVER_LOG: '{"levl": "info"}' } })).toEqual([
    'AUTH_SERVER_LOG: unknown key log.levl',
  ]);
  expect(faultsOf({ env: { AUTH_SERVER_LOG_LEVEL: '' } })).toHaveLength(1);
});

test('C11: an unknown variable is a warning, with the name that was meant', () => {
  const env = {
    AUTH_SERVER_PORT: 'tcp://10.0.0.1:80',
    AUTH_SERVER_ISUER: 'hidden',
    OTHER: 'x',
    AUTH_SERVER_CONFIG: undefined,
  };
  const { warnings } = load({ env });
  expect(warnings).toEqual([
    'unknown variable AUTH_SERVER_ISUER; did you mean AUTH_SERVER_ISSUER?',
    'unknown variables, ignored (a container platform may have made them): AUTH_SERVER_PORT',
  ]);
});

test('C5: beyond loopback a server needs an https issuer, or says that it is insecure', () => {
  const config = (file: object): Parameters<typeof checkListen>[0] => load({ file }).config;
  const wide = { listen: { host: '0.0.0.0' } };
  expect(() => checkListen(config(wide))).toThrow(Refusal);
  expect(() => checkListen(config({ listen: { host: '::' }, issuer: 'http://auth.example.com' }))).toThrow(
    /beyond loopback/,
  );
  for (const file of [
    {},
    { listen: { host: '127.8.0.1' } },
    { listen: { host: '::1' } },
    { listen: { host: '::ffff:127.0.0.1' } },
    { listen: { host: 'localhost' } },
    { ...wide, issuer: 'https://auth.example.com' },
    { ...wide, server: { insecure: true } },
  ]) {
    expect(() => checkListen(config(file))).not.toThrow();
  }
});

test('C5: config check tells it too, though the configuration loads', () => {
  const report = check({ file: { listen: { host: '0.0.0.0' } } });
  expect(report.faults).toEqual([expect.objectContaining({ where: 'auth.config.json:3' })]);
  expect(report.loaded?.config.listen.host).toBe('0.0.0.0');
});

test('C7: an access token lives at most as long as a refresh token', () => {
  expect(complaints({ file: { tokens: { accessTokenTtl: '2h', refreshTokenTtl: '1h' } } })).toEqual([
    'auth.config.json:3: tokens.accessTokenTtl must be at most tokens.refreshTokenTtl, 1h',
  ]);
  expect(complaints({ env: { AUTH_SERVER_TOKENS_REFRESH_TOKEN_TTL: '1m' } })[0]).toMatch(
    /^AUTH_SERVER_TOKENS_REFRESH_TOKEN_TTL: /,
  );
});

test('the directory http needs url and secret, and statusUrl for claims', () => {
  const http = { url: 'https://users.example.com/login', secret: SECRET };
  expect(complaints({ file: { users: { directory: 'http', http }, tokens: { claims: ['role'] } } })[0]).toMatch(
    /tokens\.claims with users\.directory "http" needs users\.http\.statusUrl/,
  );
  const { config } = load({ file: { users: { directory: 'http', http } } });
  expect(config.users.http).toMatchObject({ url: http.url, statusUrl: null, timeout: 3_000 });
  expect(config.users.http?.secret.reveal()).toBe(SECRET);
  expect(load({ file: { tokens: { claims: ['role'] } } }).config.tokens.claims).toEqual(['role']);
});

test('what hardly works as meant is a warning', () => {
  const file = { keys: { rotateEvery: '1h' }, server: { trustedProxies: ['0.0.0.0/0'] } };
  expect(load({ file }).warnings).toHaveLength(2);
});

const password = { database: { url: 'postgres://auth:hunter2@db/auth' } };

test.each(['666', '602', '620'])(
  'C15: a file of mode 0%s that holds a secret is refused, another is a warning',
  (bits) => {
    const mode = Number.parseInt(bits, 8);
    const cwd = folder();
    const at = join(cwd, 'auth.config.json');
    write(at, JSON.stringify(password), mode);
    expect(complaints({ cwd })).toEqual(['auth.config.json: can be changed by others, and holds a secret']);
    write(at, JSON.stringify({ database: { url: 'postgres://auth@db/auth' }, masterKey: { file: 'k' } }), mode);
    expect(load({ cwd }).warnings).toEqual(['auth.config.json can be changed by others: chmod go-w auth.config.json']);
    chmodSync(at, 0o644);
    expect(load({ cwd }).warnings).toEqual([]);
  },
);

test('C16: no message repeats a value, whatever is wrong with it', () => {
  const secret = 'hunter2';
  for (const path of ['database', 'masterKey', 'issuer', 'users', 'log', 'tokens', 'events', 'server']) {
    for (const value of [
      secret,
      [secret],
      { url: secret, secret, level: secret, http: { secret, url: secret }, webhooks: [{ url: secret, secret }] },
    ]) {
      const report = check({ file: { [path]: value } });
      expect(JSON.stringify(report)).not.toContain(secret);
      expect(report.faults.length).toBeGreaterThan(0);
    }
  }
  expect(
    JSON.stringify(
      faultsOf({ env: { AUTH_SERVER_DATABASE_URL: `pg://u:${secret}@h/d`, AUTH_SERVER_EVENTS_BROKERS: secret } }),
    ),
  ).not.toContain(secret);
});

test('relative paths begin at the working directory', () => {
  const cwd = folder();
  const { config } = load({ cwd });
  expect(config.masterKey).toEqual({ kind: 'file', path: join(cwd, 'auth-server.key') });
  expect(config.database.url.reveal()).toBe(`sqlite:${join(cwd, 'auth.db')}`);
  const here = loadConfig({ flags: {}, env: {}, cwd: process.cwd() }).config;
  expect(here.masterKey).toEqual({ kind: 'file', path: 'auth-server.key' });
  expect(here.database.url.reveal()).toBe('sqlite:auth.db');
});

test('the default issuer puts IPv6 in brackets', () => {
  expect(defaultIssuer('::1', 8080)).toBe('http://[::1]:8080');
  expect(defaultIssuer('localhost', 1)).toBe('http://localhost:1');
});
