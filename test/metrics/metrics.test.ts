/** `/metrics` (contract §4): what is counted, where it is shown, and what it costs. */
import { expect, test } from 'vitest';
import { makeMetrics, noMetrics } from '../../src/metrics.ts';
import { describeOnBothDatabases, makeDatabase } from '../support/databases.ts';
import { openEvents } from '../support/event-reader.ts';
import { freePort } from '../support/free-port.ts';
import { type HttpClient, makeHttpClient } from '../support/http-client.ts';
import { says, startStubUserService } from '../support/stub-user-service.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { until } from '../support/until.ts';
import { type Family, readExposition } from './exposition.ts';

const NAMES = {
  auth_server_refresh_total: 'counter',
  auth_server_reuse_total: 'counter',
  auth_server_login_total: 'counter',
  auth_server_verify_total: 'counter',
  auth_server_revocations_total: 'counter',
  auth_server_http_request_duration_seconds: 'histogram',
  auth_server_user_directory_duration_seconds: 'histogram',
  auth_server_password_hash_queue: 'gauge',
  auth_server_feed_streams: 'gauge',
  auth_server_keys: 'gauge',
  auth_server_deliveries: 'gauge',
  auth_server_oldest_delivery_seconds: 'gauge',
} as const;

interface Watched {
  readonly server: TestServer;
  readonly metrics: HttpClient;
  look(): Promise<ReadonlyMap<string, Family>>;
  /** Series that are not zero, without the prefix. */
  counts(name: keyof typeof NAMES): Promise<Record<string, number>>;
}

async function startWatched(url: string, config: Readonly<Record<string, unknown>> = {}): Promise<Watched> {
  const port = await freePort();
  const server = await startTestServer({ url, config: { 'metrics.listen': `127.0.0.1:${port}`, ...config } });
  const metrics = makeHttpClient(port);
  const look = async (): Promise<ReadonlyMap<string, Family>> => {
    const answer = await metrics.send({ path: '/metrics' });
    expect(answer.status).toBe(200);
    expect(answer.headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4(; charset=utf-8)?$/);
    return readExposition(answer.text);
  };
  return {
    server,
    metrics,
    look,
    counts: async (name) => {
      const samples = (await look()).get(name)?.samples ?? new Map<string, number>();
      const set = [...samples].filter(([, value]) => value !== 0);
      return Object.fromEntries(set.map(([series, value]) => [series.slice(name.length), value]));
    },
  };
}

describeOnBothDatabases('the metrics', (makeOne) => {
  test('count what came of refreshes, logins, questions and revocations', async () => {
    const { server, metrics, counts } = await startWatched(await makeOne());
    const [first, second, third] = [await server.login(), await server.login(), await server.login()];
    await server.tryLogin({ password: 'wrong' });
    const next = await server.refresh(first, { key: 'one' });
    await server.refresh(first, { key: 'one' });
    await server.refresh(next);
    await server.tryRefresh(first);
    await server.tryRefresh(first);
    await server.tryRefresh({ ...second, refresh_token: 'junk' });
    await server.verify(second.access_token);
    await server.verify(first.access_token);
    await server.forwardAuth('junk');
    await server.post('/logout', { refresh_token: second.refresh_token });
    await server.post('/logout', { refresh_token: second.refresh_token });
    await server.post('/logout', { refresh_token: third.refresh_token, everywhere: true });

    expect(await counts('auth_server_login_total')).toEqual({
      '{outcome="issued"}': 3,
      '{outcome="rejected"}': 1,
    });
    expect(await counts('auth_server_refresh_total')).toEqual({
      '{outcome="rotated"}': 2,
      '{outcome="replayed"}': 1,
      '{outcome="reused"}': 1,
      '{outcome="revoked"}': 1,
      '{outcome="malformed"}': 1,
    });
    expect(await counts('auth_server_reuse_total')).toEqual({ '{class="stale"}': 1 });
    expect(await counts('auth_server_verify_total')).toEqual({
      '{outcome="active"}': 1,
      '{outcome="revoked"}': 1,
      '{outcome="malformed"}': 1,
    });
    expect(await counts('auth_server_revocations_total')).toEqual({ '{cause="reuse"}': 1, '{cause="logout"}': 2 });
    expect(await counts('auth_server_keys')).toEqual({
      '{ring="access",state="next"}': 1,
      '{ring="access",state="active"}': 1,
      '{ring="refresh",state="next"}': 1,
      '{ring="refresh",state="active"}': 1,
    });
    metrics.close();
  });

  test('are not counted for what was rolled back', async () => {
    const { server, metrics, counts } = await startWatched(await makeOne());
    const pair = await server.login();
    const { revokeFamilies } = await import('../../src/store/token-families.ts');
    const failing = server.app.store.write(async (tx) => {
      await revokeFamilies(tx, { family: pair.session_id }, { cause: 'admin' });
      throw new Error('after all not');
    });
    await expect(failing).rejects.toThrow('after all not');
    expect(await counts('auth_server_revocations_total')).toEqual({});
    metrics.close();
  });

  test('the names, types and series are those of the contract, from the start', async () => {
    const { metrics, look } = await startWatched(await makeOne());
    const families = await look();
    expect(Object.fromEntries([...families].map(([name, { type }]) => [name, type]))).toEqual(NAMES);
    const labels = (name: keyof typeof NAMES): string[] =>
      [...(families.get(name)?.samples.keys() ?? [])].map((series) => series.slice(name.length));
    expect(labels('auth_server_refresh_total')).toEqual(
      ['rotated', 'replayed', 'malformed', 'expired', 'mismatch', 'unknown', 'revoked', 'reused'].map(
        (outcome) => `{outcome="${outcome}"}`,
      ),
    );
    expect(labels('auth_server_deliveries')).toEqual(['{state="waiting"}', '{state="pending"}', '{state="dead"}']);
    for (const { help } of families.values()) expect(help).toMatch(/\.$/);
    metrics.close();
  });
});

test('requests are timed by row of the table of paths: callers cannot make series', async () => {
  const { server, metrics, look, counts } = await startWatched(await makeDatabase('sqlite'));
  const admin = await server.addClient('ops', { type: 'admin' });
  for (let index = 0; index < 20; index += 1) {
    await server.send({ path: `/made-up-${index}` });
    await server.send({ path: `/forward-auth/made-up-${index}` });
    await server.send({ path: `/admin/v1/families/made-up-${index}`, headers: admin.basic });
  }
  await server.login();
  const { samples } = (await look()).get('auth_server_http_request_duration_seconds') ?? { samples: new Map() };
  const series = [...samples.keys()].filter((one) => one.includes('_count'));
  expect(series.map((one) => one.replace(/^.*_count/, ''))).toEqual([
    '{route="(unknown)",status="404"}',
    '{route="/forward-auth",status="403"}',
    '{route="/admin/v1/families/{id}",status="400"}',
    '{route="/login",status="200"}',
  ]);
  expect(await counts('auth_server_http_request_duration_seconds')).toHaveProperty(
    '_count{route="(unknown)",status="404"}',
    20,
  );
  metrics.close();
});

test('the user directory is timed, its refusals too', async () => {
  const service = await startStubUserService();
  const { server, metrics, counts } = await startWatched(await makeDatabase('sqlite'), {
    'users.directory': 'http',
    'users.http.url': service.origin,
    'users.http.secret': `whsec_${Buffer.alloc(32, 7).toString('base64')}`,
  });
  await server.login();
  service.behave(says(500));
  await server.tryLogin();
  expect(await counts('auth_server_user_directory_duration_seconds')).toHaveProperty('_count', 2);
  metrics.close();
});

test('they are on their own listener alone, which has nothing else', async () => {
  const { server, metrics } = await startWatched(await makeDatabase('sqlite'));
  expect((await server.send({ path: '/metrics' })).status).toBe(404);
  expect((await metrics.send({ path: '/healthz' })).status).toBe(404);
  expect((await metrics.send({ method: 'HEAD', path: '/metrics' })).status).toBe(200);
  const other = await metrics.send({ method: 'POST', path: '/metrics' });
  expect([other.status, other.headers.allow]).toEqual([405, 'GET, HEAD']);
  metrics.close();
});

test('what cannot be looked up is left out, and the rest is shown', async () => {
  const { server, metrics, look } = await startWatched(await makeDatabase('sqlite'));
  await server.app.store.write((tx) => tx.sql.schema.dropTable('signing_keys').execute());
  const families = await look();
  expect([...(families.get('auth_server_keys')?.samples ?? [])]).toEqual([]);
  expect(families.get('auth_server_password_hash_queue')?.samples.get('auth_server_password_hash_queue')).toBe(0);
  metrics.close();
});

test('the events that wait for a worker show how long they have waited', async () => {
  const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
  const { server, metrics, counts } = await startWatched(await makeDatabase('sqlite'), {
    'events.webhooks': [{ url: 'http://127.0.0.1:9/', secret }],
  });
  await server.login();
  server.clock.advance(90_000);
  expect(await counts('auth_server_oldest_delivery_seconds')).toEqual({ '': 90 });
  metrics.close();
});

test('who waits for the revocation feed is shown while it does', async () => {
  const { server, metrics, counts } = await startWatched(await makeDatabase('sqlite'));
  expect(await counts('auth_server_feed_streams')).toEqual({});
  const streams = await Promise.all([1, 2].map(() => openEvents(server.port, { headers: server.api.basic })));
  await until(async () => (await counts('auth_server_feed_streams'))[''] === 2, 'both are counted');
  for (const stream of streams) stream.close();
  await until(async () => (await counts('auth_server_feed_streams'))[''] === undefined, 'both are gone');
  expect(await counts('auth_server_http_request_duration_seconds')).toHaveProperty(
    '_count{route="/revocations",status="200"}',
    2,
  );
  metrics.close();
});

test('the count of requests makes no series of its own, and nothing is kept when nobody looks', async () => {
  const metrics = await makeMetrics();
  for (const counted of [metrics, noMetrics]) {
    for (let round = 0; round < 1_000; round += 1) {
      counted.verified('active');
      counted.answered('/verify', 200, 0.000_3);
    }
  }
  expect(await noMetrics.render()).toBe('');
  expect(readExposition(await metrics.render()).get('auth_server_verify_total')?.samples.size).toBe(5);
});
