/** The tokens themselves, judged by jose and by their own text: contract §2. */
import { createHmac } from 'node:crypto';
import { calculateJwkThumbprint, createLocalJWKSet, jwtVerify } from 'jose';
import { expect, test } from 'vitest';
import { encodeRefreshToken } from '../../src/crypto/refresh-token.ts';
import { rotateKeys } from '../../src/operations/keys.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { decodePart } from '../support/expectations.ts';
import { ISSUER, type Pair, startTestServer, type TestServer } from '../support/test-server.ts';

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const DAY = 86_400_000;
const HOUR = 3_600_000;

interface Jwk {
  readonly kid: string;
  readonly alg: string;
  readonly [member: string]: unknown;
}

async function publishedKeys(server: TestServer): Promise<Jwk[]> {
  const { body } = await server.send({ path: '/.well-known/jwks.json' });
  return body.keys as Jwk[];
}

/** As a resource server would: by the published keys alone. @returns the claims */
async function judge(server: TestServer, token: string, audience: string): Promise<Record<string, unknown>> {
  const { payload } = await jwtVerify(token, createLocalJWKSet({ keys: await publishedKeys(server) }), {
    issuer: ISSUER,
    audience,
    typ: 'at+jwt',
    currentDate: new Date(server.clock.now()),
    requiredClaims: ['sub', 'exp', 'iat', 'jti', 'sid', 'client_id', 'auth_time'],
  });
  return payload;
}

const seconds = (server: TestServer): number => Math.floor(server.clock.now() / 1_000);

/** The milliseconds of a UUIDv7 (RFC 9562 §5.7). */
const timeOf = (uuid: unknown): number => Number.parseInt(String(uuid).replaceAll('-', '').slice(0, 12), 16);

describeOnBothDatabases('tokens', (makeDatabase) => {
  const prepare = async (config: Readonly<Record<string, unknown>> = {}) =>
    startTestServer({ url: await makeDatabase(), config });

  test('an access token carries the claims of contract §2 and no others, and jose accepts it', async () => {
    const server = await prepare();
    const pair = await server.login();
    const claims = await judge(server, pair.access_token, 'api');
    const iat = seconds(server);
    expect(claims).toEqual({
      iss: ISSUER,
      sub: server.subject,
      aud: 'api',
      client_id: 'default',
      iat,
      exp: iat + 300,
      jti: expect.stringMatching(UUID_V7),
      sid: pair.session_id,
      auth_time: iat,
    });
    expect(pair.session_id).toMatch(UUID_V7);
    expect([timeOf(claims.jti), timeOf(claims.sid)]).toEqual([server.clock.now(), server.clock.now()]);
  });

  test('a refresh token carries the claims of contract §2 and no others', async () => {
    const server = await prepare();
    const pair = await server.login();
    const iat = seconds(server);
    const claims = decodePart(pair.refresh_token, 'claims');
    expect(claims).toEqual({
      iss: ISSUER,
      sub: server.subject,
      aud: ISSUER,
      client_id: 'default',
      iat,
      exp: iat + 90 * 86_400,
      jti: expect.stringMatching(UUID_V7),
      sid: pair.session_id,
      gen: 0,
    });
    server.clock.advance(1_750);
    const next = decodePart((await server.refresh(pair)).refresh_token, 'claims');
    expect(next).toEqual({
      ...claims,
      iat: iat + 2,
      exp: iat + 2 + 90 * 86_400,
      jti: expect.stringMatching(UUID_V7),
      gen: 1,
    });
    expect(next.jti).not.toBe(claims.jti);
  });

  test('a header is alg, kid and typ; an access key is named by its thumbprint, a refresh key at random', async () => {
    const server = await prepare();
    const pair = await server.login();
    const [access, refresh] = [decodePart(pair.access_token, 'header'), decodePart(pair.refresh_token, 'header')];
    expect(access).toEqual({ alg: 'ES256', kid: expect.any(String), typ: 'at+jwt' });
    expect(refresh).toEqual({ alg: 'HS256', kid: expect.stringMatching(/^[\w-]{22}$/), typ: 'rt+jwt' });
    const published = (await publishedKeys(server)).find((key) => key.kid === access.kid);
    if (published === undefined) throw new Error('the key of an access token is not published');
    expect(await calculateJwkThumbprint(published)).toBe(access.kid);
    expect((await publishedKeys(server)).map((key) => key.kid)).not.toContain(refresh.kid);
  });

  test('a refresh token is the row of its family, encoded: its MAC is that of the key that the row names', async () => {
    const server = await prepare();
    const pair = await server.login();
    const { refresh } = await server.app.keys.current();
    const family = await server.family(pair.session_id);
    const key = refresh.byId.get(family.current.kid);
    if (key === undefined) throw new Error('the row names an unknown key');
    expect(encodeRefreshToken(family, key, ISSUER)).toBe(pair.refresh_token);
    const signed = pair.refresh_token.slice(0, pair.refresh_token.lastIndexOf('.'));
    const mac = createHmac('sha256', key.secret).update(signed).digest('base64url');
    expect(pair.refresh_token).toBe(`${signed}.${mac}`);
  });

  test('auth_time stays that of the login in every access token of the family', async () => {
    const server = await prepare();
    let pair: Pair = await server.login();
    const loginTime = seconds(server);
    for (let generation = 1; generation <= 3; generation += 1) {
      server.clock.advance(DAY);
      pair = await server.refresh(pair);
      const claims = await judge(server, pair.access_token, 'api');
      expect(claims).toMatchObject({ auth_time: loginTime, iat: seconds(server), sid: pair.session_id });
    }
  });

  test('the audience is the client’s: a string when one, an array when several, tokens.audience when none', async () => {
    const server = await prepare({ 'tokens.audience': 'house' });
    for (const [id, audiences, aud] of [
      ['none', [], 'house'],
      ['one', ['orders'], 'orders'],
      ['two', ['orders', 'stock'], ['orders', 'stock']],
    ] as const) {
      await server.addClient(id, { isPublic: true, audiences });
      const pair = await server.login({ client_id: id });
      expect(decodePart(pair.access_token, 'claims')).toMatchObject({ aud, client_id: id });
      expect(decodePart((await server.refresh(pair)).access_token, 'claims')).toMatchObject({ aud, client_id: id });
      expect(decodePart(pair.refresh_token, 'claims')).toMatchObject({ aud: ISSUER, client_id: id });
    }
  });

  test('no exp is later than the end of the family, and the answer says what is left', async () => {
    const server = await prepare({ 'tokens.familyMaxLifetime': '2h', 'tokens.refreshTokenTtl': '90m' });
    const first = await server.login();
    const end = seconds(server) + 7_200;
    expect(first).toMatchObject({ expires_in: 300, refresh_expires_in: 5_400 });
    server.clock.advance(HOUR);
    const second = await server.refresh(first);
    expect(second).toMatchObject({ expires_in: 300, refresh_expires_in: 3_600 });
    expect(decodePart(second.refresh_token, 'claims').exp).toBe(end);
    server.clock.advance(HOUR - 60_000);
    const third = await server.refresh(second);
    expect(third).toMatchObject({ expires_in: 60, refresh_expires_in: 60 });
    expect(decodePart(third.access_token, 'claims').exp).toBe(end);
    expect(decodePart(third.refresh_token, 'claims').exp).toBe(end);
  });

  test.each(['ES256', 'EdDSA', 'RS256'])(
    'tokens.signingAlgorithm %s signs access tokens that jose accepts',
    async (alg) => {
      const server = await prepare({ 'tokens.signingAlgorithm': alg });
      const pair = await server.login();
      expect(decodePart(pair.access_token, 'header').alg).toBe(alg);
      await judge(server, pair.access_token, 'api');
      expect(await server.verify(pair.access_token)).toMatchObject({ active: true });
      await rotateKeys(server.app, 'access');
      const next = await server.refresh(pair);
      expect(decodePart(next.access_token, 'header').kid).not.toBe(decodePart(pair.access_token, 'header').kid);
      await judge(server, pair.access_token, 'api');
      await judge(server, next.access_token, 'api');
    },
  );

  test('a server beside this one encodes and accepts the same tokens', async () => {
    const url = await makeDatabase();
    const server = await startTestServer({ url });
    const other = await startTestServer({ url, beside: server });
    const first = await server.login();
    const second = await other.refresh(first, { key: 'k' });
    expect((await server.refresh(first, { key: 'k' })).refresh_token).toBe(second.refresh_token);
    expect(await server.verify(second.access_token)).toMatchObject({ active: true });
    expect(await other.verify(first.access_token)).toMatchObject({ active: true });
  });
});
