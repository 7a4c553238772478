/** Ctrl-C in the middle of what takes a while leaves nothing half done, and the same command finishes it (security G10). */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { expect, test } from 'vitest';
import { runCli, startCli, workFolder } from '../support/cli.ts';
import { type CliDatabase, makeCliDatabase } from '../support/cli-database.ts';
import { describeOnBothDatabases, makeDatabase } from '../support/databases.ts';
import { storeFamilies } from '../support/test-app.ts';
import { until } from '../support/until.ts';

const SESSIONS = 4_000;

/** Each end has exactly its event. */
const counts = (cli: CliDatabase): Promise<{ ended: number; events: number }> =>
  cli.inside((app) =>
    app.store.read(async (db) => ({
      ended: (await db.sql.selectFrom('token_families').select('id').where('revoked_at', 'is not', null).execute())
        .length,
      events: (await db.sql.selectFrom('events').select('id').where('type', '=', 'family.revoked').execute()).length,
    })),
  );

test.each(['SIGINT', 'SIGTERM'] as const)(
  'G10: %s ends a command with 130, and says so in its form',
  async (signal) => {
    const cli = await makeCliDatabase();
    const said: string[] = [];
    for (const args of [
      ['events', 'tail'],
      ['events', 'tail', '--json'],
    ]) {
      const { child, stdout, stderr } = startCli(args, { cwd: cli.folder });
      await until(() => stdout() !== '', 'the last events are shown');
      const ended = once(child, 'close');
      child.kill(signal);
      await ended;
      expect({ code: child.exitCode, signal: child.signalCode }).toEqual({ code: 130, signal: null });
      said.push(stderr());
    }
    expect(said).toEqual(['interrupted\n', '{"error":"interrupted","error_description":"Interrupted."}\n']);
  },
);

describeOnBothDatabases('an interrupted revocation', (_makeDatabase, kind) => {
  test('G10: Ctrl-C ends it with 130; each session lives or has ended whole', async () => {
    const cli = await makeCliDatabase({}, kind);
    await cli.inside((app) =>
      storeFamilies(
        app,
        Array.from({ length: SESSIONS }, () => ({})),
      ),
    );
    const untouched = await cli.contents();
    const { child, stderr } = startCli(['revoke', '--all', '--yes'], { cwd: cli.folder });
    await until(
      async () => child.exitCode !== null || (await cli.contents()) !== untouched,
      'the first sessions have ended',
    );
    child.kill('SIGINT');
    if (child.exitCode === null) await once(child, 'exit');
    // It may have been through before the signal came.
    expect([0, 130], stderr()).toContain(child.exitCode);
    const after = await counts(cli);
    expect(after.ended).toBe(after.events);
    expect(after.ended).toBeGreaterThan(0);
    expect(await cli.json(['revoke', '--all', '--yes'])).toEqual({ revoked: SESSIONS - after.ended });
    expect(await counts(cli)).toEqual({ ended: SESSIONS, events: SESSIONS });
  });
});

test('G10: an interrupted migration on Postgres leaves the schema as it was', async () => {
  const cwd = workFolder();
  const url = await makeDatabase('postgres');
  const env = { AUTH_SERVER_DATABASE_URL: url };
  const status = async (): Promise<unknown> =>
    JSON.parse((await runCli(['migrate', 'status', '--json'], { cwd, env })).stdout);
  const before = await status();
  // Another process is at it, so that this one waits with its transaction open.
  const other = new pg.Client({ connectionString: url });
  await other.connect();
  await other.query('select pg_advisory_lock(4207115001)');
  const { child, stderr } = startCli(['migrate', 'up'], { cwd, env });
  await until(async () => {
    const { rowCount } = await other.query("select 1 from pg_locks where locktype = 'advisory' and not granted");
    return rowCount === 1;
  }, 'the migration waits for its turn');
  child.kill('SIGINT');
  await once(child, 'exit');
  expect({ code: child.exitCode, stderr: stderr() }).toEqual({
    code: 130,
    stderr: expect.stringContaining('interrupted'),
  });
  await other.end();
  expect(await status()).toEqual(before);
  expect(await runCli(['migrate', 'up'], { cwd, env })).toMatchObject({ code: 0 });
  expect(await status()).toMatchObject({ pending: [] });
});

test('G10: an interrupted first start on SQLite is begun again', async () => {
  const cwd = workFolder();
  const { child } = startCli(['migrate', 'up'], { cwd });
  await until(() => child.exitCode !== null || existsSync(path.join(cwd, 'auth.db')), 'the file is made');
  child.kill('SIGINT');
  if (child.exitCode === null) await once(child, 'exit');
  expect([0, 130]).toContain(child.exitCode);
  expect(await runCli(['migrate', 'up'], { cwd })).toMatchObject({ code: 0 });
  const { stdout } = await runCli(['migrate', 'status', '--json'], { cwd });
  expect(JSON.parse(stdout)).toMatchObject({ pending: [] });
});
