/** `POST /refresh` as contract §3 has it: what rotates, each reason for which a refresh is refused, and in which order. */
import { expect, test } from 'vitest';
import { revoke } from '../../src/operations/revoke.ts';
import { disableUser } from '../../src/operations/users.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import {
  decodePart,
  expectEvents,
  expectInvalidGrant,
  expectNoChange,
  expectRefusal,
  tamper,
} from '../support/expectations.ts';
import { resignAccess, resignRefresh } from '../support/forge.ts';
import { type Pair, startTestServer, type TestServer, USERNAME } from '../support/test-server.ts';

const DAY = 86_400_000;
const OTHER_ID = '01920000-0000-7000-8000-000000000000';

describeOnBothDatabases('refresh', (makeDatabase) => {
  async function prepare(config: Readonly<Record<string, unknown>> = {}) {
    const server = await startTestServer({ url: await makeDatabase(), config });
    const pair = await server.login();
    await server.events();
    return { server, pair, sid: pair.session_id };
  }

  /** Not one of them may get in, whatever comes with it, and nothing may change. */
  async function expectMalformed(server: TestServer, pair: Pair, tokens: readonly string[]): Promise<void> {
    await expectNoChange(server, async () => {
      for (const refresh_token of tokens) {
        expectInvalidGrant(await server.tryRefresh({ ...pair, refresh_token }), 'malformed');
        expectInvalidGrant(await server.tryRefresh({ refresh_token }), 'malformed');
      }
    });
  }

  test('a refresh rotates: the next generation is current, from here and now, and no event tells of it', async () => {
    const { server, pair, sid } = await prepare();
    const before = await server.family(sid);
    server.clock.advance(5_000);
    const next = await server.refresh(pair, { headers: { 'user-agent': 'second' } });
    expect(next).toMatchObject({
      token_type: 'Bearer',
      expires_in: 300,
      refresh_expires_in: 7_776_000,
      session_id: sid,
    });
    const now = server.clock.now();
    expect(await server.family(sid)).toEqual({
      ...before,
      generation: 1,
      current: {
        jti: decodePart(next.refresh_token, 'claims').jti,
        kid: before.current.kid,
        issuedAt: now,
        expiresAt: now + 90 * DAY,
        requestKeyHash: null,
      },
      lastRefreshedAt: now,
      origin: { ip: '127.0.0.1', userAgent: 'second' },
    });
    await expectEvents(server);
  });

  test('the access token may be fresh, old, or of any generation of the same family (R5)', async () => {
    const { server, pair } = await prepare();
    const first = pair.access_token;
    const second = await server.refresh(pair);
    const third = await server.refresh({ ...second, access_token: first });
    server.clock.advance(89 * DAY);
    await server.refresh({ ...third, access_token: first });
    await expectEvents(server);
  });

  test('malformed: not a token of this server in its one spelling (R6 R26 J20 J21 J22 J26 J28)', async () => {
    const { server, pair } = await prepare();
    const { refresh_token: rt, access_token: at } = pair;
    const [header = '', claims = '', signature = ''] = rt.split('.');
    const last = signature.at(-1) ?? '';
    const respelled = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    await expectMalformed(server, pair, [
      at,
      '',
      '.',
      '..',
      'x',
      'a.b.c',
      `${header}.${claims}`,
      `${header}.${claims}.`,
      `${rt}.x`,
      `${rt}=`,
      `${rt}\n`,
      ` ${rt}`,
      `Bearer ${rt}`,
      `"${rt}"`,
      `${header}.${claims}.${signature.slice(0, 10)} ${signature.slice(10)}`,
      `${rt.slice(0, -1)}${respelled[respelled.indexOf(last) ^ 1]}`,
      `${rt}${'A'.repeat(8_193 - rt.length)}`,
      '.'.repeat(8_000),
      `${header}.${claims}.${'A'.repeat(43)}`,
      `${header}.${claims.slice(0, -4)}.${signature}`,
      ...Object.entries({ alg: 'none', kid: 'unknown', typ: 'at+jwt' }).map(([name, value]) =>
        tamper(rt, 'header', { [name]: value }),
      ),
      ...Object.entries({
        iss: 'x',
        sub: 'x',
        aud: 'x',
        client_id: 'x',
        iat: 1,
        exp: 9e9,
        jti: OTHER_ID,
        sid: OTHER_ID,
        gen: 1,
      }).map(([name, value]) => tamper(rt, 'claims', { [name]: value })),
    ]);
    await server.refresh(pair);
  });

  test('malformed: a genuine signature under other claims, another typ or alg, or a header to follow (R26, I16)', async () => {
    const { server, pair } = await prepare();
    const odd: Record<string, unknown>[] = [
      { iss: 'https://other.example' },
      { aud: 'api' },
      { aud: [decodePart(pair.refresh_token, 'claims').iss] },
      { sub: '' },
      { sub: 'a b' },
      { client_id: 'a b' },
      { iat: 'x' },
      { jti: 'x' },
      { sid: 'x' },
      { sid: OTHER_ID.toUpperCase().replace('0', 'A') },
      { exp: null },
      { exp: 1.5 },
      { exp: '9' },
      { gen: -1 },
      { gen: 0.5 },
      { gen: 2 ** 53 },
      { gen: '0' },
      { gen: null },
      { gen: undefined },
      { jti: undefined },
      { sid: undefined },
      { exp: undefined },
    ];
    const headers: Record<string, unknown>[] = [
      { typ: 'at+jwt' },
      { typ: 'JWT' },
      { typ: 'RT+JWT' },
      { typ: undefined },
      { alg: 'none' },
      { alg: 'HS512' },
      { alg: 'ES256' },
      { kid: undefined },
      { crit: ['exp'] },
      { jku: 'http://127.0.0.1:9/' },
      { jwk: { kty: 'oct', k: 'AAAA' } },
      { x5u: 'http://127.0.0.1:9/' },
      { x5c: [] },
      { extra: 1 },
    ];
    const tokens = [
      ...(await Promise.all(odd.map((change) => resignRefresh(server, pair.refresh_token, change)))),
      ...(await Promise.all(headers.map((header) => resignRefresh(server, pair.refresh_token, {}, header)))),
    ];
    await expectMalformed(server, pair, tokens);
  });

  test('malformed: a refresh token of another instance with the same issuer (J17)', async () => {
    const { server, pair } = await prepare();
    const stranger = await startTestServer({ url: await makeDatabase() });
    const { refresh_token } = await stranger.login();
    await expectMalformed(server, pair, [refresh_token]);
  });

  test('mismatch: any fault of the access token leaves the family as it was (R2 R3 R4)', async () => {
    const { server, pair } = await prepare();
    await server.addUser('bob');
    const sibling = await server.login();
    const bob = await server.login({ username: 'bob' });
    const at = pair.access_token;
    const bad = [
      undefined,
      '',
      'x',
      pair.refresh_token,
      sibling.access_token,
      bob.access_token,
      `${at}=`,
      at.slice(0, -3),
      ` ${at}`,
      tamper(at, 'claims', { exp: 9e9 }),
      tamper(at, 'header', { alg: 'none' }),
      `${at}${'A'.repeat(8_193)}`,
      await resignAccess(server, at, { iss: 'https://other.example' }),
      await resignAccess(server, at, { sid: sibling.session_id }),
      await resignAccess(server, at, { sid: undefined }),
    ];
    await expectNoChange(server, async () => {
      for (const access_token of bad) {
        const { refresh_token } = pair;
        const given = access_token === undefined ? { refresh_token } : { refresh_token, access_token };
        expectInvalidGrant(await server.tryRefresh(given), 'mismatch');
        expectInvalidGrant(await server.tryRefresh(given, { key: 'k' }), 'mismatch');
      }
    });
    for (const { refresh_token, access_token } of [pair, sibling, bob])
      await server.refresh({ ...pair, refresh_token, access_token });
  });

  test('without requireAccessToken the access token is optional, and validated where it is given (R2)', async () => {
    const { server, pair } = await prepare({ 'tokens.refresh.requireAccessToken': false });
    expectInvalidGrant(await server.tryRefresh({ ...pair, access_token: 'x' }), 'mismatch');
    const { refresh_token } = pair;
    expect((await server.tryRefresh({ refresh_token })).status).toBe(200);
  });

  test('expired: past its exp, and still its family is untouched, spent or not (R15)', async () => {
    const { server, pair } = await prepare();
    server.clock.advance(DAY);
    const next = await server.refresh(pair);
    server.clock.advance(89 * DAY);
    await expectNoChange(server, async () => {
      expectInvalidGrant(await server.tryRefresh(pair), 'expired');
      expectInvalidGrant(await server.tryRefresh({ refresh_token: pair.refresh_token }), 'expired');
    });
    const last = await server.tryRefresh(next);
    expect(last.status).toBe(200);
  });

  test('unknown: no such family, it was purged (R19)', async () => {
    const { server, pair, sid } = await prepare();
    await server.app.store.write(async (tx) => {
      await tx.sql.deleteFrom('token_families').where('id', '=', sid).execute();
    });
    await expectNoChange(server, async () => expectInvalidGrant(await server.tryRefresh(pair), 'unknown'));
  });

  test('revoked: ended by logout, by an administrator, by reuse, or with its disabled subject (R16 R17)', async () => {
    const { server } = await prepare();
    const ends: Record<string, (pair: Pair) => Promise<unknown>> = {
      logout: ({ refresh_token }) => server.post('/logout', { refresh_token }),
      admin: ({ session_id }) => revoke(server.app, { which: { family: session_id } }),
      reuse: async (pair) => [await server.refresh(pair), await server.tryRefresh(pair)],
      subject_disabled: () => disableUser(server.app, USERNAME),
    };
    for (const [cause, end] of Object.entries(ends)) {
      const first = await server.login();
      const current = await server.refresh(first);
      await end(current);
      expect((await server.family(current.session_id)).revoked, cause).toMatchObject({ cause, at: server.clock.now() });
      await expectNoChange(server, async () => {
        for (const pair of [current, first, { ...current, access_token: 'x' }]) {
          expectInvalidGrant(await server.tryRefresh(pair), 'revoked');
          expectInvalidGrant(await server.tryRefresh(pair, { key: 'k' }), 'revoked');
        }
      });
    }
  });

  test('an Idempotency-Key is 1 to 128 visible ASCII characters, sent once (R14)', async () => {
    const { server, pair } = await prepare();
    await expectNoChange(server, async () => {
      for (const key of ['', 'x'.repeat(129), 'a b', 'ü', 'a\tb', ['a', 'b'], ['a', 'a']]) {
        const answer = await server.tryRefresh(pair, { headers: { 'idempotency-key': key } });
        expectRefusal(answer, 400, 'invalid_request', { names: 'Idempotency-Key' });
      }
    });
    const next = await server.refresh(pair, { key: '!'.repeat(128) });
    await server.refresh(next, { key: '~' });
  });

  test('judged in this order: malformed, expired, client, family, generation, access token', async () => {
    const { server } = await prepare({ 'tokens.familyMaxLifetime': '20d', 'tokens.refreshTokenTtl': '10d' });
    const client = await server.addClient('backend');
    const first = await server.login({ client_id: 'backend', headers: client.basic });
    const second = await server.refresh(first, { headers: client.basic });
    await server.events();
    const refuse = async (pair: Partial<Pair>, headers = {}) => (await server.tryRefresh(pair, { headers })).body;
    const { refresh_token } = first;
    await expectNoChange(server, async () => {
      expect(await refuse({ refresh_token: `${refresh_token}=` })).toMatchObject({ reason: 'malformed' });
      // Its client is judged before its generation.
      expect(await refuse(first)).toMatchObject({ error: 'invalid_client' });
      expect(await refuse({ refresh_token })).toMatchObject({ error: 'invalid_client' });
      server.clock.advance(10 * DAY);
      // Its exp is judged before its client.
      expect(await refuse({ refresh_token })).toMatchObject({ reason: 'expired' });
    });
    server.clock.advance(-10 * DAY);
    // Its generation is judged before its access token.
    expect(await refuse({ refresh_token }, client.basic)).toMatchObject({ reason: 'reused' });
    expect(await refuse({ ...second, access_token: 'x' }, client.basic)).toMatchObject({ reason: 'revoked' });
  });
});
