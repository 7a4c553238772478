/** `POST /login` as contract §3 has it: who is let in, what is recorded of a session, and what no caller learns. */
import { expect, test } from 'vitest';
import { setUserDisabled } from '../../src/store/users.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { expectEvents, expectNoChange, expectRefusal } from '../support/expectations.ts';
import type { Answer } from '../support/http-client.ts';
import { basicOf, PASSWORD, startTestServer, type TestServer, USERNAME } from '../support/test-server.ts';

/** What may differ between two refusals: when they were made, and for whom. */
function comparable({ status, headers, text }: Answer): unknown {
  const { date: _, 'x-request-id': __, ...rest } = headers;
  return { status, headers: rest, text };
}

const wrongClient = (answer: Answer): void => expectRefusal(answer, 401, 'invalid_client');
const rejected = (answer: Answer): void => expectRefusal(answer, 401, 'invalid_credentials');

describeOnBothDatabases('login', (makeDatabase) => {
  const prepare = async (config: Readonly<Record<string, unknown>> = {}): Promise<TestServer> =>
    startTestServer({ url: await makeDatabase(), config });

  test('a login begins a family at generation 0, with its device, address and user agent, and records login.succeeded', async () => {
    const server = await prepare();
    const pair = await server.login({ device: 'Ada’s phone', headers: { 'user-agent': 'test/1.0' } });
    expect(pair).toMatchObject({ token_type: 'Bearer', expires_in: 300, refresh_expires_in: 7_776_000 });
    const now = server.clock.now();
    const origin = { ip: '127.0.0.1', userAgent: 'test/1.0' };
    expect(await server.family(pair.session_id)).toEqual({
      id: pair.session_id,
      subject: server.subject,
      clientId: 'default',
      generation: 0,
      current: {
        jti: expect.any(String),
        kid: expect.any(String),
        issuedAt: now,
        expiresAt: now + 90 * 86_400_000,
        requestKeyHash: null,
      },
      createdAt: now,
      lastRefreshedAt: now,
      endsAt: now + 365 * 86_400_000,
      revoked: null,
      device: 'Ada’s phone',
      origin,
    });
    const of = { sid: pair.session_id, subject: server.subject, client_id: 'default' };
    expect(await server.events()).toEqual([
      { type: 'login.succeeded', data: { ...of, device: 'Ada’s phone', ip: '127.0.0.1', user_agent: 'test/1.0' } },
    ]);
  });

  test('without device and User-Agent the session has none', async () => {
    const server = await prepare();
    const pair = await server.login();
    expect(await server.family(pair.session_id)).toMatchObject({ device: null, origin: { userAgent: null } });
  });

  test('unknown user, wrong password and disabled user get one answer, byte for byte (L5 L8, I23)', async () => {
    const server = await prepare();
    const disabled = await server.addUser('mallory');
    await server.app.store.write((tx) => setUserDisabled(tx, disabled, server.clock.now()));
    const answers = [
      await server.tryLogin({ username: 'nobody' }),
      await server.tryLogin({ password: 'wrong' }),
      await server.tryLogin({ username: 'mallory' }),
      await server.tryLogin({ username: 'mallory', password: 'wrong' }),
    ];
    for (const username of ["' OR 1=1 --", 'ada"; drop table users;--', '%', '_', '*', 'alic_'])
      answers.push(await server.tryLogin({ username }));
    for (const answer of answers) {
      rejected(answer);
      expect(comparable(answer)).toEqual(comparable(answers[0] ?? answer));
    }
    const events = await server.events();
    expect(events.map(({ type }) => type)).toEqual(answers.map(() => 'login.failed'));
    expect(events[0]?.data).toEqual({
      username_hash: expect.stringMatching(/^[\w-]{43}$/),
      client_id: 'default',
      ip: '127.0.0.1',
      user_agent: null,
    });
    expect(JSON.stringify(events)).not.toMatch(/nobody|mallory|wrong|drop table/);
    expect((await server.dump()).families).toEqual([]);
  });

  test('a password is compared exactly as it was sent (L4 L6, I25)', async () => {
    const server = await prepare({ 'login.maxFailuresPerUser': 1_000 });
    const passwords = [' Grüße\t🔑 ', 'x'.repeat(1_024), 'e\u0301t\u00e9-long-enough'];
    for (const [index, password] of passwords.entries()) {
      const username = `user-${index}`;
      await server.addUser(username, password);
      await server.login({ username, password });
      const near = [
        password.slice(0, -1),
        `${password.slice(0, -1)}y`,
        password.toUpperCase(),
        password.trim(),
        password.normalize('NFC'),
        password.normalize('NFD'),
      ];
      for (const wrong of near) if (wrong !== password) rejected(await server.tryLogin({ username, password: wrong }));
    }
  });

  test('a username is compared in NFC, case-folded, without outer space (L7)', async () => {
    const server = await prepare();
    const zoe = await server.addUser('Zo\u00eb');
    for (const username of ['Zo\u00eb', 'zo\u00eb', 'ZO\u00cb', 'Zoe\u0308', '  zo\u00eb', 'zo\u00eb ']) {
      const pair = await server.login({ username });
      expect((await server.family(pair.session_id)).subject, username).toBe(zoe);
    }
    rejected(await server.tryLogin({ username: 'zoe' }));
    rejected(await server.tryLogin({ username: 'z oë' }));
  });

  test('a username, password or device that cannot be one is invalid_request, before any counting (L1 L2 L3 L9)', async () => {
    const server = await prepare();
    await expectNoChange(server, async () => {
      for (const username of ['', '  ', 'x'.repeat(257), 'a\u0000b', 'a\nb', 'a\u001bb', 'a\u202eb']) {
        expectRefusal(await server.tryLogin({ username }), 400, 'invalid_request');
      }
      for (const password of ['', 'x'.repeat(1_025), 'é'.repeat(513), 'correct\u0000horse']) {
        expectRefusal(await server.tryLogin({ password }), 400, 'invalid_request');
      }
      for (const device of ['x'.repeat(129), 'a\nb', '\u001b[31m', '\u2066x']) {
        expectRefusal(await server.tryLogin({ device }), 400, 'invalid_request', { names: 'device' });
      }
    });
    rejected(await server.tryLogin({ username: 'x'.repeat(256), password: 'x'.repeat(1_024) }));
    await server.login({ device: 'x'.repeat(128) });
  });

  test('a User-Agent is kept cut to 256 characters, and made printable (L15)', async () => {
    const server = await prepare();
    const long = await server.login({ headers: { 'user-agent': 'u'.repeat(8_000) } });
    expect((await server.family(long.session_id)).origin.userAgent).toBe('u'.repeat(256));
    const bidi = await server.login({ headers: { 'user-agent': Buffer.from('a\u202eb').toString('latin1') } });
    expect((await server.family(bidi.session_id)).origin.userAgent).toMatch(/^[\x20-\x7e\u00a0-\u00ff]+$/);
  });

  test('client_id names a registered app; unknown, of another type or not authenticated is one answer (L14 D5)', async () => {
    const server = await prepare();
    const secret = await server.addClient('backend');
    const admin = await server.addClient('ops', { type: 'admin' });
    await server.addClient('web', { isPublic: true });
    await server.events();
    const login = (client_id: string, headers = {}) => server.tryLogin({ client_id, headers });
    const answers = await expectNoChange(server, async () => [
      await login('nobody'),
      await login('nobody', basicOf('nobody', 'x')),
      await login(''),
      await login('no such id!'),
      await login('api'),
      await login('api', server.api.basic),
      await login('ops', admin.basic),
      await login('backend'),
      await login('backend', basicOf('backend', 'wrong')),
      await login('backend', basicOf('default', secret.secret)),
      await login('backend', server.api.basic),
      await login('backend', { authorization: `Bearer ${secret.secret}` }),
      await login('backend', { authorization: 'Basic !!!' }),
      await server.tryLogin({ client_id: 'backend', username: 'nobody', password: 'wrong' }),
    ]);
    for (const answer of answers) {
      wrongClient(answer);
      expect(comparable(answer)).toEqual(comparable(answers[0] ?? answer));
    }
    await expectEvents(server);

    const confidential = await server.login({ client_id: 'backend', headers: secret.basic });
    const publicOne = await server.login({ client_id: 'web' });
    const builtIn = await server.login({ client_id: 'default' });
    const clients = [confidential, publicOne, builtIn].map(
      async ({ session_id }) => (await server.family(session_id)).clientId,
    );
    expect(await Promise.all(clients)).toEqual(['backend', 'web', 'default']);
  });

  test('a client over --max-sessions loses its least recently refreshed session, of this subject alone', async () => {
    const server = await prepare();
    await server.addClient('tv', { isPublic: true, policy: { maxSessions: 2 } });
    await server.addUser('bob');
    const bob = await server.login({ username: 'bob', client_id: 'tv' });
    const elsewhere = await server.login();
    const first = await server.login({ client_id: 'tv' });
    server.clock.advance(1_000);
    const second = await server.login({ client_id: 'tv' });
    server.clock.advance(1_000);
    const firstAgain = await server.refresh(first);
    server.clock.advance(1_000);
    await server.events();
    const third = await server.login({ client_id: 'tv' });
    const events = await server.events();
    expect(events.map(({ type, data }) => [type, data.sid, data.cause])).toEqual([
      ['family.revoked', second.session_id, 'session_limit'],
      ['login.succeeded', third.session_id, undefined],
    ]);
    for (const { access_token } of [firstAgain, third, bob, elsewhere])
      expect(await server.verify(access_token)).toMatchObject({ active: true });
    expect(await server.verify(second.access_token)).toEqual({ active: false, reason: 'revoked' });
  });

  test('sessions that have run out take no room under --max-sessions', async () => {
    const server = await prepare();
    await server.addClient('tv', { isPublic: true, policy: { maxSessions: 1, idleTimeout: 60_000 as never } });
    await server.login({ client_id: 'tv' });
    server.clock.advance(60_000);
    await server.events();
    await server.login({ client_id: 'tv' });
    await expectEvents(server, 'login.succeeded');
  });

  test('nothing that a login was sent is in the log', async () => {
    const server = await prepare();
    await server.login();
    await server.tryLogin({ password: 'marker-of-a-wrong-password' });
    expect(server.log()).toMatch(/login 200/);
    expect(server.log()).not.toContain(PASSWORD);
    expect(server.log()).not.toContain('marker-of-a-wrong-password');
    expect(server.log()).not.toContain(`"${USERNAME}"`);
  });
});
