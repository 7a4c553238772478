/** `auth-server clients` as a process (contract §7 and §12; security G8). */
import { expect, test } from 'vitest';
import type { ClientId } from '../../src/domain/ids.ts';
import { addClient } from '../../src/operations/clients.ts';
import { makeCliDatabase } from '../support/cli-database.ts';
import { storeFamilies } from '../support/test-app.ts';

test('a secret is shown once: in JSON, or by itself on stdout with the words around it on stderr', async () => {
  const cli = await makeCliDatabase();
  const secret = expect.stringMatching(/^[A-Za-z0-9_-]{43}$/);
  const type = 'resource-server';
  expect(await cli.json(['clients', 'add', 'api', '--type', type, '--audience', 'a', '--audience', 'b'])).toEqual({
    client_id: 'api',
    type,
    client_secret: secret,
  });
  const { code, stdout, stderr } = await cli.run(['clients', 'rotate-secret', 'api']);
  expect({ code, stdout: stdout.trim() }).toEqual({ code: 0, stdout: secret });
  expect(stderr).not.toContain(stdout.trim());
  const spa = [
    'clients',
    'add',
    'spa',
    '--type',
    'app',
    '--public',
    '--leeway',
    '10s',
    '--max-sessions',
    '3',
    '--refresh-alone',
  ];
  expect(await cli.json(spa)).toEqual({ client_id: 'spa', type: 'app', client_secret: null });
  const { clients } = await cli.json<{ clients: unknown[] }>(['clients', 'list']);
  expect(clients).toMatchObject([
    { client_id: 'api', type, public: false, audiences: ['a', 'b'], leeway: null },
    { client_id: 'default', type: 'app', public: true },
    { client_id: 'spa', public: true, leeway: '10s', max_sessions: 3, refresh_alone: true },
  ]);
  expect(JSON.stringify(clients)).not.toContain(stdout.trim());
});

test('G8: an id that is taken is exit 1; a client that cannot be is exit 2; nothing is changed', async () => {
  const cli = await makeCliDatabase();
  await cli.inside((app) => addClient(app, { id: 'api', type: 'admin', isPublic: false, audiences: [], policy: {} }));
  const before = cli.hash();
  const cases: readonly (readonly [number, readonly string[]])[] = [
    [1, ['add', 'api', '--type', 'resource-server']],
    [2, ['add', 'a:b', '--type', 'app']],
    [2, ['add', 'a b', '--type', 'app']],
    [2, ['add', 'x'.repeat(300), '--type', 'app']],
    [2, ['add', 'x', '--type', 'server']],
    [2, ['add', 'x', '--type', 'admin', '--leeway', '1s']],
    [2, ['add', 'x', '--type', 'app', '--leeway', '6m']],
    [2, ['add', 'x', '--type', 'app', '--leeway', 'long']],
    [2, ['set', 'api']],
    [3, ['set', 'nobody', '--audience', 'x']],
    [1, ['remove', 'default', '--yes']],
  ];
  await Promise.all(
    cases.map(async ([code, args]) => {
      expect(await cli.run(['clients', ...args]), args.join(' ')).toMatchObject({ code, stdout: '' });
    }),
  );
  expect(cli.hash()).toBe(before);
});

test('set changes what it names; "default" as a value gives it back to the server', async () => {
  const cli = await makeCliDatabase();
  const set = (...args: readonly string[]) => cli.json(['clients', 'set', 'default', ...args]);
  expect(await set('--leeway', '10s', '--idle-timeout', '30d', '--refresh-alone', '--audience', 'x')).toMatchObject({
    leeway: '10s',
    idle_timeout: '30d',
    refresh_alone: true,
    audiences: ['x'],
  });
  expect(await set('--leeway', 'default', '--no-refresh-alone', '--audience', 'default')).toMatchObject({
    leeway: null,
    idle_timeout: '30d',
    refresh_alone: false,
    audiences: [],
  });
});

test('removing asks, counts beforehand, and ends the sessions of the client', async () => {
  const cli = await makeCliDatabase();
  await cli.inside(async (app) => {
    await addClient(app, { id: 'spa', type: 'app', isPublic: true, audiences: [], policy: {} });
    await storeFamilies(app, [{ client: 'spa' as ClientId }, { client: 'spa' as ClientId }, {}]);
  });
  const before = cli.hash();
  expect(await cli.run(['clients', 'remove', 'spa'])).toMatchObject({ code: 4, stdout: '' });
  expect(await cli.json(['clients', 'remove', 'spa', '--dry-run'])).toEqual({ would_revoke: 2 });
  expect(cli.hash()).toBe(before);
  expect(await cli.json(['clients', 'remove', 'spa', '--yes'])).toEqual({ client_id: 'spa', revoked: 2 });
});
