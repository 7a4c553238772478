/** `users.http.statusUrl` (contract §6, security row U14): a refresh asks whether the subject is still active. */
import { expect, test } from 'vitest';
import { describeOnBothDatabases } from '../support/databases.ts';
import { says, startStubUserService } from '../support/stub-user-service.ts';
import { expectUnavailable, REST_MS, startWith } from './support.ts';

const ACTIVE = says(200, { sub: 'user-1', active: true });

describeOnBothDatabases('the status of a subject', (makeOne) => {
  test('an answer that is none changes nothing: the same refresh token is good afterwards (U14, R18)', async () => {
    const service = await startStubUserService();
    const server = await startWith(await makeOne(), service, { 'users.http.timeout': '3s' });
    service.behave(ACTIVE);
    const pair = await server.login();
    const before = await server.dump();
    const rows = [
      says(200, { active: 'yes' }),
      says(200, {}),
      says(200, { active: null }),
      says(200, { active: 1 }),
      says(200, { active: true, claims: [] }),
      says(200, '{'),
      says(200, { active: true }, { 'content-encoding': 'gzip' }),
      says(204),
      says(302, { active: true }, { location: '/elsewhere' }),
      says(401),
      says(403),
      says(404),
      says(500),
      () => undefined,
    ];
    for (const behaviour of rows) {
      service.behave(behaviour);
      expectUnavailable(await server.tryRefresh(pair, { key: 'one' }));
      expect(await server.dump()).toEqual(before);
      server.clock.advance(REST_MS);
    }
    service.behave(ACTIVE);
    await server.refresh(pair, { key: 'one' });
  });

  test('a subject that is no longer active loses the session, and the event says why', async () => {
    const service = await startStubUserService();
    const server = await startWith(await makeOne(), service);
    service.behave(ACTIVE);
    const [pair, other] = [await server.login(), await server.login()];
    await server.events();
    service.behave(says(200, { active: false, claims: 'not looked at' }));
    const refused = await server.tryRefresh(pair);
    expect([refused.status, refused.body.reason]).toEqual([401, 'revoked']);
    expect(await server.verify(pair.access_token)).toEqual({ active: false, reason: 'revoked' });
    expect(await server.events()).toMatchObject([
      { type: 'family.revoked', data: { sid: pair.session_id, cause: 'subject_disabled' } },
    ]);
    expect((await server.family(other.session_id)).revoked).toBeNull();
    // As any refusal that a session stands behind: a line that names it, at the level of such lines.
    const line = server.log().match(/^.*refresh 401 revoked.*$/m)?.[0] ?? '{}';
    expect(JSON.parse(line)).toMatchObject({ level: 'info', subject: 'user-1', sid: expect.any(String) });
  });

  test('only what would be rotated or replayed is asked about', async () => {
    const service = await startStubUserService();
    const server = await startWith(await makeOne(), service);
    service.behave(ACTIVE);
    const first = await server.login();
    const second = await server.refresh(first, { key: 'one' });
    await server.refresh(first, { key: 'one' });
    expect(service.questions().map(({ url, body }) => [url, Object.keys(body)])).toEqual([
      ['/login', ['username', 'password', 'client_id', 'ip', 'user_agent']],
      ['/status', ['sub']],
      ['/status', ['sub']],
    ]);
    // A thief gets no time by a service that hangs: reuse ends the family without it.
    service.behave(() => undefined);
    const third = await server.tryRefresh({ ...second, access_token: 'junk' });
    expect(third.body.reason).toBe('mismatch');
    const reused = await server.tryRefresh(first);
    expect(reused.body.reason).toBe('reused');
    expect(service.questions()).toEqual([]);
  });
});

describeOnBothDatabases('the status at a refresh', (makeOne) => {
  test('claims of a refresh are those of the status, never those of the old token', async () => {
    const service = await startStubUserService();
    const server = await startWith(await makeOne(), service, { 'tokens.claims': ['role'] });
    service.behave(says(200, { sub: 'user-1', claims: { role: 'admin' } }));
    const pair = await server.login();
    expect(await server.verify(pair.access_token)).toMatchObject({ role: 'admin' });
    service.behave(says(200, { active: true, claims: { role: 'guest', iss: 'evil' } }));
    const demoted = await server.refresh(pair);
    expect(await server.verify(demoted.access_token)).toMatchObject({ role: 'guest', iss: 'https://auth.example' });
    service.behave(says(200, { active: true }));
    const stripped = await server.refresh(demoted);
    expect(await server.verify(stripped.access_token)).not.toHaveProperty('role');
  });

  test('without a statusUrl a refresh asks nobody', async () => {
    const service = await startStubUserService();
    const server = await startWith(await makeOne(), service, { 'users.http.statusUrl': null });
    const pair = await server.login();
    service.questions();
    await server.refresh(pair);
    expect(service.questions()).toEqual([]);
  });

  test('a status that fails does not keep users from logging in, nor the other way round', async () => {
    const service = await startStubUserService();
    const server = await startWith(await makeOne(), service);
    service.behave(ACTIVE);
    let pair = await server.login();
    const ill =
      (path: string): Parameters<typeof service.behave>[0] =>
      (outgoing, question, incoming) =>
        (question.url === path ? says(500) : ACTIVE)(outgoing, question, incoming);
    service.behave(ill('/status'));
    for (let count = 0; count < 7; count += 1) expectUnavailable(await server.tryRefresh(pair));
    pair = await server.login();
    service.behave(ill('/login'));
    server.clock.advance(REST_MS);
    for (let count = 0; count < 7; count += 1) expectUnavailable(await server.tryLogin());
    await server.refresh(pair);
  });
});
