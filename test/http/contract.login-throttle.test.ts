/** Failed logins are counted by name and by address, blindly, and beyond the limit nobody learns a thing: contract §3. */
import { expect, test } from 'vitest';
import { describeOnBothDatabases } from '../support/databases.ts';
import { expectEvents, expectNoChange, expectRefusal } from '../support/expectations.ts';
import type { Answer } from '../support/http-client.ts';
import { type LoginOptions, startTestServer, type TestServer } from '../support/test-server.ts';

const MINUTE = 60_000;

function expectThrottled(answer: Answer, seconds: number): void {
  expectRefusal(answer, 429, 'too_many_attempts');
  expect(answer.headers['retry-after']).toBe(String(seconds));
}

async function fail(server: TestServer, times: number, options: LoginOptions): Promise<void> {
  for (let count = 0; count < times; count += 1) {
    expectRefusal(await server.tryLogin({ password: 'wrong', ...options }), 401, 'invalid_credentials');
  }
}

describeOnBothDatabases('login throttle', (makeDatabase) => {
  const prepare = async (config: Readonly<Record<string, unknown>> = {}): Promise<TestServer> =>
    startTestServer({ url: await makeDatabase(), config: { 'login.maxFailuresPerUser': 3, ...config } });

  test('by default the eleventh failure of a name within the window is 429', async () => {
    const server = await prepare({ 'login.maxFailuresPerUser': undefined });
    await fail(server, 10, {});
    expectThrottled(await server.tryLogin({ password: 'wrong' }), 900);
  });

  test('beyond the limit the right password, a wrong one and an unknown name get the same 429 (L10, I24)', async () => {
    const server = await prepare();
    await fail(server, 3, {});
    await fail(server, 3, { username: 'nobody' });
    server.clock.advance(MINUTE);
    const answers = [
      await server.tryLogin(),
      await server.tryLogin({ password: 'wrong' }),
      await server.tryLogin({ username: 'nobody' }),
    ];
    for (const answer of answers) {
      expectThrottled(answer, 840);
      expect(answer.text).toBe(answers[0]?.text);
    }
    const failed = Array.from({ length: 6 }, () => 'login.failed');
    const events = await server.events();
    expect(events.map(({ type }) => type)).toEqual([...failed, 'login.throttled', 'login.throttled']);
    expect(events.at(-1)?.data).toEqual({
      username_hash: expect.any(String),
      by: 'username',
      ip: '127.0.0.1',
      user_agent: null,
    });
  });

  test('who is throttled writes one event a window, and changes nothing else', async () => {
    const server = await prepare();
    await fail(server, 3, {});
    expectThrottled(await server.tryLogin(), 900);
    await expectNoChange(server, async () => {
      for (let count = 0; count < 5; count += 1) expectThrottled(await server.tryLogin(), 900);
    });
  });

  test('every spelling of a name is counted as one (L7)', async () => {
    const server = await prepare();
    await server.addUser('Zo\u00eb');
    for (const username of ['ZO\u00cb', ' zo\u00eb', 'Zoe\u0308']) await fail(server, 1, { username });
    expectThrottled(await server.tryLogin({ username: 'zo\u00eb' }), 900);
  });

  test('another name from the same address is served, until the address is over its own limit (L11)', async () => {
    const server = await prepare({ 'login.maxFailuresPerAddress': 5, 'server.trustedProxies': ['127.0.0.1'] });
    const from = (ip: string): LoginOptions => ({ headers: { 'x-forwarded-for': ip } });
    for (const username of ['a', 'b', 'c', 'd', 'e']) await fail(server, 1, { username, ...from('192.0.2.1') });
    await server.events();
    expectThrottled(await server.tryLogin(from('192.0.2.1')), 900);
    expect((await server.events()).map(({ type, data }) => [type, data.by, data.ip])).toEqual([
      ['login.throttled', 'address', '192.0.2.1'],
    ]);
    await server.login(from('192.0.2.2'));
    // An IPv6 caller has a whole /64.
    for (const [index, username] of ['a', 'b', 'c', 'd', 'e'].entries())
      await fail(server, 1, { username, ...from(`2001:db8::${index}`) });
    expectThrottled(await server.tryLogin(from('2001:db8::ffff')), 900);
    await server.login(from('2001:db8:0:1::1'));
  });

  test('the window counts from the first failure, and after it the name is served again (L12)', async () => {
    const server = await prepare();
    await fail(server, 1, {});
    server.clock.advance(10 * MINUTE);
    await fail(server, 2, {});
    expectThrottled(await server.tryLogin(), 300);
    server.clock.advance(5 * MINUTE - 1);
    expectThrottled(await server.tryLogin(), 1);
    server.clock.advance(1);
    await server.login();
    await fail(server, 3, {});
    expectThrottled(await server.tryLogin(), 900);
  });

  test('a success resets the count of the name, not that of the address (L12)', async () => {
    const server = await prepare({ 'login.maxFailuresPerAddress': 4 });
    await fail(server, 2, {});
    await server.login();
    await fail(server, 2, {});
    expectThrottled(await server.tryLogin(), 900);
  });

  test('a throttled name costs no session: refresh and verify go on (T9)', async () => {
    const server = await prepare();
    const pair = await server.login();
    await fail(server, 3, {});
    expectThrottled(await server.tryLogin(), 900);
    const next = await server.refresh(pair);
    expect(await server.verify(next.access_token)).toMatchObject({ active: true });
  });

  test('servers of one database count together, and a restart does not forget', async () => {
    const url = await makeDatabase();
    const server = await startTestServer({ url, config: { 'login.maxFailuresPerUser': 3 } });
    const other = await startTestServer({ url, beside: server, config: { 'login.maxFailuresPerUser': 3 } });
    await fail(server, 2, {});
    await fail(other, 1, {});
    expectThrottled(await server.tryLogin(), 900);
    expectThrottled(await other.tryLogin(), 900);
    await other.stop();
    const restarted = await startTestServer({ url, beside: server, config: { 'login.maxFailuresPerUser': 3 } });
    expectThrottled(await restarted.tryLogin(), 900);
  });

  test('of attempts side by side no more than the limit learn whether the password was right', async () => {
    const server = await prepare();
    const answers = await Promise.all(Array.from({ length: 12 }, () => server.tryLogin({ password: 'wrong' })));
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(3);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(9);
    expectThrottled(await server.tryLogin(), 900);
    const failed = Array.from({ length: 3 }, () => 'login.failed');
    await expectEvents(server, ...failed, 'login.throttled');
  });

  test('nor do they on servers side by side, which count in one place', async () => {
    const url = await makeDatabase();
    const config = { 'login.maxFailuresPerUser': 3 };
    const server = await startTestServer({ url, config });
    const others = [0, 1].map(() => startTestServer({ url, config, beside: server }));
    const servers = [server, ...(await Promise.all(others))];
    for (const username of ['one', 'two', 'three', 'four']) {
      const attempts = servers.flatMap((one) =>
        Array.from({ length: 6 }, () => one.tryLogin({ username, password: 'wrong' })),
      );
      const statuses = (await Promise.all(attempts)).map(({ status }) => status).toSorted();
      expect(statuses).toEqual([...Array(3).fill(401), ...Array(15).fill(429)]);
      const failed = ['login.failed', 'login.failed', 'login.failed'];
      expectThrottled(await server.tryLogin({ username }), 900);
      await expectEvents(server, ...failed, 'login.throttled');
    }
  });
});
