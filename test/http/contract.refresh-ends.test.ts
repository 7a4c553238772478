/** Where a session ends by itself, whose client it is, and what a restored database is told: contract §3 and §7. */
import { expect, test } from 'vitest';
import type { FamilyId, Generation, TokenId } from '../../src/domain/ids.ts';
import { changeClient, removeClient } from '../../src/operations/clients.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import {
  decodePart,
  expectEvents,
  expectInvalidGrant,
  expectNoChange,
  expectRefusal,
} from '../support/expectations.ts';
import { resignRefresh } from '../support/forge.ts';
import { basicOf, startTestServer, type TestServer } from '../support/test-server.ts';

const SECOND = 1_000;
const HOUR = 3_600_000;
const DAY = 86_400_000;
const OTHER_ID = '01920000-0000-7000-8000-000000000000';

/** What a restored backup does: the row is as it was some generations ago. */
async function restore(
  server: TestServer,
  sid: FamilyId,
  to: Awaited<ReturnType<TestServer['family']>>,
): Promise<void> {
  await server.app.store.write(async (tx) => {
    const { current } = to;
    const row = {
      generation: to.generation,
      jti: current.jti,
      kid: current.kid,
      issued_at: current.issuedAt,
      expires_at: current.expiresAt,
    };
    await tx.sql
      .updateTable('token_families')
      .set({ ...row, idempotency_hash: current.requestKeyHash, last_refreshed_at: to.lastRefreshedAt })
      .where('id', '=', sid)
      .execute();
    await tx.sql
      .deleteFrom('refresh_tokens')
      .where('family_id', '=', sid)
      .where('generation', '>', to.generation)
      .execute();
  });
}

describeOnBothDatabases('a session', (makeDatabase) => {
  const prepare = async (config: Readonly<Record<string, unknown>> = {}): Promise<TestServer> =>
    startTestServer({ url: await makeDatabase(), config });

  test('ends when it is not refreshed for tokens.idleTimeout, or for its client’s own (R15)', async () => {
    const server = await prepare({ 'tokens.idleTimeout': '1h' });
    await server.addClient('kiosk', { isPublic: true, policy: { idleTimeout: (60 * SECOND) as never } });
    const first = await server.login();
    const kiosk = await server.login({ client_id: 'kiosk' });
    server.clock.advance(60 * SECOND - 1);
    const kioskNext = await server.refresh(kiosk);
    server.clock.advance(60 * SECOND);
    await expectNoChange(server, async () => {
      for (const pair of [kioskNext, kiosk]) expectInvalidGrant(await server.tryRefresh(pair), 'expired');
    });
    server.clock.advance(HOUR - 120 * SECOND);
    const second = await server.refresh(first);
    server.clock.advance(HOUR);
    await expectNoChange(server, async () => {
      for (const pair of [second, first]) expectInvalidGrant(await server.tryRefresh(pair), 'expired');
    });
  });

  test('ends tokens.familyMaxLifetime after its login, however often it is refreshed (R15)', async () => {
    const server = await prepare({ 'tokens.familyMaxLifetime': '10d', 'tokens.refreshTokenTtl': '4d' });
    let pair = await server.login();
    for (let day = 3; day <= 9; day += 3) {
      server.clock.advance(3 * DAY);
      pair = await server.refresh(pair);
    }
    expect(pair.refresh_expires_in).toBe(86_400);
    server.clock.advance(DAY - SECOND);
    pair = await server.refresh(pair);
    server.clock.advance(SECOND);
    await expectNoChange(server, async () => expectInvalidGrant(await server.tryRefresh(pair), 'expired'));
  });

  test('has refresh tokens of its client’s lifetime, each from its own issue', async () => {
    const server = await prepare();
    await server.addClient('bank', { isPublic: true, policy: { refreshTokenTtl: HOUR as never } });
    const first = await server.login({ client_id: 'bank' });
    expect(first.refresh_expires_in).toBe(3_600);
    server.clock.advance(HOUR - SECOND);
    const second = await server.refresh(first);
    expect(second.refresh_expires_in).toBe(3_600);
    server.clock.advance(HOUR);
    await expectNoChange(server, async () => expectInvalidGrant(await server.tryRefresh(second), 'expired'));
  });

  test('of a client with --refresh-alone needs no access token; a change of policy holds at once', async () => {
    const server = await prepare();
    await server.addClient('cli', { isPublic: true, policy: { refreshAlone: true } });
    let pair = await server.login({ client_id: 'cli' });
    const alone = async () => server.tryRefresh({ refresh_token: pair.refresh_token });
    pair = { ...pair, ...(await alone()).body };
    expectInvalidGrant(await server.tryRefresh({ ...pair, access_token: 'x' }), 'mismatch');
    await changeClient(server.app, { id: 'cli', policy: { refreshAlone: false } });
    expectInvalidGrant(await alone(), 'mismatch');
    await server.refresh(pair);
  });

  test('of a confidential client is refreshed with its authentication alone, and untouched without (R21 D5)', async () => {
    const server = await prepare();
    const backend = await server.addClient('backend');
    const other = await server.addClient('other');
    const pair = await server.login({ client_id: 'backend', headers: backend.basic });
    await expectNoChange(server, async () => {
      const wrong = [{}, other.basic, server.api.basic, basicOf('backend', 'wrong'), basicOf('other', backend.secret)];
      for (const headers of [...wrong, { authorization: `Bearer ${backend.secret}` }]) {
        expectRefusal(await server.tryRefresh(pair, { headers }), 401, 'invalid_client');
      }
    });
    const next = await server.refresh(pair, { headers: backend.basic });
    expectRefusal(await server.tryRefresh(pair), 401, 'invalid_client');
    await server.refresh(next, { headers: backend.basic });
  });

  test('of a confidential client asks for its authentication also where the client is not known yet (D5)', async () => {
    const url = await makeDatabase();
    const server = await startTestServer({ url });
    const other = await startTestServer({ url, beside: server });
    await other.login();
    const backend = await server.addClient('backend');
    const pair = await server.login({ client_id: 'backend', headers: backend.basic });
    await expectNoChange(server, async () => expectRefusal(await other.tryRefresh(pair), 401, 'invalid_client'));
    await other.refresh(pair, { headers: backend.basic });
  });

  test('of a public client ignores whatever stands in Authorization', async () => {
    const server = await prepare();
    let pair = await server.login();
    for (const headers of [
      server.api.basic,
      { authorization: 'Basic !!!' },
      { authorization: 'Bearer x' },
      basicOf('default', 'x'),
    ]) {
      pair = await server.refresh(pair, { headers });
    }
  });

  test('ends with its client: revoked for a public one, invalid_client for a confidential one (R22)', async () => {
    const server = await prepare();
    const backend = await server.addClient('backend');
    await server.addClient('web', { isPublic: true });
    const confidential = await server.login({ client_id: 'backend', headers: backend.basic });
    const open = await server.login({ client_id: 'web' });
    for (const id of ['backend', 'web']) await removeClient(server.app, { id });
    await expectNoChange(server, async () => {
      expectInvalidGrant(await server.tryRefresh(open), 'revoked');
      expectRefusal(await server.tryRefresh(confidential, { headers: backend.basic }), 401, 'invalid_client');
    });
    for (const { session_id } of [open, confidential]) {
      expect((await server.family(session_id)).revoked).toMatchObject({ cause: 'client_removed' });
    }
  });

  test('whose generation a restored database has not reached is unknown, and ends as rolled_back (R20 D3, I12)', async () => {
    const server = await prepare();
    const first = await server.login();
    const old = await server.family(first.session_id);
    const second = await server.refresh(first, { key: 'k' });
    const third = await server.refresh(second);
    await restore(server, first.session_id, old);
    await server.events();

    expectInvalidGrant(await server.tryRefresh({ refresh_token: third.refresh_token }), 'unknown');
    expect(await server.family(first.session_id)).toEqual({
      ...old,
      revoked: { at: server.clock.now(), cause: 'rolled_back', note: null },
    });
    const of = { sid: first.session_id, subject: server.subject, client_id: 'default' };
    expect(await server.events()).toEqual([
      {
        type: 'token.generation_ahead',
        data: { ...of, ip: '127.0.0.1', user_agent: null, presented_generation: 2, generation: 0 },
      },
      { type: 'family.revoked', data: { ...of, cause: 'rolled_back' } },
    ]);
    await expectNoChange(server, async () => {
      for (const pair of [third, second, first]) expectInvalidGrant(await server.tryRefresh(pair), 'revoked');
      expect(await server.verify(third.access_token)).toEqual({ active: false, reason: 'revoked' });
    });
  });

  test('that two successors claim is a fork: the other jti of the current generation is reused (R20 D3)', async () => {
    const server = await prepare();
    const first = await server.login();
    const old = await server.family(first.session_id);
    const lost = await server.refresh(first);
    await restore(server, first.session_id, old);
    const second = await server.refresh(first);
    expect(second.refresh_token).not.toBe(lost.refresh_token);
    await server.events();
    expectInvalidGrant(await server.tryRefresh({ refresh_token: lost.refresh_token }), 'reused');
    const events = await server.events();
    expect(events.map(({ type, data }) => [type, data.class ?? data.cause])).toEqual([
      ['token.reuse_detected', 'fork'],
      ['family.revoked', 'reuse'],
    ]);
    expectInvalidGrant(await server.tryRefresh(second), 'revoked');
  });

  test('is asked only by what its token says: a genuine one of another jti or far ahead ends it, too', async () => {
    const server = await prepare();
    for (const [change, reason, type] of [
      [{ jti: OTHER_ID as TokenId }, 'reused', 'token.reuse_detected'],
      [{ gen: Number.MAX_SAFE_INTEGER as Generation }, 'unknown', 'token.generation_ahead'],
    ] as const) {
      const pair = await server.login();
      await server.events();
      const refresh_token = await resignRefresh(server, pair.refresh_token, change);
      expect(decodePart(refresh_token, 'claims')).toMatchObject(change);
      expectInvalidGrant(await server.tryRefresh({ ...pair, refresh_token }), reason);
      await expectEvents(server, type, 'family.revoked');
    }
  });
});
