/** Secrets by text, variable and file: rows C8, C9, C10, C12, C17. */
import { execFileSync } from 'node:child_process';
import { chownSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeConfig } from '../../src/config/load.ts';
import { complaints, faultsOf, folder, load, write } from './support.ts';

const KEY = Buffer.from(Array.from({ length: 32 }, (_, index) => index)).toString('base64');
const SECRET = `whsec_${Buffer.alloc(24, 1).toString('base64')}`;
const URL = 'postgres://auth:hunter2@db/auth';
const isRoot = process.geteuid?.() === 0;

/** A configuration whose database URL comes from the file `s` in its folder. */
const fromFile = (cwd: string): { cwd: string; file: object } => ({ cwd, file: { database: { url: { file: 's' } } } });

test('C8: a secret comes from a file of mode 0600 or 0400', () => {
  const cwd = folder();
  write(join(cwd, 's'), URL);
  expect(load(fromFile(cwd)).config.database.url.reveal()).toBe(URL);
  write(join(cwd, 's'), URL, 0o400);
  expect(load(fromFile(cwd)).config.database.url.reveal()).toBe(URL);
});

test('C8: a missing file, a directory, an empty and a huge one are refused', () => {
  const cwd = folder();
  expect(complaints(fromFile(cwd))).toEqual([
    'auth.config.json:3: database.url is to come from the file s, which does not exist',
  ]);
  mkdirSync(join(cwd, 's.d'));
  expect(complaints({ cwd, file: { database: { url: { file: 's.d' } } } })[0]).toMatch(
    /s\.d, which is not a regular file$/,
  );
  for (const empty of ['', '\n', '\r\n']) {
    write(join(cwd, 's'), empty);
    expect(complaints(fromFile(cwd))[0]).toMatch(/which is empty$/);
  }
  write(join(cwd, 's'), Buffer.alloc(10 * 1024 * 1024, 65));
  expect(complaints(fromFile(cwd))[0]).toMatch(/which is over 64 KiB$/);
});

test('C8: a pipe is refused without waiting for its writer', () => {
  const cwd = folder();
  execFileSync('sh', ['-c', 'mkfifo -m 600 s'], { cwd });
  expect(complaints(fromFile(cwd))[0]).toMatch(/not a regular file$/);
});

test('C8: an unreadable file is refused', () => {
  const cwd = folder();
  // A link to itself: not even root can open it.
  symlinkSync('s', join(cwd, 's'));
  expect(complaints(fromFile(cwd))[0]).toMatch(/cannot be read \(ELOOP\)$/);
});

test.each(['644', '640', '604', '660', '610'])('C8: a file of mode 0%s is refused', (bits) => {
  const mode = Number.parseInt(bits, 8);
  const cwd = folder();
  write(join(cwd, 's'), URL, mode);
  expect(faultsOf(fromFile(cwd))).toEqual([
    {
      where: 'auth.config.json:3',
      message: expect.stringContaining(`(mode 0${bits})`),
      remedy: 'chmod 600 s',
    },
  ]);
});

// Only root can give a file to another owner, and CI is root.
test.runIf(isRoot)(
  'C8: a file of another owner may be readable by the group, as systemd and Kubernetes mount it',
  () => {
    const cwd = folder();
    chownSync(write(join(cwd, 's'), URL, 0o440), 65_534, 0);
    expect(load(fromFile(cwd)).config.database.url.reveal()).toBe(URL);
    chownSync(write(join(cwd, 's'), URL, 0o444), 65_534, 0);
    expect(faultsOf(fromFile(cwd))).toHaveLength(1);
  },
);

test('C9: a variable that is not set, or empty, is refused', () => {
  const file = { database: { url: { env: 'X' } } };
  expect(complaints({ file })[0]).toMatch(
    /database\.url is to come from the environment variable X, which is not set$/,
  );
  expect(complaints({ file, env: { X: '' } })[0]).toMatch(/X, which is empty$/);
  const loaded = load({ file, env: { X: URL, AUTH_SERVER_MASTER_KEY: KEY } });
  expect(loaded.config.database.url.reveal()).toBe(URL);
  expect(loaded.secretVariables).toEqual(['AUTH_SERVER_MASTER_KEY', 'X']);
});

test('a variable whose JSON holds a secret is one that brings it', () => {
  const webhooks = [{ url: 'https://a', secret: SECRET }];
  const env = {
    AUTH_SERVER_EVENTS_WEBHOOKS: JSON.stringify(webhooks),
    AUTH_SERVER_USERS: JSON.stringify({ http: { secret: SECRET } }),
    AUTH_SERVER_LISTEN: '{}',
  };
  expect(load({ env }).secretVariables).toEqual(['AUTH_SERVER_EVENTS_WEBHOOKS', 'AUTH_SERVER_USERS']);
});

test.each(['\n', '\r\n', ''])('C10: one trailing line break %j of a file is not part of the secret', (end) => {
  const cwd = folder();
  write(join(cwd, 's'), `${SECRET}${end}`);
  const http = { url: 'https://a', secret: { file: 's' } };
  expect(load({ cwd, file: { users: { directory: 'http', http } } }).config.users.http?.secret.reveal()).toBe(SECRET);
  write(join(cwd, 's'), `${SECRET}\n\n`);
  expect(faultsOf({ cwd, file: { users: { directory: 'http', http } } })).toHaveLength(1);
});

test('C12: the master key is judged wherever it is known; its file is left to who opens the database', () => {
  expect(load({ file: { masterKey: KEY } }).config.masterKey).toMatchObject({ kind: 'literal' });
  expect(load({ file: { masterKey: { env: 'K' } }, env: { K: KEY } }).config.masterKey).toMatchObject({
    kind: 'env',
    name: 'K',
  });
  expect(complaints({ file: { masterKey: { env: 'K' } }, env: { K: 'short' } })[0]).toMatch(
    /must be the base64 of 32 random bytes/,
  );
  expect(load({ file: { masterKey: { file: '/none' } } }).config.masterKey).toEqual({ kind: 'file', path: '/none' });
});

test.each([{}, { env: 1 }, { env: 'A', file: 'b' }, { env: 'a b' }, { file: '' }, 7, null, ''])(
  'a secret is not %j',
  (value) => {
    expect(faultsOf({ file: { masterKey: value } }).length).toBeGreaterThan(0);
  },
);

test('a webhook has one secret or two, each from anywhere', () => {
  const cwd = folder();
  write(join(cwd, 's'), SECRET);
  const webhooks = [
    { url: 'https://a', secret: SECRET, types: ['login.failed'] },
    { url: 'http://127.0.0.1:9/hook', secret: [{ env: 'S' }, { file: 's' }] },
  ];
  const { config } = load({ cwd, file: { events: { webhooks } }, env: { S: SECRET } });
  expect(config.events.webhooks.map(({ secrets, types }) => [secrets.map((secret) => secret.reveal()), types])).toEqual(
    [
      [[SECRET], ['login.failed']],
      [[SECRET, SECRET], []],
    ],
  );
  for (const secret of [[], [SECRET, SECRET, SECRET]]) {
    expect(faultsOf({ file: { events: { webhooks: [{ url: 'https://a', secret }] } } })).toHaveLength(1);
  }
  expect(complaints({ file: { events: { webhooks: [{ url: 'https://a', secret: { env: 'NONE' } }] } } })[0]).toMatch(
    /NONE, which is not set/,
  );
});

test('C17: every secret is masked, and its origin shown', () => {
  const loaded = load({
    file: {
      masterKey: KEY,
      users: { directory: 'http', http: { url: 'https://a', secret: SECRET } },
      events: {
        webhooks: [{ url: 'https://hook', secret: [SECRET, SECRET] }],
        brokers: [{ url: 'nats://t0ken@broker' }],
      },
    },
    env: { AUTH_SERVER_DATABASE_URL: `${URL}?sslmode=require&sslpassword=hunter3` },
  });
  const rows = describeConfig(loaded);
  const text = JSON.stringify(rows);
  for (const secret of ['hunter2', 'hunter3', 't0ken', SECRET, KEY]) expect(text).not.toContain(secret);
  expect(JSON.stringify(loaded)).not.toContain('hunter2');
  const value = (path: string): unknown => rows.find((row) => row.path === path)?.value;
  expect(value('masterKey')).toBe('[secret]');
  expect(value('users.http.secret')).toBe('[secret]');
  expect(value('events.webhooks')).toEqual([{ url: 'https://hook', secrets: ['[secret]', '[secret]'], types: [] }]);
  expect(value('events.brokers')).toEqual([{ url: '[secret]', types: [], name: 'auth-events' }]);
  expect(rows.find((row) => row.path === 'database.url')).toEqual({
    path: 'database.url',
    value: 'postgres://[secret]@db/auth?[secret]',
    origin: { kind: 'environment', name: 'AUTH_SERVER_DATABASE_URL' },
  });
});

test('what is not secret is shown as people write it', () => {
  const rows = describeConfig(
    load({ file: { server: { bodyLimit: 32_768 }, metrics: { listen: '[::1]:1' }, masterKey: { file: '/k' } } }),
  );
  const value = (path: string): unknown => rows.find((row) => row.path === path)?.value;
  expect(['tokens.accessTokenTtl', 'server.bodyLimit', 'metrics.listen', 'issuer'].map(value)).toEqual([
    '5m',
    '32KiB',
    '[::1]:1',
    'http://127.0.0.1:8080',
  ]);
  expect(value('masterKey')).toEqual({ file: '/k' });
});
