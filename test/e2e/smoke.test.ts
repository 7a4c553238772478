/**
 * The executable does what it is for, in an empty folder with an emptied environment, on each database. Not a second
 * test of the contract: it catches what only packing can break.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { DatabaseKind } from '../support/databases.ts';
import { makeProgram, type Program, type Server } from '../support/executable.ts';

const PASSWORD = 'correct horse battery staple';

/** A running server with one user and one resource server. */
async function prepare(
  kind: DatabaseKind,
): Promise<{ program: Program; server: Server; subject: string; basic: string }> {
  const program = await makeProgram(kind);
  if (kind === 'postgres') await program.json(['migrate', 'up']);
  const server = await program.serve();
  const user = await program.json<{ subject: string }>(['users', 'add', 'alice', '--password-stdin'], `${PASSWORD}\n`);
  const client = await program.json<{ client_id: string; client_secret: string }>([
    'clients',
    'add',
    'api',
    '--type',
    'resource-server',
  ]);
  const credentials = Buffer.from(`${client.client_id}:${client.client_secret}`).toString('base64');
  return { program, server, subject: user.subject, basic: `Basic ${credentials}` };
}

const login = (server: Server) => server.post('/login', { username: 'alice', password: PASSWORD });

test('--version prints the version of the package', async () => {
  const program = await makeProgram('sqlite');
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
  const { code, stdout } = await program.run(['--version']);
  expect(code).toBe(0);
  expect(stdout).toContain(version);
  expect(readdirSync(program.folder)).toEqual([]);
});

test('serve without configuration makes a database and a master key that only their owner can read', async () => {
  const program = await makeProgram('sqlite');
  const server = await program.serve();
  for (const file of ['auth.db', 'auth-server.key']) {
    expect((statSync(path.join(program.folder, file)).mode & 0o777).toString(8), file).toBe('600');
  }
  expect(await server.stop('SIGTERM')).toBe(0);
});

test('serve on a Postgres without a schema stops with exit code 5 and names migrate', async () => {
  const program = await makeProgram('postgres');
  const { code, stderr } = await program.run(['serve', '--port', '0']);
  expect(code).toBe(5);
  expect(stderr).toContain('migrate');
});

describe.each<DatabaseKind>(['sqlite', 'postgres'])('on %s', (kind) => {
  test('a login gives a pair, a refresh the next one, and a resource server can verify it', async () => {
    const { program, server, subject, basic } = await prepare(kind);
    expect(existsSync(path.join(program.folder, 'auth.db'))).toBe(kind === 'sqlite');
    const first = await login(server);
    expect(first).toMatchObject({ status: 200, body: { token_type: 'Bearer', expires_in: 300 } });
    const second = await server.post('/refresh', first.body);
    expect(second).toMatchObject({ status: 200, body: { session_id: first.body.session_id } });
    expect(second.body.refresh_token).not.toBe(first.body.refresh_token);
    const verified = await server.post('/verify', { token: second.body.access_token }, { authorization: basic });
    expect(verified).toMatchObject({
      status: 200,
      body: { active: true, sub: subject, sid: first.body.session_id, client_id: 'default' },
    });
    expect(await server.stop('SIGTERM')).toBe(0);
  });

  test('a spent refresh token ends its family, for every token of it', async () => {
    const { program, server, basic } = await prepare(kind);
    const first = await login(server);
    const second = await server.post('/refresh', first.body);
    const reuse = await server.post('/refresh', first.body);
    expect(reuse).toMatchObject({ status: 401, body: { error: 'invalid_grant', reason: 'reused' } });
    const newest = await server.post('/refresh', second.body);
    expect(newest).toMatchObject({ status: 401, body: { error: 'invalid_grant', reason: 'revoked' } });
    const verified = await server.post('/verify', { token: second.body.access_token }, { authorization: basic });
    expect(verified).toEqual({ status: 200, body: { active: false, reason: 'revoked' } });
    expect(await server.stop('SIGTERM')).toBe(0);

    // The command line works with the server down, and remembers what happened.
    const listed = await program.json<{ families: unknown[] }>(['families', 'list']);
    expect(listed.families).toMatchObject([
      { sid: first.body.session_id, state: 'revoked', revoke_reason: 'reuse', generation: 1 },
    ]);
  });

  test('sessions outlive a restart', async () => {
    const { program, server } = await prepare(kind);
    const first = await login(server);
    expect(await server.stop('SIGTERM')).toBe(0);
    // Another port is another default issuer, which would end the session.
    const again = await program.serve(Number(new URL(server.url).port));
    const second = await again.post('/refresh', first.body);
    expect(second).toMatchObject({ status: 200, body: { session_id: first.body.session_id } });
    expect(await again.stop('SIGTERM')).toBe(0);
  });
});
