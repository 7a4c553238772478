/** Values of single keys: rows C2 to C7, C12 to C14 of the table of bad configurations, and what must be accepted. */
import { expect, test } from 'vitest';
import { KEYS } from '../../src/config/keys.ts';
import { complaints, faultsOf, load } from './support.ts';

const SECRET = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;

const nested = (path: string, value: unknown): object =>
  path.split('.').reduceRight<unknown>((inner, name) => ({ [name]: inner }), value) as object;

const wrong: [row: string, path: string, values: unknown[], expected: RegExp][] = [
  [
    'C3',
    'tokens.accessTokenTtl',
    ['5', '5 minutes', '-5m', '1e9d', '', 'm', '5M', '1.5h', ' 5m', 300, null],
    /must be a duration such as "90d"/,
  ],
  ['C3', 'tokens.accessTokenTtl', ['0s', '999ms', '3651d', '999999999d'], /must be from 1s to 3650d/],
  ['C3', 'tokens.familyMaxLifetime', ['0s'], /must be from 1s/],
  ['C3', 'server.requestTimeout', ['0s', '2h'], /must be from 1ms to 1h/],
  ['C4', 'listen.port', [65_536, -1, '80', 80.5, true], /listen\.port must be/],
  [
    'C5',
    'issuer',
    ['https://a/?q', 'https://a/#f', 'a.example', 'ftp://a', 'https://a ', 'https://u:p@a', 'https://', ''],
    /issuer must be an http or https URL/,
  ],
  ['C6', 'tokens.signingAlgorithm', ['none', 'HS256', 'es256', ['ES256']], /must be one of "ES256", "EdDSA", "RS256"/],
  ['C7', 'tokens.refresh.replayWindow', ['8d', '169h'], /must be from 0s to 7d/],
  ['C7', 'tokens.refresh.leeway', ['6m', '301s'], /must be from 0s to 5m/],
  ['C7', 'keys.publishAhead', ['9m', '599s'], /must be from 10m/],
  [
    'C12',
    'masterKey',
    ['short', '!'.repeat(44), `${'A'.repeat(43)}=`, Buffer.alloc(16, 7).toString('base64')],
    /masterKey must be the base64 of 32 random bytes/,
  ],
  [
    'C13',
    'server.trustedProxies',
    [['*'], ['10.0.0.0/33'], ['::/129'], ['10.0.0'], ['a.example'], ['10.0.0.1:80'], [7]],
    /server\.trustedProxies\[0\] must be an address or a block/,
  ],
  [
    'C14',
    'server.cors.origins',
    [['*'], ['https://a/path'], ['https://a/'], ['null'], ['https://A'], ['https://a:443'], ['ftp://a']],
    /server\.cors\.origins\[0\] must be an origin/,
  ],
  [
    'W6',
    'events.webhooks',
    [
      [{ url: 'file:///etc/passwd', secret: SECRET }],
      [{ url: 'https://u:p@a', secret: SECRET }],
      [{ url: 'x', secret: SECRET }],
    ],
    /events\.webhooks\[0\]\.url must be an http or https URL/,
  ],
  [
    'events',
    'events.webhooks',
    [[{ url: 'https://a', secret: 'whsec_AAAA' }], [{ url: 'https://a', secret: ['plain'] }]],
    /\.secret must be "whsec_" and the base64 of 24 to 64/,
  ],
  [
    'events',
    'events.brokers',
    [[{ url: 'kafka://a' }]],
    /events\.brokers\[0\]\.url must be a URL that begins with amqp:/,
  ],
  [
    'size',
    'server.bodyLimit',
    ['16', '16KB', 0, '17MiB', '1e3KiB', 1023],
    /server\.bodyLimit must be a size such as "16KiB"/,
  ],
  [
    'database',
    'database.url',
    ['mysql://a/b', 'auth.db', 'sqlite:', 'sqlite::memory:', 'sqlite://data/a.db', 'postgres:', ''],
    /database\.url must/,
  ],
  [
    'host',
    'listen.host',
    ['[::1]', '127.0.0.1:80', '256.1.1.1', '', 'a b'],
    /listen\.host must be an address or a host name/,
  ],
  [
    'metrics',
    'metrics.listen',
    ['9464', 'localhost', '::1:9464', 'a:65536', ':9464'],
    /metrics\.listen must be "host:port"/,
  ],
];

for (const [row, path, values, expected] of wrong) {
  test.each(values.map((value) => [value]))(
    `${row}: ${path} refuses %j, naming the key and what is expected`,
    (value) => {
      const found = faultsOf({ file: nested(path, value) });
      expect(found).toHaveLength(1);
      expect(found[0]?.message).toMatch(expected);
      expect(found[0]?.where).toMatch(/^auth\.config\.json:\d+$/);
      expect(found[0]?.remedy).not.toBe('');
    },
  );
}

test('C2: an unknown key is named with its line and the nearest known name', () => {
  const file = '{\n  "tokens": {\n    "acessTokenTtl": "5m"\n  }\n}';
  expect(faultsOf({ file })).toEqual([
    {
      where: 'auth.config.json:3',
      message: 'unknown key tokens.acessTokenTtl',
      remedy: 'did you mean tokens.accessTokenTtl?',
    },
  ]);
});

test.each([
  ['tokens.accessTokenTTL', 'tokens.accessTokenTtl'],
  ['tokns', 'tokens'],
  ['accessTokenTtl', 'tokens.accessTokenTtl'],
  ['tokens.leeway', 'tokens.refresh.leeway'],
  ['listen.prot', 'listen.port'],
])('C2: for %s it proposes %s', (path, meant) => {
  expect(faultsOf({ file: nested(path, {}) })[0]?.remedy).toBe(`did you mean ${meant}?`);
});

test('C2: an unknown key that is like none is not guessed, and __proto__ is one', () => {
  const found = faultsOf({ file: '{"frobnicate": 1, "__proto__": {"issuer": "x"}, "tokens": {"__proto__": {}}}' });
  expect(found.map(({ message }) => message)).toEqual([
    'unknown key tokens.__proto__',
    'unknown key frobnicate',
    'unknown key __proto__',
  ]);
  expect(found[1]?.remedy).toBe('docs/configuration.md lists all keys');
});

test('C2: what the JSON of a variable names is refused like what a file names', () => {
  const env = { AUTH_SERVER_TOKENS: '{"__proto__": {"audience": "x"}, "refresh.__proto__.polluted": true}' };
  expect(faultsOf({ env }).map(({ message }) => message)).toEqual([
    'unknown key tokens.refresh.__proto__',
    'unknown key tokens.__proto__',
  ]);
  expect('polluted' in {}).toBe(false);
});

test('C2: a group that is null is refused, also where a variable sets one of its keys', () => {
  const expected = ['auth.config.json:2: listen must be an object'];
  expect(complaints({ file: { listen: null } })).toEqual(expected);
  expect(complaints({ file: { listen: null }, env: { AUTH_SERVER_LISTEN_PORT: '99' } })).toEqual(expected);
});

test('C2: an unknown key in a list item is named', () => {
  const webhook = { url: 'https://a', secret: `whsec_${Buffer.alloc(32, 1).toString('base64')}`, typs: [] };
  expect(complaints({ file: { events: { webhooks: [webhook] } } })).toEqual([
    expect.stringContaining('unknown key events.webhooks[0].typs'),
  ]);
});

test('C4: port 0 is allowed', () => {
  expect(load({ file: { listen: { port: 0 } } }).config.listen.port).toBe(0);
});

test('C6: a near miss is told', () => {
  expect(faultsOf({ file: nested('tokens.signingAlgorithm', 'es256') })[0]?.remedy).toBe('did you mean "ES256"?');
});

test.each([
  ['issuer', 'https://auth.example.com/tenant'],
  ['listen.host', '::1'],
  ['listen.host', 'localhost'],
  ['server.trustedProxies', ['127.0.0.1', '10.0.0.0/8', '::1', 'fd00::/8']],
  ['server.cors.origins', ['https://app.example.com', 'http://localhost:5173', 'http://[::1]:8080']],
  ['tokens.refresh.leeway', '5m'],
  ['tokens.refresh.replayWindow', '0s'],
  ['tokens.idleTimeout', '30d'],
  ['tokens.signingAlgorithm', 'EdDSA'],
  ['database.url', 'postgresql://u@h:5432/d?sslmode=require'],
  ['database.url', "sqlite:/var/lib/auth server/it's.db"],
  ['metrics.listen', '[::1]:9464'],
  ['keys.publishAhead', '10m'],
])('%s accepts %j', (path, value) => {
  expect(load({ file: nested(path, value) }).origins.get(path)?.kind).toBe('file');
});

test('sizes are bytes, durations milliseconds, places host and port', () => {
  const { config } = load({ file: { server: { bodyLimit: '1MiB' }, metrics: { listen: '[::1]:1' } } });
  expect(config.server.bodyLimit).toBe(1_048_576);
  expect(config.metrics.listen).toEqual({ host: '::1', port: 1 });
  expect(config.tokens.refreshTokenTtl).toBe(90 * 86_400_000);
  expect(load({ file: { server: { bodyLimit: 20_000 } } }).config.server.bodyLimit).toBe(20_000);
});

test('every default is what the contract says', () => {
  expect(Object.fromEntries(KEYS.map(({ path, fallback }) => [path, fallback]))).toEqual({
    issuer: null,
    'listen.host': '127.0.0.1',
    'listen.port': 8080,
    'server.bodyLimit': '16KiB',
    'server.requestTimeout': '10s',
    'server.shutdownTimeout': '15s',
    'server.maxInFlight': 1024,
    'server.trustedProxies': [],
    'server.cors.origins': [],
    'server.insecure': false,
    'database.url': 'sqlite:auth.db',
    'database.poolSize': 10,
    masterKey: { file: 'auth-server.key' },
    'tokens.audience': 'api',
    'tokens.claims': [],
    'tokens.accessTokenTtl': '5m',
    'tokens.refreshTokenTtl': '90d',
    'tokens.familyMaxLifetime': '365d',
    'tokens.idleTimeout': null,
    'tokens.signingAlgorithm': 'ES256',
    'tokens.refresh.leeway': '0s',
    'tokens.refresh.replayWindow': '1h',
    'tokens.refresh.requireAccessToken': true,
    'keys.rotateEvery': '30d',
    'keys.publishAhead': '1d',
    'users.directory': 'local',
    'users.http.url': null,
    'users.http.statusUrl': null,
    'users.http.secret': null,
    'users.http.timeout': '3s',
    'login.maxFailuresPerUser': 10,
    'login.maxFailuresPerAddress': 100,
    'login.window': '15m',
    'events.webhooks': [],
    'events.brokers': [],
    'retention.refreshTokens': '30d',
    'retention.families': '30d',
    'retention.events': '90d',
    'metrics.listen': null,
    'log.level': 'info',
    'log.format': null,
  });
});
