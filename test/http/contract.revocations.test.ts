/** `GET /revocations` as JSON: contract §11. */
import { expect, onTestFinished, test } from 'vitest';
import { type App, closeApp, openApp } from '../../src/app.ts';
import type { KeyId } from '../../src/domain/ids.ts';
import { durationMs, toRfc3339 } from '../../src/domain/time.ts';
import { endAll } from '../../src/operations/end-all.ts';
import { revoke } from '../../src/operations/revoke.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { expectRefusal } from '../support/expectations.ts';
import { ask, end, read, sidsOf } from '../support/revocation-feed.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

const LIFETIME = 300_000;

describeOnBothDatabases('the revocation feed', (makeDatabase) => {
  /** So many entries at once; their families need not exist. */
  const fill = (server: TestServer, count: number): Promise<void> =>
    server.app.store.write(async (tx) => {
      for (let index = 0; index < count; index += 1) tx.feed.push({ kid: `kid-${index}` as KeyId });
    });

  test('begins with the whole live set, and goes on from a cursor', async () => {
    const server = await startTestServer({ url: await makeDatabase() });
    const empty = await read(server);
    expect(empty).toEqual({ entries: [], cursor: expect.stringMatching(/^[0-9a-f-]{36}\.0$/), reset: true });
    const [epoch] = empty.cursor.split('.');

    const first = await end(server);
    const at = server.clock.now();
    server.clock.advance(1_000);
    const second = await end(server);
    const whole = await read(server);
    expect(whole).toEqual({
      entries: [
        { cursor: `${epoch}.1`, sid: first, revoked_at: toRfc3339(at), until: expect.any(String) },
        { cursor: `${epoch}.2`, sid: second, revoked_at: expect.any(String), until: expect.any(String) },
      ],
      cursor: `${epoch}.2`,
      reset: true,
    });
    for (const { revoked_at, until: end } of whole.entries as unknown as Record<string, string>[]) {
      expect(Date.parse(end ?? '') - Date.parse(revoked_at ?? '')).toBe(LIFETIME);
    }
    expect(await read(server, `?after=${empty.cursor}`)).toEqual({ ...whole, reset: false });
    expect(await read(server, `?after=${epoch}.1`)).toEqual({
      ...whole,
      entries: whole.entries.slice(1),
      reset: false,
    });
    expect(await read(server, `?after=${epoch}.2&more=1`)).toEqual({ ...whole, entries: [], reset: false });
  });

  test('names the key that was declared compromised', async () => {
    const server = await startTestServer({ url: await makeDatabase() });
    const admin = await server.addClient('ops', { type: 'admin' });
    const { access } = await server.app.keys.current();
    expect((await server.post('/admin/v1/keys/rotate', { compromised: true }, admin.basic)).status).toBe(200);
    const { entries } = await read(server);
    expect(entries).toEqual([
      { cursor: expect.any(String), kid: access.active.kid, revoked_at: expect.any(String), until: expect.any(String) },
    ]);
  });

  test('stands where /admin/v1/revocations says that it does', async () => {
    const server = await startTestServer({ url: await makeDatabase() });
    const admin = await server.addClient('ops', { type: 'admin' });
    const before = await read(server);
    const { session_id } = await server.login();
    const { body } = await server.post('/admin/v1/revocations', { family: session_id }, admin.basic);
    const news = await read(server, `?after=${before.cursor}`);
    expect(news).toMatchObject({ entries: [{ sid: session_id }], cursor: body.cursor });
    expect(await read(server, `?after=${body.cursor}`)).toEqual({ entries: [], cursor: body.cursor, reset: false });
  });

  test('gives an entry out until every access token of the session has expired', async () => {
    const server = await startTestServer({ url: await makeDatabase() });
    const before = await read(server);
    const old = await end(server);
    server.clock.advance(LIFETIME - 1);
    const young = await end(server);
    expect(sidsOf(await read(server))).toEqual([old, young]);
    server.clock.advance(1);
    expect(sidsOf(await read(server))).toEqual([young]);
    expect(sidsOf(await read(server, `?after=${before.cursor}`))).toEqual([young]);
    server.clock.advance(LIFETIME);
    const { cursor } = await read(server, `?after=${before.cursor}`);
    expect(cursor).toBe(before.cursor.replace(/0$/, '2'));
    expect(await read(server)).toEqual({ entries: [], cursor, reset: true });
  });

  test('tells of a session for as long as any token may live, whoever ends it and whatever was configured since', async () => {
    const url = await makeDatabase();
    const untilOf = async (server: TestServer, by: App): Promise<number> => {
      const { session_id } = await server.login();
      await revoke(by, { which: { family: session_id } });
      const [entry] = (await read(server)).entries.slice(-1) as unknown as { readonly until: string }[];
      return Date.parse(entry?.until ?? '') - server.clock.now();
    };
    const long = await startTestServer({ url, config: { 'tokens.accessTokenTtl': '1h' } });
    const { config, log } = long.app;
    const tokens = { ...config.tokens, accessTokenTtl: durationMs(LIFETIME) };
    const command = await openApp({
      config: { ...config, tokens },
      log,
      clock: long.clock,
      schema: 'current',
      databaseClock: false,
    });
    onTestFinished(() => closeApp(command));
    expect(await untilOf(long, command)).toBe(3_600_000);
    await long.stop();
    // Its tokens live on.
    const short = await startTestServer({ url, beside: long });
    expect(await untilOf(short, short.app)).toBe(3_600_000);
    expect(await untilOf(short, command)).toBe(3_600_000);
    long.clock.advance(25 * 3_600_000);
    expect(await untilOf(short, command)).toBe(LIFETIME);
    const longer = await startTestServer({ url, beside: long, config: { 'tokens.accessTokenTtl': '10m' } });
    expect(await untilOf(longer, command)).toBe(600_000);
  });

  test('gives the whole live set to a cursor that is not of it', async () => {
    const server = await startTestServer({ url: await makeDatabase() });
    const sid = await end(server);
    const { cursor } = await read(server);
    const [epoch] = cursor.split('.');
    const others = ['x.1', `${epoch?.toUpperCase()}.0`, '01995f2e-7c1d-7c3a-9f5e-3b8a52f1c0de.0', `${epoch}.2`];
    for (const after of [...others, `${epoch}.999999999999999`]) {
      const feed = await read(server, `?after=${after}&wait=5s`);
      expect({ ...feed, sids: sidsOf(feed) }, after).toMatchObject({ sids: [sid], cursor, reset: true });
    }
  });

  test('begins a new epoch when the database was restored', async () => {
    const server = await startTestServer({ url: await makeDatabase() });
    await end(server);
    const { session_id } = await server.login();
    const before = await read(server);
    await endAll(server.app, { revocation: { cause: 'restored' } });
    const after = await read(server, `?after=${before.cursor}`);
    expect(after).toMatchObject({ entries: [{ sid: session_id }], reset: true });
    expect(after.cursor.split('.')[0]).not.toBe(before.cursor.split('.')[0]);
    expect(await read(server, `?after=${after.cursor}`)).toMatchObject({ entries: [], reset: false });
  });

  test('is whole and in order however long it is', async () => {
    const server = await startTestServer({ url: await makeDatabase() });
    const before = await read(server);
    await fill(server, 2_500);
    const kids = Array.from({ length: 2_500 }, (_, index) => `kid-${index}`);
    for (const [query, reset] of [
      ['', true],
      [`?after=${before.cursor}&wait=5s`, false],
    ] as const) {
      const feed = await read(server, query);
      expect(feed.entries.map(({ kid }) => kid)).toEqual(kids);
      expect(feed).toMatchObject({ cursor: before.cursor.replace(/0$/, '2500'), reset });
      expect(feed.entries.at(-1)?.cursor).toBe(feed.cursor);
    }
    // Exactly as many as are read at once: there is another page, and nothing on it.
    const thousand = await read(server, `?after=${before.cursor.replace(/0$/, '1500')}`);
    expect([thousand.entries.length, thousand.cursor]).toEqual([1_000, before.cursor.replace(/0$/, '2500')]);
  });

  test('refuses what is no cursor and no wait, and says which', async () => {
    const server = await startTestServer({ url: await makeDatabase() });
    const { cursor } = await read(server);
    const [epoch] = cursor.split('.');
    const faults: Readonly<Record<string, readonly string[]>> = {
      after: ['', 'x', '1', `${epoch}`, `${epoch}.`, `${epoch}.-1`, `${epoch}.1.1`, `${epoch}.01`, `${epoch}.x`, '.1'],
      wait: ['', '5', '-1s', '1.5s', '5001ms', '6s', '1m', '5 s', '5S', 'forever', '999999999d'],
    };
    for (const [name, values] of Object.entries(faults)) {
      for (const value of values) {
        const answer = await ask(server, `?${new URLSearchParams({ [name]: value })}`);
        expectRefusal(answer, 400, 'invalid_request', { names: name });
      }
    }
    for (const query of [`?after=${cursor}&after=${cursor}`, '?wait=1s&wait=1s']) {
      expectRefusal(await ask(server, query), 400, 'invalid_request');
    }
    // A stranger does not even learn what a cursor looks like.
    expectRefusal(await server.send({ path: '/revocations?after=x' }), 401, 'invalid_client');
  });

  test('has a HEAD that waits for nothing, and no other method', async () => {
    const server = await startTestServer({ url: await makeDatabase() });
    const { cursor } = await read(server);
    const head = await server.send({
      method: 'HEAD',
      path: `/revocations?after=${cursor}&wait=5s`,
      headers: server.api.basic,
    });
    expect(head).toMatchObject({
      status: 200,
      text: '',
      headers: { 'content-type': 'application/json; charset=utf-8' },
    });
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
      const answer = await server.send({ method, path: '/revocations', headers: server.api.basic });
      expectRefusal(answer, 405, 'method_not_allowed');
      expect(answer.headers.allow).toBe('GET, HEAD');
    }
  });
});
