/** `GET /revocations` as server-sent events: contract §11. */
import net from 'node:net';
import pg from 'pg';
import { expect, test } from 'vitest';
import { rotateClientSecret } from '../../src/operations/clients.ts';
import { endAll } from '../../src/operations/end-all.ts';
import { describeOnBothDatabases, makeDatabase as makeOne } from '../support/databases.ts';
import { type EventReader, openEvents } from '../support/event-reader.ts';
import { expectRefusal } from '../support/expectations.ts';
import { openTcpProxy } from '../support/tcp-proxy.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { until } from '../support/until.ts';

/** A session that has just ended. @returns its id */
async function end(server: TestServer): Promise<string> {
  const { refresh_token, session_id } = await server.login();
  expect((await server.post('/logout', { refresh_token })).status).toBe(204);
  return session_id;
}

describeOnBothDatabases('the revocation feed as events', (makeDatabase) => {
  const listen = (server: TestServer, path = '/revocations', headers = {}): Promise<EventReader> =>
    openEvents(server.port, { path, headers: { ...server.api.basic, ...headers } });

  const idsOf = (reader: EventReader): string[] => reader.messages.map(({ id }) => id);

  test('is a message for each entry, as JSON has it, and a comment behind the last', async () => {
    const server = await startTestServer({ url: await makeDatabase() });
    await end(server);
    await end(server);
    const { body } = await server.send({ path: '/revocations', headers: server.api.basic });
    const entries = body.entries as { readonly cursor: string }[];
    const reader = await listen(server);
    expect(reader).toMatchObject({
      status: 200,
      headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store' },
    });
    await until(() => reader.comments() === 1, 'there is nothing else');
    expect(reader.messages).toEqual(entries.map((entry) => ({ event: 'message', id: entry.cursor, data: entry })));
    const sid = await end(server);
    const [, , third] = await reader.hear(3);
    expect(third).toMatchObject({ event: 'message', data: { sid, cursor: third?.id } });
    reader.close();
  });

  test('says at least every three seconds that it is there', async () => {
    const server = await startTestServer({ url: await makeDatabase() });
    const reader = await listen(server);
    await until(() => reader.comments() === 1, 'the stream has begun');
    const begun = performance.now();
    await until(() => reader.comments() === 2, 'it is still there');
    expect(performance.now() - begun).toBeGreaterThan(2_500);
    expect(performance.now() - begun).toBeLessThan(4_000);
    expect(reader.messages).toEqual([]);
    reader.close();
  });

  test('tells of what another server has ended within a second', async () => {
    const url = await makeDatabase();
    const server = await startTestServer({ url });
    const other = await startTestServer({ url, beside: server });
    const reader = await listen(server);
    await until(() => reader.comments() === 1, 'the stream has begun');
    for (let count = 1; count <= 5; count += 1) {
      const sid = await end(other);
      const ended = performance.now();
      expect((await reader.hear(count)).at(-1)?.data.sid).toBe(sid);
      expect(performance.now() - ended).toBeLessThan(1_000);
    }
    reader.close();
  });

  test('goes on from Last-Event-ID, which wins over after', async () => {
    const server = await startTestServer({ url: await makeDatabase() });
    for (let count = 0; count < 3; count += 1) await end(server);
    const { body } = await server.send({ path: '/revocations', headers: server.api.basic });
    const [one, two, three] = (body.entries as { readonly cursor: string }[]).map(({ cursor }) => cursor);
    const cases: readonly (readonly [path: string, headers: object, ids: readonly unknown[]])[] = [
      [`/revocations?after=${one}`, {}, [two, three]],
      ['/revocations', { 'last-event-id': two }, [three]],
      [`/revocations?after=${three}`, { 'last-event-id': one }, [two, three]],
      [`/revocations?after=${one}`, { 'last-event-id': '' }, [two, three]],
      [`/revocations?after=${three}&wait=5s`, { accept: 'text/html, text/Event-Stream;q=0.5' }, []],
    ];
    for (const [path, headers, ids] of cases) {
      const reader = await listen(server, path, headers);
      await until(() => reader.comments() === 1, 'there is nothing else');
      expect(idsOf(reader), path).toEqual(ids);
      reader.close();
    }
    for (const id of ['x', '1', `${one}, ${two}`]) {
      const headers = { ...server.api.basic, accept: 'text/event-stream', 'last-event-id': id };
      const answer = await server.send({ path: '/revocations', headers });
      expectRefusal(answer, 400, 'invalid_request', { names: 'Last-Event-ID' });
    }
    const plain = await server.send({
      path: `/revocations?after=${two}`,
      headers: { ...server.api.basic, 'last-event-id': 'x', accept: '*/*' },
    });
    expect(plain.body).toMatchObject({ entries: [{ cursor: three }] });
  });

  test('says by an event named reset that a cursor is not of it, and then everything that is live', async () => {
    const server = await startTestServer({ url: await makeDatabase() });
    const sid = await end(server);
    const reader = await listen(server, '/revocations', { 'last-event-id': 'x.7' });
    const [reset, entry] = await reader.hear(2);
    expect(reset).toEqual({ event: 'reset', id: reset?.data.cursor, data: { cursor: reset?.id } });
    expect(entry).toMatchObject({ event: 'message', data: { sid } });
    reader.close();
    // Who loses the connection right after it loses no entry.
    const again = await listen(server, '/revocations', { 'last-event-id': reset?.id ?? '' });
    expect(await again.hear(1)).toEqual([entry]);
    again.close();
  });

  test('tells a reader of a new epoch, and goes on with it', async () => {
    const server = await startTestServer({ url: await makeDatabase() });
    const first = await end(server);
    const { session_id } = await server.login();
    const reader = await listen(server);
    await until(() => reader.comments() === 1, 'the stream has begun');
    await endAll(server.app, { revocation: { cause: 'restored' } });
    const [old, reset, fresh] = await reader.hear(3);
    expect([old?.data.sid, reset?.event, fresh?.data.sid]).toEqual([first, 'reset', session_id]);
    expect(old?.id.split('.')[0]).not.toBe(fresh?.id.split('.')[0]);
    const next = await end(server);
    expect((await reader.hear(4)).at(-1)?.data.sid).toBe(next);
    reader.close();
  });

  test('ends for a client whose secret was rotated, and asks anew who comes again', async () => {
    const server = await startTestServer({ url: await makeDatabase() });
    const reader = await listen(server);
    await until(() => reader.comments() === 1, 'the stream has begun');
    await rotateClientSecret(server.app, 'api');
    server.clock.advance(2_000);
    await until(() => reader.state() === 'whole', 'the stream has ended');
    expect((await listen(server)).status).toBe(401);
  });

  test('ends when the server stops, without a wait for it', async () => {
    const server = await startTestServer({ url: await makeDatabase(), config: { 'server.shutdownTimeout': '15s' } });
    const readers = await Promise.all(Array.from({ length: 20 }, () => listen(server)));
    await until(() => server.app.feed.waiting() === 20, 'all listen');
    const asked = performance.now();
    await server.stop();
    expect(performance.now() - asked).toBeLessThan(2_000);
    await until(() => readers.every((reader) => reader.state() === 'whole'), 'all streams have ended');
  });

  test('counts as no request in flight, and no time-out cuts it', async () => {
    const config = { 'server.maxInFlight': 1, 'server.requestTimeout': '1s' };
    const server = await startTestServer({ url: await makeDatabase(), config });
    const readers = await Promise.all(Array.from({ length: 5 }, () => listen(server)));
    await until(() => readers.every((reader) => reader.comments() === 2), 'all streams have lasted');
    const sid = await end(server);
    for (const reader of readers) {
      expect((await reader.hear(1))[0]?.data.sid).toBe(sid);
      reader.close();
    }
  });

  test('answers HEAD with its headers alone', async () => {
    const server = await startTestServer({ url: await makeDatabase() });
    const headers = { ...server.api.basic, accept: 'text/event-stream' };
    const head = await server.send({ method: 'HEAD', path: '/revocations', headers });
    expect(head).toMatchObject({ status: 200, text: '', headers: { 'content-type': 'text/event-stream' } });
    expect(server.app.feed.waiting()).toBe(0);
  });

  test('is whole and in order however long it is, to a reader that is slow too', async () => {
    const server = await startTestServer({ url: await makeDatabase() });
    await server.app.store.write(async (tx) => {
      for (let index = 0; index < 3_000; index += 1) tx.feed.push({ kid: `kid-${index}` as never });
    });
    const socket = net.connect(server.port, '127.0.0.1');
    socket.pause();
    const { authorization } = server.api.basic;
    socket.write(
      `GET /revocations HTTP/1.0\r\nHost: a\r\nAccept: text/event-stream\r\nAuthorization: ${authorization}\r\n\r\n`,
    );
    const reader = await listen(server);
    const messages = await reader.hear(3_000);
    expect(messages.map(({ data }) => data.kid)).toEqual(Array.from({ length: 3_000 }, (_, index) => `kid-${index}`));
    reader.close();
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    socket.resume();
    await until(() => text.split('\ndata: ').length === 3_001, 'the slow one has everything');
    socket.destroy();
  });
});

test('a Postgres that goes away ends streams and waits alike: nobody takes its silence for news of nothing', async () => {
  const url = new URL(await makeOne('postgres'));
  const server = await startTestServer({ url: url.href });
  const { basic } = server.api;
  const { body } = await server.send({ path: '/revocations', headers: basic });
  const ask = (query = '') => server.send({ path: `/revocations${query}`, headers: basic });
  const reader = await openEvents(server.port, { headers: basic });
  const waiting = ask(`?after=${body.cursor}&wait=5s`);
  await until(() => server.app.feed.waiting() === 2, 'both wait');

  const admin = new pg.Client({ connectionString: url.href.replace(/[^/]*$/, 'postgres') });
  await admin.connect();
  const name = url.pathname.slice(1);
  await admin.query(`alter database ${name} allow_connections false`);
  await admin.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name]);
  expectRefusal(await waiting, 503, 'temporarily_unavailable');
  await until(() => reader.state() !== 'open', 'the stream has ended');
  expect(reader.state()).toBe('cut');
  expectRefusal(await ask(), 503, 'temporarily_unavailable');

  await admin.query(`alter database ${name} allow_connections true`);
  await admin.end();
  await until(async () => (await ask()).status === 200, 'the server has healed');
});

test('a Postgres that swallows questions makes no silence that looks like one: no comment, no empty answer', async () => {
  const url = new URL(await makeOne('postgres'));
  const quick = await startTestServer({ url: url.href });
  const proxy = await openTcpProxy(Number(url.port));
  url.port = String(proxy.port);
  const server = await startTestServer({ url: url.href, beside: quick });
  const { basic } = server.api;
  const { body } = await server.send({ path: '/revocations', headers: basic });
  const reader = await openEvents(server.port, { headers: basic });
  const waiting = server.send({ path: `/revocations?after=${body.cursor}&wait=1s`, headers: basic });
  await until(() => server.app.feed.waiting() === 2 && reader.comments() === 1, 'both wait');
  const restore = proxy.swallow();
  const sid = await end(quick);
  expectRefusal(await waiting, 503, 'temporarily_unavailable');
  await until(() => reader.state() === 'cut', 'the stream is cut');
  expect([reader.comments(), reader.messages]).toEqual([1, []]);
  restore();
  await until(
    async () => (await server.send({ path: '/revocations', headers: basic })).status === 200,
    'the server has healed',
  );
  const again = await openEvents(server.port, { path: `/revocations?after=${body.cursor}`, headers: basic });
  expect((await again.hear(1))[0]?.data.sid).toBe(sid);
  again.close();
});
