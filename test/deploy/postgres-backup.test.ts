/**
 * N18 on Postgres: the commands of docs/backup-restore.md on a cluster of the distribution, `pg_dump` and recovery to a point in
 * time. After each, nothing that was ended since the copy is active, and what was spent since is refused.
 */
import { spawnSync } from 'node:child_process';
import { appendFileSync, chownSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { example } from '../support/doc-example.ts';
import { makeProgram, type Program } from '../support/executable.ts';
import { freePort } from '../support/free-port.ts';
import { scratchFolder } from '../support/scratch.ts';

const BIN = '/usr/lib/postgresql/15/bin';
const PAGE = 'docs/backup-restore.md';
const BUILT = path.join(path.dirname(path.dirname(import.meta.dirname)), 'dist/auth-server');
const LIMIT_MS = 90_000;

/** PostgreSQL refuses to run as root; this number (nobody) owns nothing else. */
const UNPRIVILEGED = 65_534;
const isRoot = process.getuid?.() === 0;
const asPostgres = isRoot ? { uid: UNPRIVILEGED, gid: UNPRIVILEGED } : {};
const DROP = isRoot ? `setpriv --reuid=${UNPRIVILEGED} --regid=${UNPRIVILEGED} --clear-groups` : '';

interface Site {
  readonly base: string;
  readonly program: Program;
  readonly api: string;
  /** Types a block of the page, with the paths of this site, as who runs the servers or as who runs Postgres. */
  type(name: string, as?: 'postgres', change?: (block: string) => string): string;
  /** One value. */
  ask(sql: string): string;
}

let site: Site;
beforeEach(async () => {
  site = await makeSite();
});

/** A cluster that keeps its log as the page says, and a program whose database is in it. */
async function makeSite(): Promise<Site> {
  const base = scratchFolder('backup', os.tmpdir());
  const data = path.join(base, 'data');
  const port = await freePort();
  const program = await makeProgram('sqlite');
  const url = `postgres://postgres@127.0.0.1:${port}/auth`;
  const config = { issuer: 'https://auth.example', database: { url } };
  writeFileSync(path.join(program.folder, 'auth.config.json'), JSON.stringify(config), { mode: 0o600 });
  const start = `${DROP} pg_ctl -D '${data}' -l '${base}/log' -w start >'${base}/started'`;
  const stop = `${DROP} pg_ctl -D '${data}' -m fast -w stop`;
  const env = {
    PATH: `${BIN}:/usr/bin:/bin`,
    PGHOST: '127.0.0.1',
    PGPORT: String(port),
    PGUSER: 'postgres',
    DATABASE_URL: url,
  };
  const shell = (script: string, cwd: string, as?: 'postgres'): string => {
    const { status, stdout, stderr } = spawnSync('bash', ['-euo', 'pipefail', '-c', script], {
      cwd,
      env,
      encoding: 'utf8',
      timeout: LIMIT_MS,
      ...(as === 'postgres' ? asPostgres : {}),
    });
    expect({ script, status, stderr: status === 0 ? '' : stderr }).toEqual({ script, status: 0, stderr: '' });
    return stdout;
  };
  // The program's servers are started and stopped by the test; Postgres is what stands here for its unit.
  const units = `
auth-server() { '${BUILT}' "$@"; }
systemctl() { case "$*" in 'stop postgresql') ${stop} ;; 'start postgresql') ${start} ;; *auth-server*) ;; *) return 1 ;; esac; }
`;
  const placed = (block: string): string =>
    block.replaceAll('/var/backups/postgres', base).replaceAll('/var/lib/postgresql/15/main', data);
  if (isRoot) chownSync(base, UNPRIVILEGED, UNPRIVILEGED);
  shell(
    `initdb -D '${data}' -U postgres -A trust -E UTF8 --locale=C --no-sync && mkdir '${base}/wal'`,
    base,
    'postgres',
  );
  const settings = `port = ${port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\n`;
  appendFileSync(path.join(data, 'postgresql.conf'), settings + placed(example(PAGE, 'wal-archive')));
  onTestFinished(() => {
    spawnSync(`${BIN}/pg_ctl`, ['-D', data, '-m', 'immediate', '-w', 'stop'], { cwd: base, ...asPostgres });
    rmSync(base, { recursive: true, force: true });
  });
  shell(`${units} systemctl start postgresql && createdb auth`, base);
  await program.json(['migrate', 'up']);
  await program.json(['users', 'add', 'alice', '--password-stdin'], CREDENTIALS.password);
  const { client_secret: secret } = await program.json<{ client_secret: string }>([
    'clients',
    'add',
    'api',
    '--type',
    'resource-server',
  ]);
  return {
    base,
    program,
    api: `Basic ${Buffer.from(`api:${secret}`).toString('base64')}`,
    type: (name, as, change = (block) => block) =>
      shell(`${units}${change(placed(example(PAGE, name)))}`, as === 'postgres' ? base : program.folder, as),
    ask: (sql) => shell(`psql --no-psqlrc -At -d auth -c "${sql}"`, base).trim(),
  };
}

const CREDENTIALS = { username: 'alice', password: 'correct horse battery staple' };

/** Sessions of before the copy, what became of them after it, and the proof that the restored database ends them all. */
async function tryRestore(copy: () => void, restore: () => string): Promise<void> {
  const { program, api, ask } = site;
  let server = await program.serve();
  const login = async () => (await server.post('/login', CREDENTIALS)).body;
  const isActive = async ({ access_token }: Record<string, unknown>) =>
    (await server.post('/verify', { token: access_token }, { authorization: api })).body.active;
  const [ended, spent, reused] = [await login(), await login(), await login()];
  for (const pair of [ended, spent, reused]) expect(await isActive(pair)).toBe(true);
  copy();
  expect(await server.post('/logout', { refresh_token: ended.refresh_token })).toMatchObject({ status: 204 });
  const newest = (await server.post('/refresh', spent)).body;
  const stolen = (await server.post('/refresh', reused)).body;
  expect((await server.post('/refresh', reused)).body.reason).toBe('reused');
  const later = await login();
  expect([await isActive(newest), await isActive(later), await isActive(ended)]).toEqual([true, true, false]);
  expect(await server.stop('SIGTERM')).toBe(0);

  expect(restore()).toMatch(/\b3\b/);

  // The copy had not heard of the logout and of the reuse: all three were live in it.
  expect(ask('select count(*), min(revoke_reason), max(revoke_reason) from token_families')).toBe(
    '3|restored|restored',
  );
  server = await program.serve();
  for (const pair of [ended, spent, newest, reused, stolen, later]) expect(await isActive(pair)).toBe(false);
  for (const pair of [ended, spent, newest, reused, stolen]) {
    expect(await server.post('/refresh', pair)).toMatchObject({ status: 401, body: { reason: 'revoked' } });
  }
  expect(await server.post('/refresh', later)).toMatchObject({ status: 401, body: { reason: 'unknown' } });
  const fresh = await server.post('/refresh', await login());
  expect(fresh.status).toBe(200);
  expect(await isActive(fresh.body)).toBe(true);
  expect(await server.stop('SIGTERM')).toBe(0);
}

test('N18: pg_dump and pg_restore, as the page has them', async () => {
  await tryRestore(
    () => {
      site.type('pg-dump');
      expect(statSync(path.join(site.program.folder, 'nightly.dump')).mode & 0o777).toBe(0o600);
    },
    () => site.type('pg-restore'),
  );
});

test('N18: a base backup and the archived log, to a point in time', async () => {
  site.type('base-backup', 'postgres');
  let moment = '';
  await tryRestore(
    () => {
      // The sessions are in the log alone: the base backup is older.
      moment = site.ask('select now()');
    },
    () => {
      site.type('recover-stop');
      site.type('recover-files', 'postgres', (block) => {
        const set = block.replace(/(?<=recovery_target_time = ')[^']+/, moment);
        expect(set).not.toBe(block);
        return set;
      });
      return site.type('recover-start');
    },
  );
  expect(readFileSync(path.join(site.base, 'log'), 'utf8')).toContain('recovery stopping before commit');
});
