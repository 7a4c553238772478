/** What makes the program say as much as it can: every endpoint, every command, and failures of each kind (security I29). */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import BetterSqlite3 from 'better-sqlite3';
import pg from 'pg';
import { expect } from 'vitest';
import type { DatabaseKind } from '../support/databases.ts';
import { basicOf } from '../support/test-server.ts';
import { MARKED } from './marked.ts';
import { ask, configure, type Ground, run, type Sent } from './secrets-ground.ts';

/** Every operation of the document, granted and refused, with secrets where they belong and where they do not. */
export async function driveEndpoints(
  ground: Ground,
  base: string,
  secrets: Readonly<Record<'api' | 'app' | 'ops', string>>,
): Promise<void> {
  const at = (what: `${'GET' | 'POST'} ${string}`, sent?: Sent) => ask(ground, base, what, sent);
  const [api, app, ops] = [basicOf('api', secrets.api), basicOf('app', secrets.app), basicOf('ops', secrets.ops)];
  const login = { username: 'alice', password: MARKED.password };
  const requestKey = { 'idempotency-key': MARKED.requestKey };

  const { body: pair } = await at('POST /login', { body: { ...login, device: 'phone' } });
  const { body: owned } = await at('POST /login', { body: { ...login, client_id: 'app' }, headers: app });
  for (const body of [
    { ...login, password: MARKED.wrongPassword },
    { username: MARKED.mistypedName, password: MARKED.wrongPassword },
    { username: [MARKED.mistypedName], password: MARKED.password },
    { username: 'alice', password: { is: MARKED.password } },
    { username: 'x'.repeat(300), password: MARKED.password },
    { ...login, client_id: 'app' },
    { ...login, client_id: MARKED.misplaced },
    { ...login, filler: 'x'.repeat(20_000) },
    `{"username":"alice","password":"${MARKED.password}"`,
  ]) {
    await at('POST /login', { body });
  }
  const { body: next } = await at('POST /refresh', { body: pair, headers: requestKey });
  await at('POST /refresh', { body: pair, headers: requestKey });
  await at('POST /refresh', { body: { ...next, access_token: MARKED.misplaced } });
  await at('POST /refresh', { body: { ...next, refresh_token: [next.refresh_token] } });
  await at('POST /refresh', {
    body: next,
    headers: { 'idempotency-key': `${MARKED.requestKey} ${'x'.repeat(200)}` },
  });

  await at('POST /sessions', { body: next });
  await at('POST /sessions', { body: { refresh_token: secrets.api } });
  await at('POST /verify', { body: { token: next.access_token }, headers: api });
  await at('POST /verify', {
    body: { token: next.refresh_token },
    headers: { authorization: `Bearer ${secrets.app}` },
  });
  await at(`POST /verify?token=${next.access_token}`, { body: { token: MARKED.misplaced }, headers: api });
  await at(`POST /verify?token=${MARKED.query}`, { body: { token: { is: next.access_token } }, headers: api });
  const proxy = { 'x-auth-server-client': `api:${secrets.api}` };
  await at('GET /forward-auth', { headers: { ...proxy, authorization: `Bearer ${next.access_token}` } });
  await at('GET /forward-auth', { headers: { ...proxy, authorization: `Bearer ${next.refresh_token}` } });
  await at(`GET /forward-auth/${MARKED.query}`, {
    headers: { authorization: `Bearer ${next.access_token}`, 'x-auth-server-client': `api:${MARKED.misplaced}` },
  });
  await at('POST /oauth/introspect', { form: { token: next.access_token ?? '' }, headers: api });
  await at('POST /oauth/introspect', {
    form: { token: next.access_token ?? '', client_id: 'api', client_secret: MARKED.misplaced },
  });
  await at('GET /revocations', { headers: api });
  await at(`GET /revocations?after=${MARKED.query}`, { headers: api });
  await at(`GET /revocations?wait=${MARKED.query}`, { headers: { authorization: `Bearer ${next.access_token}` } });
  const grant = { grant_type: 'refresh_token', refresh_token: owned.refresh_token ?? '' };
  const { body: turned } = await at('POST /oauth/token', { form: grant, headers: app });
  await at('POST /oauth/token', { form: { ...grant, client_id: 'app', client_secret: secrets.api } });
  await at('POST /oauth/token', {
    form: { ...grant, password: MARKED.password, grant_type: MARKED.misplaced },
    headers: app,
  });
  await at('POST /oauth/revoke', { form: { token: turned.access_token ?? '' }, headers: app });
  await at('POST /oauth/revoke', { form: { token: next.refresh_token ?? '' }, headers: app });

  for (const to of ['families', `families/${pair.session_id}`, 'keys', 'events']) {
    await at(`GET /admin/v1/${to}`, { headers: ops });
    await at(`GET /admin/v1/${to}`, { headers: { authorization: `Bearer ${next.access_token}` } });
  }
  await at(`GET /admin/v1/families?cursor=${MARKED.query}`, { headers: ops });
  await at('POST /admin/v1/keys/rotate', { body: { ring: 'refresh' }, headers: ops });
  await at('POST /admin/v1/keys/rotate', { body: { ring: MARKED.misplaced }, headers: ops });
  await at('POST /admin/v1/global-token-revocation', {
    body: { sub_id: { format: 'opaque', id: 'nobody' } },
    headers: ops,
  });
  await at('POST /admin/v1/global-token-revocation', {
    body: { sub_id: { format: MARKED.misplaced, id: 'x' } },
    headers: ops,
  });
  await at('POST /admin/v1/revocations', { body: { subject: 'nobody' }, headers: ops });
  await at('POST /admin/v1/revocations', { body: { family: next.refresh_token }, headers: ops });
  // The first refresh token is spent: its session ends, and the event goes out.
  await at('POST /refresh', { body: { ...pair, refresh_token: pair.refresh_token } });
  await at('POST /logout', { body: { refresh_token: next.refresh_token } });
  await at('POST /logout', { body: { refresh_token: next.access_token } });
  for (const to of [
    '/.well-known/jwks.json',
    '/.well-known/oauth-authorization-server',
    '/openapi.json',
    '/healthz',
    '/readyz',
  ]) {
    await at(`GET ${to}`);
  }
}

/** Every command that there is, as a person and as a machine would run it, and as somebody who errs. */
export async function driveCommands(ground: Ground, sid: string, kind: DatabaseKind): Promise<void> {
  const commands: readonly (readonly [args: readonly string[], input?: string])[] = [
    [['users', 'list']],
    [['users', 'show', 'alice', '--json']],
    [['users', 'passwd', 'alice', '--password-stdin', '--keep-sessions'], `${MARKED.newPassword}\n`],
    [['users', 'add', 'bob', '--password-stdin'], MARKED.password.slice(0, 5)],
    [['users', 'add', 'bob', `--password=${MARKED.misplaced}`]],
    [['users', 'disable', 'alice', '--yes']],
    [['users', 'enable', 'alice', '--json']],
    [['users', 'remove', 'alice', '--dry-run']],
    [['clients', 'list', '--json']],
    [['clients', 'set', 'app', '--leeway', '10s']],
    [['clients', 'remove', 'app', '--dry-run', '--json']],
    [['families', 'list', '--json']],
    [['families', 'show', sid, '--all']],
    [['revoke', '--all', '--dry-run', '--json']],
    [['events', 'list', '--json']],
    [['events', 'list']],
    [['events', 'retry']],
    [['keys', 'list', '--json']],
    [['keys', 'rotate', '--yes']],
    [['keys', 'rewrap', '--new-key', 'new.key', '--dry-run']],
    [['keys', 'reset', '--lost-master-key', '--yes']],
    [['migrate', 'status', '--json']],
    [['migrate', 'up']],
    [['config', 'check']],
    [['config', 'show']],
    [['config', 'show', '--json']],
    [['config', 'schema']],
    [['doctor', '--json']],
    [['doctor']],
    [['purge']],
    [['backup', 'copy.db']],
    [['restore', 'copy.db', '--dry-run']],
    [['init', '--yes']],
    [['token', 'inspect'], MARKED.misplaced],
    [['token', 'inspect', MARKED.misplaced]],
    [['serve', '--port', '0', '--config', 'nowhere.json']],
  ];
  for (const [args, input] of commands) {
    const { code, stderr } = await run(ground, args, input);
    expect([0, 1, 2, 3, 4, 5], `${args.join(' ')}: ${stderr}`).toContain(code);
    expect(stderr).not.toContain('this is a bug');
  }
  if (kind === 'sqlite') ground.places.look('the backup', readFileSync(path.join(ground.folder, 'copy.db'), 'latin1'));
}

/** Starts that fail, each about a secret. */
export async function driveFaults(ground: Ground): Promise<void> {
  const faults: Readonly<Record<string, object>> = {
    'short-key.json': { masterKey: MARKED.misplaced },
    'bad-webhook.json': { events: { webhooks: [{ url: 'https://hook.example', secret: MARKED.misplaced }] } },
    'number.json': { masterKey: { file: [MARKED.misplaced] } },
    'unknown.json': { tokens: { acessTokenTtl: MARKED.misplaced } },
    'away.json': {
      database: { url: `postgres://who:${MARKED.databasePassword}@127.0.0.1:1/x?password=${MARKED.databasePassword}` },
    },
    'no-url.json': { database: { url: `mysql://who:${MARKED.databasePassword}@127.0.0.1/x` } },
    'bad-broker.json': { events: { brokers: [{ url: `ftp://who:${MARKED.brokerPassword}@127.0.0.1:1` }] } },
    'other-key.json': { masterKey: { file: 'other.key' } },
  };
  writeFileSync(path.join(ground.folder, 'other.key'), `${MARKED.otherMasterKey}\n`, { mode: 0o600 });
  for (const [name, more] of Object.entries(faults)) {
    configure(ground, name, more);
    for (const args of [['keys', 'rotate', '--yes', '--json'], ['doctor']]) {
      const { code, stderr } = await run(ground, [...args, '--config', name]);
      expect([1, 5], `${name}: ${args.join(' ')}: ${stderr}`).toContain(code);
    }
  }
}

/** While the database is away every endpoint that needs it says so, and says no more. */
export async function driveOutage(ground: Ground, kind: DatabaseKind, work: () => Promise<void>): Promise<void> {
  if (kind === 'sqlite') {
    const other = new BetterSqlite3(ground.url.slice('sqlite:'.length));
    other.exec('begin exclusive');
    await work();
    other.exec('rollback');
    other.close();
    return;
  }
  const name = new URL(ground.url).pathname.slice(1);
  const admin = new pg.Client({ connectionString: ground.url.replace(/[^/]*$/, 'postgres') });
  await admin.connect();
  await admin.query(`alter database ${name} allow_connections false`);
  await admin.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name]);
  await work();
  await admin.query(`alter database ${name} allow_connections true`);
  await admin.end();
}
