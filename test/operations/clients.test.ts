/** Registered callers as an administrator changes them (contract §7, `clients`). */
import { describe, expect, test } from 'vitest';
import { type ClientPolicy, NO_POLICY } from '../../src/domain/client.ts';
import type { ClientId } from '../../src/domain/ids.ts';
import { Secret } from '../../src/domain/secret.ts';
import { durationMs, MINUTE } from '../../src/domain/time.ts';
import { authenticateClient } from '../../src/operations/authenticate-client.ts';
import {
  addClient,
  changeClient,
  listAllClients,
  type NewClient,
  previewClientRemoval,
  removeClient,
  rotateClientSecret,
} from '../../src/operations/clients.ts';
import { listFamilyPage } from '../../src/operations/families.ts';
import { addUser } from '../../src/operations/users.ts';
import { Refusal } from '../../src/refusal.ts';
import { deleteClient } from '../../src/store/clients.ts';
import { describeOnBothDatabases, makeDatabase as makeOne } from '../support/databases.ts';
import { eventsOf, familyOf, logIn, openTestApp, refreshWith, storeFamilies } from '../support/test-app.ts';

const newClient = (id: string, more: Partial<NewClient> = {}): NewClient => ({
  id,
  type: 'resource-server',
  isPublic: false,
  audiences: [],
  policy: {},
  ...more,
});
const SPA = { type: 'app', isPublic: true } as const;

describeOnBothDatabases('clients', (makeDatabase) => {
  test('a secret of 256 bits is given out once, only its hash is kept, and it authenticates at once', async () => {
    const { app } = await openTestApp(await makeDatabase());
    const { length } = await eventsOf(app);
    const { secret } = await addClient(app, newClient('api', { audiences: ['a', 'b', 'a'] }));
    expect(secret?.reveal()).toMatch(/^[A-Za-z0-9_-]{43}$/);
    const credentials = { id: 'api', secret: secret?.reveal() ?? '' };
    expect(await authenticateClient(app, credentials, 'resource-server')).toMatchObject({ audiences: ['a', 'b'] });
    expect(JSON.stringify(await listAllClients(app))).not.toContain(credentials.secret);
    expect(await eventsOf(app, length)).toEqual([
      { type: 'client.created', data: { client_id: 'api', client_type: 'resource-server' } },
    ]);
  });

  test('a secret is given out also when the database goes away after the commit', async () => {
    const { app, clock } = await openTestApp(await makeDatabase());
    const reload = () => Promise.reject(new Refusal('temporarily_unavailable', 'gone'));
    const cutOff = { ...app, clients: { ...app.clients, reload } };
    const { secret } = await addClient(cutOff, newClient('api'));
    clock.advance(1_000);
    await authenticateClient(app, { id: 'api', secret: secret?.reveal() ?? '' }, 'resource-server');
    const { secret: next } = await rotateClientSecret(cutOff, 'api');
    clock.advance(1_000);
    await authenticateClient(app, { id: 'api', secret: next.reveal() }, 'resource-server');
  });

  test('an id that is taken is a conflict, and its client stays as it is', async () => {
    const { app } = await openTestApp(await makeDatabase());
    const { secret } = await addClient(app, newClient('api'));
    await expect(addClient(app, newClient('api', SPA))).rejects.toMatchObject({ code: 'conflict' });
    await expect(addClient(app, newClient('default', SPA))).rejects.toMatchObject({ code: 'conflict' });
    await authenticateClient(app, { id: 'api', secret: secret?.reveal() ?? '' }, 'resource-server');
  });

  test('a login through a client that another process has just removed begins no session', async () => {
    const { app } = await openTestApp(await makeDatabase());
    await addClient(app, newClient('spa', SPA));
    await addUser(app, { name: 'alice', password: new Secret('8letters') });
    // The snapshot of this server still has it.
    await app.clients.reload();
    await app.store.write((tx) => deleteClient(tx, 'spa' as ClientId));
    await expect(logIn(app, 'alice', '8letters', 'spa')).rejects.toMatchObject({ code: 'invalid_client' });
    expect((await listFamilyPage(app, { limit: 10 })).families).toEqual([]);
  });

  test('a new secret ends the old one at once', async () => {
    const { app } = await openTestApp(await makeDatabase());
    const before = await addClient(app, newClient('api'));
    const { length } = await eventsOf(app);
    const { secret } = await rotateClientSecret(app, 'api');
    await authenticateClient(app, { id: 'api', secret: secret.reveal() }, 'resource-server');
    const old = { id: 'api', secret: before.secret?.reveal() ?? '' };
    await expect(authenticateClient(app, old, 'resource-server')).rejects.toMatchObject({ code: 'invalid_client' });
    expect(await eventsOf(app, length)).toEqual([{ type: 'client.secret_rotated', data: { client_id: 'api' } }]);
    await expect(rotateClientSecret(app, 'default')).rejects.toMatchObject({ code: 'conflict' });
    await expect(rotateClientSecret(app, 'nobody')).rejects.toMatchObject({ code: 'not_found' });
  });

  test('a change touches what it names: the rest stays, and null is the server’s own setting again', async () => {
    const { app } = await openTestApp(await makeDatabase());
    await addClient(app, newClient('spa', { ...SPA, policy: { leeway: MINUTE, maxSessions: 3 } }));
    await changeClient(app, { id: 'spa', audiences: ['x'], policy: { maxSessions: 5 } });
    expect(await changeClient(app, { id: 'spa', policy: { refreshAlone: true } })).toMatchObject({
      audiences: ['x'],
      policy: { ...NO_POLICY, leeway: MINUTE, maxSessions: 5, refreshAlone: true },
    });
    expect(await changeClient(app, { id: 'spa', audiences: [], policy: { leeway: null } })).toMatchObject({
      audiences: [],
      policy: { leeway: null, maxSessions: 5 },
    });
    await expect(changeClient(app, { id: 'nobody', policy: {} })).rejects.toMatchObject({ code: 'not_found' });
  });

  test('the policy of default can be changed, and a running server goes by it', async () => {
    const { app } = await openTestApp(await makeDatabase());
    await addUser(app, { name: 'alice', password: new Secret('correct horse') });
    await changeClient(app, { id: 'default', policy: { leeway: MINUTE } });
    const pair = await logIn(app, 'alice', 'correct horse');
    expect(await refreshWith(app, pair)).toMatchObject({ kind: 'issued', replayed: false });
    expect(await refreshWith(app, pair)).toMatchObject({ kind: 'issued', replayed: true });
  });

  test('a removed client leaves no family that could be refreshed, and one event tells how many ended', async () => {
    const { app } = await openTestApp(await makeDatabase());
    await addUser(app, { name: 'alice', password: new Secret('correct horse') });
    await addClient(app, newClient('spa', SPA));
    const pair = await logIn(app, 'alice', 'correct horse', 'spa');
    const other = await logIn(app, 'alice', 'correct horse');
    await storeFamilies(
      app,
      Array.from({ length: 1_000 }, () => ({ client: 'spa' as ClientId })),
    );
    expect(await previewClientRemoval(app, 'spa')).toEqual({ id: 'spa', sessions: 1_001 });
    const { length } = await eventsOf(app);
    const progress: number[] = [];
    expect(await removeClient(app, { id: 'spa', onProgress: (revoked) => progress.push(revoked) })).toEqual({
      revoked: 1_001,
    });
    expect(progress).toEqual([500, 1_000, 1_001]);
    expect(await refreshWith(app, pair)).toMatchObject({ kind: 'rejected', reason: 'revoked' });
    expect(await familyOf(app, pair.sid)).toMatchObject({ revoked: { cause: 'client_removed' } });
    expect(await familyOf(app, other.sid)).toMatchObject({ revoked: null });
    const events = await eventsOf(app, length);
    expect(events.filter(({ type }) => type === 'family.revoked')).toHaveLength(1_001);
    expect(events.filter(({ type }) => type === 'families.revoked')).toEqual([
      {
        type: 'families.revoked',
        data: { selector: 'client', value: 'spa', issued_before: null, count: 1_001, cause: 'client_removed' },
      },
    ]);
    await expect(removeClient(app, { id: 'spa' })).rejects.toMatchObject({ code: 'not_found' });
    await expect(logIn(app, 'alice', 'correct horse', 'spa')).rejects.toMatchObject({ code: 'invalid_client' });
  });

  test('default cannot be removed', async () => {
    const { app } = await openTestApp(await makeDatabase());
    await expect(removeClient(app, { id: 'default' })).rejects.toMatchObject({ code: 'conflict' });
  });
});

describe('wrong usage', () => {
  const policies: readonly [string, Partial<ClientPolicy>][] = [
    ['a leeway over 5m', { leeway: durationMs(5 * MINUTE + 1) }],
    ['refresh tokens that live shorter than access tokens', { refreshTokenTtl: durationMs(5 * MINUTE - 1) }],
    ['an idle timeout under a second', { idleTimeout: durationMs(999) }],
    ['no session at all', { maxSessions: 0 }],
    ['half a session', { maxSessions: 1.5 }],
  ];
  const cases: readonly [string, NewClient][] = [
    ...['a b', 'a:b', '', 'ä', 'x'.repeat(65), 'x'.repeat(300)].map((id): [string, NewClient] => [
      `the id ${JSON.stringify(id.slice(0, 70))}`,
      newClient(id),
    ]),
    ['a public resource server', newClient('x', { isPublic: true })],
    ['an admin with an audience', newClient('x', { type: 'admin', audiences: ['api'] })],
    ['a resource server with a policy', newClient('x', { policy: { refreshAlone: true } })],
    ['an empty audience', newClient('x', { audiences: [''] })],
    [
      'an app whose access tokens nobody would read: over 8 KiB',
      newClient('x', { ...SPA, audiences: Array.from({ length: 32 }, (_, i) => String(i).padEnd(255, 'a')) }),
    ],
    ['an audience with a space', newClient('x', { audiences: ['a b'] })],
    ...policies.map(([name, policy]): [string, NewClient] => [name, newClient('x', { ...SPA, policy })]),
  ];

  test.each(cases)('%s is refused, and nothing is added', async (_, request) => {
    const { app } = await openTestApp(await makeOne('sqlite'));
    await expect(addClient(app, request)).rejects.toMatchObject({ code: 'invalid_request' });
    expect(await listAllClients(app)).toHaveLength(1);
  });
});
