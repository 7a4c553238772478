/** The event log tells of every change and of nothing else, in its order, without a secret in it: contract §9. */
import { expect, test } from 'vitest';
import { isUuidv7 } from '../../src/domain/ids.ts';
import { changeClient, removeClient, rotateClientSecret } from '../../src/operations/clients.ts';
import { declareKeyCompromised, rotateKeys } from '../../src/operations/keys.ts';
import { revoke } from '../../src/operations/revoke.ts';
import { disableUser, enableUser } from '../../src/operations/users.ts';
import { listEvents } from '../../src/store/events.ts';
import { revokeFamilies } from '../../src/store/token-families.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { expectEvents } from '../support/expectations.ts';
import { PASSWORD, startTestServer, type TestServer, USERNAME } from '../support/test-server.ts';

interface Step {
  readonly does: string;
  run(server: TestServer): Promise<unknown>;
  readonly events: readonly string[];
}

/** One after the other on one server: what each of them records, and no others. */
const STEPS: readonly Step[] = [
  { does: 'a login', run: (server) => server.login(), events: ['login.succeeded'] },
  { does: 'a failed login', run: (server) => server.tryLogin({ password: 'wrong' }), events: ['login.failed'] },
  { does: 'a throttled login', run: (server) => server.tryLogin({ password: 'wrong' }), events: ['login.throttled'] },
  {
    does: 'a rotation, and its replay',
    run: async (server) => {
      server.clock.advance(900_000);
      const pair = await server.login();
      await server.events();
      await server.refresh(pair, { key: 'k' });
      await server.refresh(pair, { key: 'k' });
      await server.verify(pair.access_token);
    },
    events: [],
  },
  {
    does: 'a reuse, once',
    run: async (server) => {
      const pair = await server.login();
      await server.refresh(pair);
      for (let count = 0; count < 3; count += 1) await server.tryRefresh(pair);
    },
    events: ['login.succeeded', 'token.reuse_detected', 'family.revoked'],
  },
  {
    does: 'a logout, once',
    run: async (server) => {
      const { refresh_token } = await server.login();
      for (let count = 0; count < 3; count += 1) await server.post('/logout', { refresh_token });
    },
    events: ['login.succeeded', 'family.revoked'],
  },
  {
    does: 'an administrator’s revocation of all',
    run: async (server) => {
      await server.login();
      await server.events();
      return revoke(server.app, { which: { all: true } });
    },
    events: ['family.revoked', 'family.revoked', 'family.revoked', 'families.revoked'],
  },
  { does: 'a new client', run: (server) => server.addClient('web', { isPublic: true }), events: ['client.created'] },
  {
    does: 'a change of a client’s policy',
    run: (server) => changeClient(server.app, { id: 'web', policy: { maxSessions: 1 } }),
    events: [],
  },
  {
    does: 'a login over the session limit',
    run: async (server) => [await server.login({ client_id: 'web' }), await server.login({ client_id: 'web' })],
    events: ['login.succeeded', 'family.revoked', 'login.succeeded'],
  },
  {
    does: 'the end of a client',
    run: (server) => removeClient(server.app, { id: 'web' }),
    events: ['family.revoked', 'families.revoked'],
  },
  {
    does: 'a new client secret',
    run: (server) => rotateClientSecret(server.app, 'api'),
    events: ['client.secret_rotated'],
  },
  { does: 'a rotation of keys', run: (server) => rotateKeys(server.app, 'access'), events: ['key.rotated'] },
  {
    does: 'a compromised key',
    run: (server) => declareKeyCompromised(server.app, 'access'),
    events: ['key.compromised', 'key.rotated'],
  },
  {
    does: 'a user disabled with a session, twice, and enabled',
    run: async (server) => {
      await server.login();
      await server.events();
      for (const change of [disableUser, disableUser, enableUser, enableUser]) await change(server.app, USERNAME);
    },
    events: ['user.disabled', 'family.revoked', 'user.enabled'],
  },
];

describeOnBothDatabases('events', (makeDatabase) => {
  async function run(): Promise<TestServer> {
    const server = await startTestServer({ url: await makeDatabase(), config: { 'login.maxFailuresPerUser': 1 } });
    for (const { does, run: step, events } of STEPS) {
      await step(server);
      expect(
        (await server.events()).map(({ type }) => type),
        does,
      ).toEqual(events);
    }
    return server;
  }

  test('each change has its events and no others', async () => {
    await run();
  });

  test('are numbered upwards, each with an id of its own, the time of the change, and no secret', async () => {
    const server = await run();
    const events = await server.app.store.read((db) => listEvents(db, { limit: 1_000 }));
    const numbers = events.map(({ number }) => number);
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
    expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
    for (const { id, timestamp, data } of events) {
      expect(isUuidv7(id)).toBe(true);
      expect(timestamp).toBeLessThanOrEqual(server.clock.now());
      expect(JSON.stringify(data)).not.toMatch(/eyJ|password|secret"/);
      expect(JSON.stringify(data)).not.toContain(PASSWORD);
      expect(JSON.stringify(data)).not.toContain(server.api.secret);
    }
  });

  test('every revoked family has exactly one family.revoked, of its cause and time (I42)', async () => {
    const server = await run();
    const { families, feed } = await server.dump();
    const revoked = (families as { id: string; revoked_at: number | null; revoke_reason: string | null }[]).filter(
      (row) => row.revoked_at !== null,
    );
    const events = await server.app.store.read((db) => listEvents(db, { type: 'family.revoked', limit: 1_000 }));
    const told = events.map(({ data, timestamp }) => [data.sid, timestamp, data.cause]);
    expect(told.toSorted()).toEqual(revoked.map((row) => [row.id, row.revoked_at, row.revoke_reason]).toSorted());
    const feedFamilies = (feed as { family_id: string | null }[]).flatMap(({ family_id }) =>
      family_id === null ? [] : [family_id],
    );
    expect(feedFamilies.toSorted()).toEqual(revoked.map((row) => row.id).toSorted());
  });

  test('a change that is undone leaves no event behind, and the session goes on', async () => {
    const server = await startTestServer({ url: await makeDatabase() });
    const pair = await server.login();
    await server.events();
    await expect(
      server.app.store.write(async (tx) => {
        expect(await revokeFamilies(tx, { family: pair.session_id }, { cause: 'admin' })).toHaveLength(1);
        throw new Error('undone');
      }),
    ).rejects.toThrow('undone');
    await expectEvents(server);
    await server.refresh(pair);
  });
});
