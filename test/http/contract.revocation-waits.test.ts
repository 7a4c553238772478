/** `GET /revocations` with `wait`: contract §11. */
import { expect, test } from 'vitest';
import { endAll } from '../../src/operations/end-all.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { ask, end, read, sidsOf } from '../support/revocation-feed.ts';
import { startTestServer } from '../support/test-server.ts';
import { until } from '../support/until.ts';

describeOnBothDatabases('waiting for the revocation feed', (makeDatabase) => {
  test('lets a reader wait, on this server and on another, and answers with the first entry', async () => {
    const url = await makeDatabase();
    const server = await startTestServer({ url });
    const other = await startTestServer({ url, beside: server });
    let { cursor } = await read(server);
    for (const [waits, ends] of [
      [server, server],
      [other, server],
      [server, other],
    ] as const) {
      const { refresh_token, session_id } = await server.login();
      const answering = Promise.all([read(waits, `?after=${cursor}&wait=5s`), read(waits, `?after=${cursor}&wait=5s`)]);
      await until(() => waits.app.feed.waiting() === 2, 'both wait');
      await ends.post('/logout', { refresh_token });
      const ended = performance.now();
      const [answer, twin] = await answering;
      expect(performance.now() - ended).toBeLessThan(1_000);
      expect(answer).toMatchObject({ entries: [{ sid: session_id }], reset: false });
      expect(twin).toEqual(answer);
      ({ cursor } = answer);
    }
    expect(server.app.feed.waiting() + other.app.feed.waiting()).toBe(0);
  });

  test('tells who waits of a new epoch', async () => {
    const server = await startTestServer({ url: await makeDatabase() });
    const { session_id } = await server.login();
    const { cursor } = await read(server);
    const answering = read(server, `?after=${cursor}&wait=5s`);
    await until(() => server.app.feed.waiting() === 1, 'it waits');
    await endAll(server.app, { revocation: { cause: 'restored' } });
    const answer = await answering;
    expect(answer.reset).toBe(true);
    const rest = await read(server, `?after=${answer.cursor}`);
    expect([...sidsOf(answer), ...sidsOf(rest)]).toEqual([session_id]);
  });

  test('answers without an entry when the wait is over', async () => {
    const server = await startTestServer({ url: await makeDatabase() });
    await end(server);
    const { cursor } = await read(server);
    for (const wait of ['0s', '250ms', '1s']) {
      const asked = performance.now();
      expect(await read(server, `?after=${cursor}&wait=${wait}`)).toEqual({ entries: [], cursor, reset: false });
      const least = { '0s': 0, '250ms': 245, '1s': 995 }[wait] ?? 0;
      expect(performance.now() - asked).toBeGreaterThanOrEqual(least);
    }
  });

  test('keeps nobody from working while many wait, and no time-out cuts their wait', async () => {
    const config = { 'server.maxInFlight': 1, 'server.requestTimeout': '1s' };
    const server = await startTestServer({ url: await makeDatabase(), config });
    const { cursor } = await read(server);
    const waiting = Array.from({ length: 5 }, () => read(server, `?after=${cursor}&wait=1500ms`));
    await until(() => server.app.feed.waiting() === 5, 'all wait');
    const pair = await server.login();
    expect(await server.verify(pair.access_token)).toMatchObject({ active: true });
    expect(await Promise.all(waiting)).toEqual(Array(5).fill({ entries: [], cursor, reset: false }));
  });

  test('lets go of a reader that has gone', async () => {
    const server = await startTestServer({ url: await makeDatabase() });
    const { cursor } = await read(server);
    const leaving = new AbortController();
    const path = `/revocations?after=${cursor}&wait=5s`;
    const waiting = server.send({ path, headers: server.api.basic, signal: leaving.signal });
    await until(() => server.app.feed.waiting() === 1, 'it waits');
    leaving.abort();
    await expect(waiting).rejects.toThrow();
    const left = performance.now();
    await until(() => server.app.feed.waiting() === 0, 'nobody waits');
    expect(performance.now() - left).toBeLessThan(2_000);
  });

  test('answers who waits when the server stops, before anything else', async () => {
    const server = await startTestServer({ url: await makeDatabase(), config: { 'server.shutdownTimeout': '15s' } });
    const { cursor } = await read(server);
    const waiting = ask(server, `?after=${cursor}&wait=5s`);
    await until(() => server.app.feed.waiting() === 1, 'it waits');
    const asked = performance.now();
    const stopped = server.stop();
    expect(await waiting).toMatchObject({
      status: 200,
      headers: { connection: 'close' },
      body: { entries: [], cursor, reset: false },
    });
    await stopped;
    expect(performance.now() - asked).toBeLessThan(2_000);
  });
});
