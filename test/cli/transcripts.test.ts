/**
 * One story of administration, command after command on one database (contract §7 and §12): what goes in, what comes out on
 * each stream, and the exit code are the same on SQLite and Postgres. What a command does in depth is in its own suite.
 */
import { expect, test } from 'vitest';
import { makeCliDatabase } from '../support/cli-database.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { logIn } from '../support/test-app.ts';

const PASSWORD = 'correct horse';
const STATES = ['next', 'active', 'next', 'active'];

interface Key {
  readonly kid: string;
  readonly ring: string;
  readonly state: string;
}

const active = (keys: readonly Key[], ring: string): string | undefined =>
  keys.find((key) => key.ring === ring && key.state === 'active')?.kid;

const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');

describeOnBothDatabases('administration', (_makeDatabase, kind) => {
  test('users, clients, sessions, tokens, keys, events and upkeep, each with its answer and its refusal', async () => {
    const cli = await makeCliDatabase({}, kind);
    const refused = async (code: number, args: readonly string[], error: string): Promise<void> => {
      const result = await cli.run([...args, '--json']);
      expect(result, args.join(' ')).toMatchObject({ code, stdout: '' });
      expect(JSON.parse(result.stderr), args.join(' ')).toEqual({
        error,
        error_description: expect.any(String),
      });
    };

    const status = await cli.json<{ current: number; latest: number }>(['migrate', 'status']);
    expect(status).toEqual({ current: status.latest, latest: expect.any(Number), pending: [] });

    const user = await cli.json<{ subject: string }>(['users', 'add', 'alice', '--password-stdin'], PASSWORD);
    expect(user).toEqual({ username: 'alice', subject: expect.any(String) });
    expect(lines((await cli.run(['users', 'list'])).stdout)).toEqual([expect.stringMatching(/^alice\t/)]);
    await refused(3, ['users', 'show', 'bob'], 'not_found');

    const add = ['clients', 'add', 'api', '--type', 'resource-server'];
    const client = await cli.json<{ client_secret: string }>(add);
    expect(client).toMatchObject({ client_id: 'api', type: 'resource-server' });
    expect(client.client_secret).toMatch(/^[A-Za-z0-9_-]{43}$/);
    const listed = await cli.run(['clients', 'list']);
    expect(listed).toMatchObject({ code: 0, stdout: expect.stringMatching(/^api\t/m) });
    expect(listed.stdout).not.toContain(client.client_secret);
    await refused(3, ['clients', 'remove', 'web', '--yes'], 'not_found');

    const [kept, ended] = await cli.inside(async (app) => [
      await logIn(app, 'alice', PASSWORD),
      await logIn(app, 'alice', PASSWORD),
    ]);
    if (kept === undefined || ended === undefined) throw new Error('two logins were made');
    const { families } = await cli.json<{ families: { sid: string }[] }>(['families', 'list']);
    // Logins of one millisecond have no order.
    expect(families.map(({ sid }) => sid).toSorted()).toEqual([ended.sid, kept.sid].toSorted());
    expect(await cli.json(['families', 'show', kept.sid])).toMatchObject({
      subject: user.subject,
      state: 'live',
      timeline: [{ generation: 0 }],
    });

    expect(await cli.json(['revoke', ended.sid, '--dry-run'])).toMatchObject({ would_revoke: 1 });
    await refused(4, ['revoke', ended.sid], 'not_confirmed');
    expect(await cli.json(['revoke', ended.sid, '--yes', '--reason', 'drill'])).toEqual({ revoked: 1 });
    const revoked = await cli.run(['families', 'list', '--state', 'revoked']);
    expect(lines(revoked.stdout)).toEqual([expect.stringContaining(ended.sid)]);

    expect(await cli.json(['token', 'inspect'], kept.refreshToken)).toMatchObject({ kind: 'refresh', accepted: true });
    const spent = await cli.run(['token', 'inspect', '--json'], ended.accessToken);
    expect(spent).toMatchObject({ code: 1, stderr: '' });
    expect(JSON.parse(spent.stdout)).toMatchObject({ kind: 'access', accepted: false, reason: 'revoked' });

    const { keys } = await cli.json<{ keys: Key[] }>(['keys', 'list']);
    expect(keys.map(({ state }) => state)).toEqual(STATES);
    await refused(4, ['keys', 'rotate'], 'not_confirmed');
    const rotated = await cli.json<{ keys: Key[] }>(['keys', 'rotate', '--ring', 'refresh']);
    expect(active(rotated.keys, 'refresh')).not.toBe(active(keys, 'refresh'));
    expect(active(rotated.keys, 'access')).toBe(active(keys, 'access'));

    const { events } = await cli.json<{ events: { type: string }[] }>(['events', 'list']);
    expect(events.map(({ type }) => type)).toEqual([
      'key.rotated',
      'key.rotated',
      'client.created',
      'login.succeeded',
      'login.succeeded',
      'family.revoked',
      'key.rotated',
    ]);

    expect(await cli.json(['purge'])).toMatchObject({ refresh_tokens: 0, families: 0, events: 0, keys: 0 });

    const doctor = await cli.run(['doctor', '--json']);
    const report: { ok: boolean; checks: { name: string; status: string }[] } = JSON.parse(doctor.stdout);
    const failed = report.checks.filter((check) => check.status === 'fail').map(({ name }) => name);
    // The tests' own Postgres is tuned to forget, and nothing else is wrong with it.
    expect(failed).toEqual(kind === 'postgres' ? ['durability'] : []);
    expect(report.ok).toBe(failed.length === 0);
    expect(doctor.code).toBe(failed.length === 0 ? 0 : 1);
  });
});
