/** What clients discover and what orchestrators ask: published keys, metadata, health: contract §4. */
import { calculateJwkThumbprint } from 'jose';
import { expect, test } from 'vitest';
import { moveKeysOn, rotateKeys } from '../../src/operations/keys.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { decodePart, expectNoChange, expectRefusal } from '../support/expectations.ts';
import type { Headers } from '../support/http-client.ts';
import { ISSUER, startTestServer, type TestServer } from '../support/test-server.ts';

const JWKS = '/.well-known/jwks.json';
const METADATA = '/.well-known/oauth-authorization-server';

type Jwk = Readonly<Record<string, unknown>> & { readonly kid: string };

describeOnBothDatabases('discovery', (makeDatabase) => {
  const prepare = async (config: Readonly<Record<string, unknown>> = {}): Promise<TestServer> =>
    startTestServer({ url: await makeDatabase(), config });

  const get = (server: TestServer, path: string, headers: Headers = {}) => server.send({ path, headers });
  const keysOf = async (server: TestServer): Promise<readonly Jwk[]> => (await get(server, JWKS)).body.keys as Jwk[];

  test('the JWKS has the next, active and retiring access keys, each with kid, alg and use, and nothing private', async () => {
    const server = await prepare();
    const before = await keysOf(server);
    await rotateKeys(server.app, 'access');
    const answer = await get(server, JWKS);
    expect(answer).toMatchObject({
      status: 200,
      headers: { 'content-type': 'application/jwk-set+json', 'cache-control': 'max-age=300' },
    });
    const keys = answer.body.keys as Jwk[];
    expect([before.length, keys.length]).toEqual([2, 3]);
    for (const { kid } of before) expect(keys.map((key) => key.kid)).toContain(kid);
    for (const key of keys) {
      expect(Object.keys(key).toSorted()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
      expect(key).toMatchObject({
        alg: 'ES256',
        use: 'sig',
        kty: 'EC',
        crv: 'P-256',
        kid: await calculateJwkThumbprint(key),
      });
    }
    server.clock.advance(300_000);
    await moveKeysOn(server.app);
    expect(await keysOf(server)).toHaveLength(2);
    expect((await keysOf(server)).map((key) => key.kid)).toContain(
      decodePart((await server.login()).access_token, 'header').kid,
    );
  });

  test('the JWKS has a strong ETag, and is 304 for whoever knows it (P14)', async () => {
    const server = await prepare();
    const etag = (await get(server, JWKS)).headers.etag ?? '';
    expect(etag).toMatch(/^"[\w-]+"$/);
    for (const known of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
      const answer = await get(server, JWKS, { 'if-none-match': known });
      expect(answer).toMatchObject({ status: 304, text: '', headers: { etag, 'cache-control': 'max-age=300' } });
    }
    for (const headers of [
      { 'if-none-match': '"x"' },
      { 'if-modified-since': 'Sat, 01 Jan 2050 00:00:00 GMT' },
      { range: 'bytes=0-1' },
    ]) {
      expect((await get(server, JWKS, headers)).status).toBe(200);
    }
    await rotateKeys(server.app, 'access');
    const next = await get(server, JWKS, { 'if-none-match': etag });
    expect(next.status).toBe(200);
    expect(next.headers.etag).not.toBe(etag);
  });

  test('the metadata of RFC 8414 is about the configured issuer, whatever the request says (P7 P8)', async () => {
    const server = await prepare();
    const expected = {
      issuer: ISSUER,
      token_endpoint: `${ISSUER}/oauth/token`,
      jwks_uri: `${ISSUER}${JWKS}`,
      introspection_endpoint: `${ISSUER}/oauth/introspect`,
      revocation_endpoint: `${ISSUER}/oauth/revoke`,
      response_types_supported: [],
      grant_types_supported: ['refresh_token'],
      token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'none'],
      revocation_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'none'],
      introspection_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'Bearer'],
    };
    for (const headers of [
      {},
      { 'x-forwarded-host': 'evil', 'x-forwarded-proto': 'http', forwarded: 'host=evil' },
      { accept: 'text/html' },
    ]) {
      const answer = await get(server, METADATA, headers);
      expect(answer).toMatchObject({ status: 200, headers: { 'content-type': 'application/json; charset=utf-8' } });
      expect(answer.body).toEqual(expected);
    }
    expect((await get(server, `http://evil${METADATA}`)).body).toEqual(expected);
    expectRefusal(await get(server, `${METADATA}/x`), 404, 'not_found');
    expect(decodePart((await server.login()).access_token, 'claims').iss).toBe(expected.issuer);
  });

  test('with a path in the issuer the metadata is also where RFC 8414 §3.1 puts it', async () => {
    const issuer = 'https://auth.example/tenant/';
    const server = await prepare({ issuer });
    for (const path of [METADATA, `${METADATA}/tenant`]) {
      expect((await get(server, path)).body).toMatchObject({
        issuer,
        jwks_uri: 'https://auth.example/tenant/.well-known/jwks.json',
      });
    }
    for (const path of [`${METADATA}/tenant/`, '/tenant/login', `/tenant${METADATA}`])
      expectRefusal(await get(server, path), 404, 'not_found');
  });

  test('health and readiness answer 200 to anybody', async () => {
    const server = await prepare();
    await expectNoChange(server, async () => {
      for (const path of ['/healthz', '/readyz']) expect((await get(server, path)).status).toBe(200);
    });
  });

  test('each of them answers GET and HEAD, and 405 with Allow to anything else (P4 P5 P6)', async () => {
    const server = await prepare();
    for (const path of [JWKS, METADATA, '/healthz', '/readyz']) {
      const [whole, head] = [await get(server, path), await server.send({ method: 'HEAD', path })];
      expect(head).toMatchObject({
        status: 200,
        text: '',
        headers: { 'content-length': whole.headers['content-length'] },
      });
      for (const method of ['POST', 'PUT', 'DELETE', 'TRACE', 'OPTIONS']) {
        const answer = await server.send({ method, path });
        expectRefusal(answer, 405, 'method_not_allowed');
        expect(answer.headers.allow).toBe('GET, HEAD');
      }
      for (const spelling of [`${path}/`, path.toUpperCase(), `/${path}`, `/.${path}`]) {
        expectRefusal(await get(server, spelling), 404, 'not_found');
      }
    }
  });
});
