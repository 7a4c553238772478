/** Reuse ends the family before the answer leaves, and no other; a replay of the same request does not: contract §3. */
import { expect, test } from 'vitest';
import { rotateKeys } from '../../src/operations/keys.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { decodePart, expectEvents, expectInvalidGrant, expectNoChange } from '../support/expectations.ts';
import { type Pair, type RefreshOptions, startTestServer, type TestServer } from '../support/test-server.ts';

const SECOND = 1_000;
const HOUR = 3_600_000;
const DAY = 86_400_000;

describeOnBothDatabases('a spent refresh token', (makeDatabase) => {
  /** A family that was refreshed once: `first` is spent. */
  async function prepare(options: RefreshOptions = {}, config: Readonly<Record<string, unknown>> = {}) {
    const server = await startTestServer({ url: await makeDatabase(), config });
    const first = await server.login();
    const second = await server.refresh(first, options);
    await server.events();
    return { server, first, second, sid: first.session_id };
  }

  /** The family is at an end, and these two events say so, and no others. */
  async function expectReuse(
    server: TestServer,
    pair: Partial<Pair>,
    options: RefreshOptions,
    reuse: string,
  ): Promise<void> {
    const sid = decodePart(pair.refresh_token ?? '', 'claims').sid;
    const before = await server.family(String(sid));
    expectInvalidGrant(await server.tryRefresh(pair, options), 'reused');
    expect(await server.family(String(sid))).toEqual({
      ...before,
      revoked: { at: server.clock.now(), cause: 'reuse', note: null },
    });
    const of = { sid, subject: before.subject, client_id: before.clientId };
    expect(await server.events()).toEqual([
      {
        type: 'token.reuse_detected',
        data: {
          ...of,
          ip: '127.0.0.1',
          user_agent: options.headers?.['user-agent'] ?? null,
          class: reuse,
          presented_generation: decodePart(pair.refresh_token ?? '', 'claims').gen,
          generation: before.generation,
          address_differs: false,
          user_agent_differs: (options.headers?.['user-agent'] ?? null) !== before.origin.userAgent,
          last_ip: '127.0.0.1',
          last_user_agent: before.origin.userAgent,
        },
      },
      { type: 'family.revoked', data: { ...of, cause: 'reuse' } },
    ]);
  }

  /** The same successor, byte for byte, and nothing written. */
  async function expectReplay(server: TestServer, pair: Pair, options: RefreshOptions, successor: Pair): Promise<Pair> {
    const replay = await expectNoChange(server, () => server.refresh(pair, options));
    expect(replay.refresh_token).toBe(successor.refresh_token);
    expect(replay.session_id).toBe(successor.session_id);
    expect(decodePart(replay.access_token, 'claims').jti).not.toBe(decodePart(successor.access_token, 'claims').jti);
    expect(await server.verify(replay.access_token)).toMatchObject({ active: true, sid: successor.session_id });
    return replay;
  }

  test('without a key is reused at once; its family is over, once, on every path (R7 R8)', async () => {
    const { server, first, second } = await prepare();
    await expectReuse(server, first, { headers: { 'user-agent': 'thief' } }, 'late_retry');
    await expectNoChange(server, async () => {
      for (const pair of [first, second]) {
        expectInvalidGrant(await server.tryRefresh(pair), 'revoked');
        expect(await server.verify(pair.access_token)).toEqual({ active: false, reason: 'revoked' });
        expect((await server.forwardAuth(pair.access_token)).status).toBe(401);
        expectInvalidGrant(await server.post('/sessions', { refresh_token: second.refresh_token }), 'revoked');
      }
    });
  });

  test('ends no other family of the same subject and client (I9)', async () => {
    const { server, first } = await prepare();
    const sibling = await server.login();
    await server.events();
    await expectReuse(server, first, {}, 'late_retry');
    const next = await server.refresh(sibling);
    expect(await server.verify(next.access_token)).toMatchObject({ active: true });
  });

  test('is reused whatever access token comes with it, or none (R2, D8)', async () => {
    for (const access_token of [undefined, 'x']) {
      const { server, first } = await prepare();
      const { refresh_token } = first;
      const given = access_token === undefined ? { refresh_token } : { refresh_token, access_token };
      await expectReuse(server, given, {}, 'late_retry');
    }
  });

  test('of two generations ago is stale, with its own key too (R9 R11, I2)', async () => {
    const { server, first, second } = await prepare({ key: 'one' });
    await server.refresh(second, { key: 'two' });
    await expectReuse(server, first, { key: 'one' }, 'stale');
  });

  test('is reused as long as it would have lived, however many generations ago (I10 I11)', async () => {
    const { server, first, second } = await prepare();
    let pair = second;
    for (let generation = 2; generation <= 20; generation += 1) pair = await server.refresh(pair);
    server.clock.advance(80 * DAY);
    pair = await server.refresh(pair);
    await server.app.store.write((tx) => tx.sql.deleteFrom('refresh_tokens').execute());
    server.clock.advance(10 * DAY - SECOND);
    await expectReuse(server, first, {}, 'stale');
  });

  test('with the key of its rotation gets the byte-identical successor and a fresh access token (R10 R12, I6)', async () => {
    const { server, first, second } = await prepare({ key: 'k-1' });
    for (let count = 0; count < 5; count += 1) {
      server.clock.advance(10 * 60 * SECOND);
      const replay = await expectReplay(server, first, { key: 'k-1' }, second);
      expect(replay.refresh_expires_in).toBe(90 * 86_400 - (count + 1) * 600);
      await expectReplay(server, { ...first, access_token: replay.access_token }, { key: 'k-1' }, second);
    }
    await server.refresh(second);
  });

  test('gets it on the clock of the rotation: at the end of the window, not a millisecond later (R11)', async () => {
    const { server, first, second } = await prepare({ key: 'k' });
    server.clock.advance(HOUR - SECOND);
    await expectReplay(server, first, { key: 'k' }, second);
    server.clock.advance(SECOND);
    await expectReplay(server, first, { key: 'k' }, second);
    server.clock.advance(1);
    await expectReuse(server, first, { key: 'k' }, 'late_retry');
  });

  test('with another key, or the key of another generation, is reused (R11 R13)', async () => {
    const { server, first } = await prepare({ key: 'k' });
    await expectReuse(server, first, { key: 'K' }, 'late_retry');
    const fresh = await server.login();
    const next = await server.refresh(fresh);
    await server.events();
    await expectReuse(server, fresh, { key: 'k' }, 'late_retry');
    expectInvalidGrant(await server.tryRefresh(next, { key: 'k' }), 'revoked');
  });

  test('a key that was used before is an ordinary key for another generation or family (R13)', async () => {
    const { server, first, second } = await prepare({ key: 'k' });
    const third = await server.refresh(second, { key: 'k' });
    await expectReplay(server, second, { key: 'k' }, third);
    const sibling = await server.login();
    const next = await server.refresh(sibling, { key: 'k' });
    await server.events();
    await expectReplay(server, sibling, { key: 'k' }, next);
    await expectReuse(server, first, { key: 'k' }, 'stale');
  });

  test('its replay needs the access token as a rotation does, and is refused without harm', async () => {
    const { server, first, second } = await prepare({ key: 'k' });
    const sibling = await server.login();
    await expectNoChange(server, async () => {
      const { refresh_token } = first;
      expectInvalidGrant(await server.tryRefresh({ refresh_token }, { key: 'k' }), 'mismatch');
      expectInvalidGrant(
        await server.tryRefresh({ refresh_token, access_token: sibling.access_token }, { key: 'k' }),
        'mismatch',
      );
    });
    await expectReplay(server, first, { key: 'k' }, second);
  });

  test('its replay ends with the family: after a logout the key is worth nothing (I6)', async () => {
    const { server, first, second } = await prepare({ key: 'k' });
    await server.post('/logout', { refresh_token: second.refresh_token });
    await expectNoChange(server, async () =>
      expectInvalidGrant(await server.tryRefresh(first, { key: 'k' }), 'revoked'),
    );
  });

  test('its replay is byte-identical across a rotation of both key rings', async () => {
    const { server, first, second } = await prepare({ key: 'k' });
    await rotateKeys(server.app, 'refresh');
    await rotateKeys(server.app, 'access');
    await server.events();
    const replay = await expectReplay(server, first, { key: 'k' }, second);
    expect(decodePart(replay.access_token, 'header').kid).not.toBe(decodePart(second.access_token, 'header').kid);
    const third = await server.refresh(replay);
    expect(decodePart(third.refresh_token, 'header').kid).not.toBe(decodePart(second.refresh_token, 'header').kid);
  });

  test('within tokens.refresh.leeway gets its successor without a key, until that is used or the leeway is over', async () => {
    const config = { 'tokens.refresh.leeway': '10s' };
    const { server, first, second } = await prepare({}, config);
    server.clock.advance(9_999);
    await expectReplay(server, first, {}, second);
    await expectReplay(server, first, { key: 'any' }, second);
    server.clock.advance(1);
    await expectReuse(server, first, {}, 'late_retry');

    const fresh = await server.login();
    const next = await server.refresh(fresh);
    await server.refresh(next);
    await server.events();
    await expectReuse(server, fresh, {}, 'stale');
  });

  test('a leeway belongs to its client: 0s is strict for one, 10s forgives for another (D1)', async () => {
    const { server, first } = await prepare();
    await server.addClient('tabs', { isPublic: true, policy: { leeway: 10_000 as never } });
    const tab = await server.login({ client_id: 'tabs' });
    const next = await server.refresh(tab);
    await server.events();
    await expectReplay(server, tab, {}, next);
    await expectReuse(server, first, {}, 'late_retry');
  });

  test('does not come back to life when the clock steps back or forward (I11)', async () => {
    for (const step of [-HOUR, HOUR, 80 * DAY]) {
      const { server, first, second } = await prepare({ key: 'k' });
      const third = await server.refresh(second);
      server.clock.advance(step);
      expectInvalidGrant(await server.tryRefresh(first, { key: 'k' }), 'reused');
      server.clock.advance(-step);
      for (const pair of [first, second, third]) expectInvalidGrant(await server.tryRefresh(pair), 'revoked');
      await expectEvents(server, 'token.reuse_detected', 'family.revoked');
    }
  });
});
