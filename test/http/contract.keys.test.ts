/** Sessions and the life of keys: a rotation costs nobody anything, a compromise is final, and the two rings never mix. */
import { expect, test } from 'vitest';
import { declareKeyCompromised, moveKeysOn, rotateKeys } from '../../src/operations/keys.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import {
  decodePart,
  expectEvents,
  expectInvalidGrant,
  expectNoChange,
  expectRefusal,
  tamper,
} from '../support/expectations.ts';
import { type Pair, startTestServer, type TestServer } from '../support/test-server.ts';

const MINUTE = 60_000;
const DAY = 86_400_000;

const kidOf = (token: string): string => String(decodePart(token, 'header').kid);

async function publishedKids(server: TestServer): Promise<unknown[]> {
  const { body } = await server.send({ path: '/.well-known/jwks.json' });
  return (body.keys as { kid: string }[]).map(({ kid }) => kid);
}

describeOnBothDatabases('keys', (makeDatabase) => {
  const prepare = async (config: Readonly<Record<string, unknown>> = {}): Promise<TestServer> =>
    startTestServer({ url: await makeDatabase(), config });

  test('an access token three months old, whose key left the JWKS long ago, still proves possession (R5 D6, I35)', async () => {
    const server = await prepare();
    const pair = await server.login();
    await rotateKeys(server.app, 'access');
    expect(await publishedKids(server)).toContain(kidOf(pair.access_token));
    server.clock.advance(5 * MINUTE);
    await moveKeysOn(server.app);
    expect(await publishedKids(server)).not.toContain(kidOf(pair.access_token));
    server.clock.advance(90 * DAY - 6 * MINUTE);
    await moveKeysOn(server.app);
    expect(await server.verify(pair.access_token)).toEqual({ active: false, reason: 'expired' });
    const next = await server.refresh(pair);
    expect(await server.verify(next.access_token)).toMatchObject({ active: true });
    server.clock.advance(2 * DAY);
    await moveKeysOn(server.app);
    // Its key is forgotten: it is not a token of this server any more.
    expectInvalidGrant(await server.tryRefresh({ ...next, access_token: pair.access_token }), 'mismatch');
    await server.refresh(next);
  });

  test('no access token is refused because of a rotation: every kid of an unexpired one is published (I33)', async () => {
    const server = await prepare();
    const pairs: Pair[] = [await server.login()];
    for (let round = 0; round < 4; round += 1) {
      await rotateKeys(server.app, 'access');
      pairs.push(await server.refresh(pairs.at(-1) as Pair));
    }
    for (const { access_token } of pairs) {
      expect(await server.verify(access_token)).toMatchObject({ active: true });
      expect(await publishedKids(server)).toContain(kidOf(access_token));
    }
    expect(new Set(pairs.map(({ access_token }) => kidOf(access_token))).size).toBe(5);
  });

  test('a refresh token outlives the rotations of its ring, and its own exp still ends it', async () => {
    const server = await prepare();
    const pair = await server.login();
    const sibling = await server.login();
    await rotateKeys(server.app, 'refresh');
    server.clock.advance(45 * DAY);
    await moveKeysOn(server.app);
    await rotateKeys(server.app, 'refresh');
    server.clock.advance(45 * DAY - 1_000);
    await moveKeysOn(server.app);
    const next = await server.refresh(pair);
    expect(kidOf(next.refresh_token)).not.toBe(kidOf(pair.refresh_token));
    server.clock.advance(1_000);
    await moveKeysOn(server.app);
    expectInvalidGrant(await server.tryRefresh(sibling), 'expired');
  });

  test('an access token of a compromised key is revoked everywhere, and refreshes by its refresh token alone (D7 J43, I34)', async () => {
    const server = await prepare();
    const pair = await server.login();
    const sibling = await server.login();
    const spent = await server.login();
    const { refresh_token: unspent } = await server.refresh(spent, { key: 'k' });
    await server.events();
    await declareKeyCompromised(server.app, 'access');
    await expectEvents(server, 'key.compromised', 'key.rotated');
    const kid = kidOf(pair.access_token);
    expect(await publishedKids(server)).not.toContain(kid);

    for (const { access_token } of [pair, sibling]) {
      expect(await server.verify(access_token)).toEqual({ active: false, reason: 'revoked' });
      expect((await server.forwardAuth(access_token)).status).toBe(401);
    }
    await expectNoChange(server, async () => {
      const junk = [
        tamper(pair.access_token, 'claims', { exp: 9e9 }),
        `${pair.access_token.slice(0, -6)}AAAAAA`,
        sibling.access_token,
      ];
      for (const access_token of junk)
        expectInvalidGrant(await server.tryRefresh({ ...pair, access_token }), 'mismatch');
      expectInvalidGrant(await server.tryRefresh({ refresh_token: pair.refresh_token }), 'mismatch');
      // A replay writes nothing, not even an event.
      expect((await server.refresh(spent, { key: 'k' })).refresh_token).toBe(unspent);
    });

    const next = await server.refresh(pair);
    expect(await server.events()).toEqual([
      {
        type: 'refresh.unchecked_access_token',
        data: {
          sid: pair.session_id,
          subject: server.subject,
          client_id: 'default',
          ip: '127.0.0.1',
          user_agent: null,
          kid,
        },
      },
    ]);
    expect(await server.verify(next.access_token)).toMatchObject({ active: true });
    await server.refresh(next);
    await expectEvents(server);
  });

  test('a spent refresh token is reused whatever its access token was signed with', async () => {
    const server = await prepare();
    const first = await server.login();
    await server.refresh(first);
    await declareKeyCompromised(server.app, 'access');
    await server.events();
    expectInvalidGrant(await server.tryRefresh(first), 'reused');
    await expectEvents(server, 'token.reuse_detected', 'family.revoked');
  });

  test('a compromised refresh key ends the families whose current token it signed, and no others', async () => {
    const server = await prepare();
    const lost = await server.login();
    const moved = await server.login();
    await rotateKeys(server.app, 'refresh');
    const movedOn = await server.refresh(moved);
    const later = await server.login();
    await server.events();
    const kid = kidOf(lost.refresh_token) as never;
    expect(await declareKeyCompromised(server.app, 'refresh', kid)).toMatchObject({ revoked: 1 });
    expect((await server.family(lost.session_id)).revoked).toMatchObject({ cause: 'key_compromised' });
    const events = await server.events();
    expect(events.map(({ type, data }) => [type, data.cause ?? data.ring])).toEqual([
      ['key.compromised', 'refresh'],
      ['family.revoked', 'key_compromised'],
    ]);

    await expectNoChange(server, async () => {
      for (const pair of [lost, moved]) {
        expectInvalidGrant(await server.tryRefresh(pair), 'malformed');
        const { refresh_token } = pair;
        expectRefusal(await server.post('/sessions', { refresh_token }), 400, 'invalid_request');
        expectRefusal(await server.post('/logout', { refresh_token }), 400, 'invalid_request');
      }
    });
    expect(await server.verify(lost.access_token)).toEqual({ active: false, reason: 'revoked' });
    for (const pair of [movedOn, later]) {
      expect(await server.verify(pair.access_token)).toMatchObject({ active: true });
      await server.refresh(pair);
    }
  });

  test('a compromise of the active refresh key ends every family it signed, and new logins have a new key', async () => {
    const server = await prepare();
    const pairs = [await server.login(), await server.login()];
    expect(await declareKeyCompromised(server.app, 'refresh')).toMatchObject({ revoked: 2 });
    for (const pair of pairs) {
      expectInvalidGrant(await server.tryRefresh(pair), 'malformed');
      expect(await server.verify(pair.access_token)).toEqual({ active: false, reason: 'revoked' });
    }
    const fresh = await server.login();
    await server.refresh(fresh);
  });

  test('within two seconds no other server on the database accepts a compromised key of either ring', async () => {
    const url = await makeDatabase();
    const server = await startTestServer({ url });
    const other = await startTestServer({ url, beside: server });
    const pair = await server.login();
    const second = await other.refresh(pair);
    expect(await other.verify(second.access_token)).toMatchObject({ active: true });
    await declareKeyCompromised(server.app, 'access');
    server.clock.advance(2_000);
    expect(await other.verify(second.access_token)).toEqual({ active: false, reason: 'revoked' });
    expect(await publishedKids(other)).not.toContain(kidOf(second.access_token));
    await declareKeyCompromised(server.app, 'refresh');
    server.clock.advance(2_000);
    expectInvalidGrant(await other.tryRefresh(second), 'malformed');
    // A key made elsewhere a moment ago is found when a token names it.
    const fresh = await server.login();
    await other.refresh(fresh);
  });
});
