/** Security rows U10 to U13 and U15: a user service that answers, and what comes of its answer. */
import { Webhook } from 'standardwebhooks';
import { expect, test } from 'vitest';
import { describeOnBothDatabases } from '../support/databases.ts';
import { type Behaviour, says, startStubUserService } from '../support/stub-user-service.ts';
import { PASSWORD, USERNAME } from '../support/test-server.ts';
import { until } from '../support/until.ts';
import { expectUnavailable, REST_MS, SECRET, startWith } from './support.ts';

describeOnBothDatabases('users of a service', (makeOne) => {
  test('a user is let in under the sub of the service; the users table is not touched (U13)', async () => {
    const service = await startStubUserService();
    const server = await startWith(await makeOne(), service);
    const users = () => server.app.store.read((db) => db.sql.selectFrom('users').selectAll().execute());
    const before = await users();
    const pair = await server.login();
    expect(await server.verify(pair.access_token)).toMatchObject({ active: true, sub: 'user-1', client_id: 'default' });
    expect((await server.family(pair.session_id)).subject).toBe('user-1');
    expect((await server.events()).map(({ type }) => type)).toEqual(['login.succeeded']);
    expect(await users()).toEqual(before);
    expect(JSON.stringify(await server.dump())).not.toContain(PASSWORD);
  });

  test('logins at once through a client with a session limit all succeed, and the limit holds', async () => {
    const service = await startStubUserService();
    const server = await startWith(await makeOne(), service);
    await server.addClient('tv', { isPublic: true, policy: { maxSessions: 2 } });
    server.clock.advance(2_000);
    // All are answered together, so that their transactions are: no hash and no row of a user puts them in a line.
    const held: (() => void)[] = [];
    service.behave((outgoing, question, incoming) => {
      held.push(() => says(200, { sub: 'user-1' })(outgoing, question, incoming));
    });
    const logins = Promise.all(Array.from({ length: 8 }, () => server.login({ client_id: 'tv' })));
    await until(() => held.length === 8, 'all wait for the service');
    for (const answer of held) answer();
    const verdicts = await Promise.all((await logins).map(({ access_token }) => server.verify(access_token)));
    expect(verdicts.filter(({ active }) => active === true)).toHaveLength(2);
  });

  test('401, 403 and 404 with any body are one refusal, counted like a wrong password (U10)', async () => {
    const service = await startStubUserService();
    const server = await startWith(await makeOne(), service, { 'login.maxFailuresPerUser': 6 });
    const endless: Behaviour = (outgoing) => {
      outgoing.writeHead(404, { 'content-type': 'text/html' });
      const timer = setInterval(() => outgoing.write('<p>no</p>'), 5);
      outgoing.on('close', () => clearInterval(timer));
    };
    const rows = [says(401), says(403, '{'), says(404, '<h1>Not found</h1>'), endless];
    const answers = [];
    for (const behaviour of [...rows, says(401, { sub: 'user-1' }), says(403, 'x'.repeat(1_000_000))]) {
      service.behave(behaviour);
      answers.push(await server.tryLogin());
    }
    for (const { status, text } of answers) expect([status, text]).toEqual([401, answers[0]?.text]);
    expect(answers[0]?.body.error).toBe('invalid_credentials');
    expect((await server.events()).map(({ type }) => type)).toEqual(Array(6).fill('login.failed'));

    service.questions();
    service.behave(says(200, { sub: 'user-1' }));
    expect((await server.tryLogin()).status).toBe(429);
    expect(service.questions(), 'who is throttled costs the service nothing').toEqual([]);
  });

  test('a caller who hangs up has a session all the same, and its event says so (U11)', async () => {
    const service = await startStubUserService();
    const server = await startWith(await makeOne(), service);
    const held = Promise.withResolvers<() => void>();
    service.behave((outgoing, question, incoming) =>
      held.resolve(() => says(200, { sub: 'user-1' })(outgoing, question, incoming)),
    );
    const caller = new AbortController();
    const login = server.send({
      method: 'POST',
      path: '/login',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username: USERNAME, password: PASSWORD }),
      signal: caller.signal,
    });
    const answer = await held.promise;
    caller.abort();
    await expect(login).rejects.toThrow();
    answer();
    const events: Awaited<ReturnType<typeof server.events>> = [];
    await until(async () => events.push(...(await server.events())) > 0, 'the login is recorded');
    expect(events).toMatchObject([{ type: 'login.succeeded', data: { subject: 'user-1' } }]);
    expect((await server.family(String(events[0]?.data.sid))).revoked).toBeNull();
  });

  test('another sub for the same name is another person: own sessions, none of the old ones (U15)', async () => {
    const service = await startStubUserService();
    const server = await startWith(await makeOne(), service);
    service.behave(says(200, { sub: 'old', active: true }));
    const old = await server.login();
    service.behave(says(200, { sub: 'new', active: true }));
    const fresh = await server.login();
    expect(fresh.session_id).not.toBe(old.session_id);
    expect(await server.verify(fresh.access_token)).toMatchObject({ active: true, sub: 'new' });
    const sessions = async (token: string) => {
      const { body } = await server.post('/sessions', { refresh_token: token });
      return (body.sessions as { sid: string }[]).map(({ sid }) => sid);
    };
    expect(await sessions(fresh.refresh_token)).toEqual([fresh.session_id]);
    expect(await sessions(old.refresh_token)).toEqual([old.session_id]);
    const everywhere = await server.post('/logout', { refresh_token: fresh.refresh_token, everywhere: true });
    expect(everywhere.status).toBe(204);
    expect(await server.verify(old.access_token)).toMatchObject({ active: true, sub: 'old' });
  });
});

describeOnBothDatabases('questions to a user service', (makeOne) => {
  test('what a service receives is signed, fresh, unique, and has the five members alone (U13)', async () => {
    const service = await startStubUserService();
    const server = await startWith(await makeOne(), service);
    const app = await server.addClient('shop');
    await server.login({ headers: { 'user-agent': 'Browser/1' } });
    await server.login({ client_id: 'shop', headers: app.basic, username: ' Ада ', device: 'phone' });
    await server.tryLogin({ password: 'päss"\\word' });
    const questions = service.questions();
    expect(questions.map(({ body }) => body)).toEqual([
      { username: USERNAME, password: PASSWORD, client_id: 'default', ip: '127.0.0.1', user_agent: 'Browser/1' },
      { username: ' Ада ', password: PASSWORD, client_id: 'shop', ip: '127.0.0.1', user_agent: null },
      { username: USERNAME, password: 'päss"\\word', client_id: 'default', ip: '127.0.0.1', user_agent: null },
    ]);
    const webhook = new Webhook(SECRET);
    for (const { url, headers, text } of questions) {
      expect(url).toBe('/login');
      expect(headers['content-type']).toBe('application/json');
      const seconds = Number(headers['webhook-timestamp']);
      expect(seconds).toBe(Math.floor(server.clock.now() / 1_000));
      const signature = webhook.sign(String(headers['webhook-id']), new Date(seconds * 1_000), text);
      expect(headers['webhook-signature']).toBe(signature);
      expect(JSON.stringify([url, headers])).not.toContain(PASSWORD);
      expect(headers.authorization).toBeUndefined();
    }
    expect(new Set(questions.map(({ headers }) => headers['webhook-id'])).size).toBe(questions.length);
    expect(server.log()).not.toContain(PASSWORD);
  });

  test('a service that fails again and again is left alone, tried again, and used again (U12)', async () => {
    const service = await startStubUserService();
    const server = await startWith(await makeOne(), service);
    service.behave(says(500));
    for (let failures = 0; failures < 10; failures += 1) expectUnavailable(await server.tryLogin());
    expect(service.questions(), 'open after five').toHaveLength(5);

    // Healthy again, but nobody asks before its rest is over, whatever an operator does to the wall clock.
    service.behave(says(200, { sub: 'user-1' }));
    server.clock.advance(REST_MS - 1);
    const refused = await server.tryLogin();
    expectUnavailable(refused);
    expect(refused.headers['retry-after']).toBe('1');
    server.clock.advance(-3_600_000);
    expectUnavailable(await server.tryLogin());
    expect(service.questions()).toEqual([]);
    server.clock.advance(1);

    // One question tries; who comes meanwhile is refused at once and not made to wait for it.
    const held = Promise.withResolvers<() => void>();
    service.behave((outgoing, question, incoming) =>
      held.resolve(() => says(200, { sub: 'user-1' })(outgoing, question, incoming)),
    );
    const trial = server.tryLogin();
    const answer = await held.promise;
    expectUnavailable(await server.tryLogin());
    answer();
    expect((await trial).status).toBe(200);
    expect(service.questions()).toHaveLength(1);

    service.behave(says(200, { sub: 'user-1' }));
    await server.login();
    expect(server.log()).toMatch(/left alone.*\n(.*\n)*.*answers again/);

    // It falls ill again, and stays so at the trial.
    service.behave(says(503));
    for (let failures = 0; failures < 6; failures += 1) expectUnavailable(await server.tryLogin());
    server.clock.advance(REST_MS);
    expectUnavailable(await server.tryLogin());
    expectUnavailable(await server.tryLogin());
    expect(service.questions()).toHaveLength(1 + 5 + 1);
  });

  test('a "no", and an answer that means nothing, are no reason to leave a service alone (U12)', async () => {
    const service = await startStubUserService();
    const config = { 'login.maxFailuresPerUser': 1_000, 'login.maxFailuresPerAddress': 1_000 };
    const server = await startWith(await makeOne(), service, config);
    for (let count = 0; count < 8; count += 1) {
      service.behave(says(401));
      expect((await server.tryLogin()).status).toBe(401);
      service.behave(says(200, { sub: '' }));
      expectUnavailable(await server.tryLogin());
    }
    expect(service.questions()).toHaveLength(16);
  });
});
