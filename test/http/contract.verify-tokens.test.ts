/** Which tokens `POST /verify` calls active, and what it says of the others, in one order of judgement: contract §2 and §3. */
import { expect, test } from 'vitest';
import { describeOnBothDatabases } from '../support/databases.ts';
import { decodePart, expectNoChange, tamper } from '../support/expectations.ts';
import { resignAccess } from '../support/forge.ts';
import type { Headers } from '../support/http-client.ts';
import { ISSUER, startTestServer, type TestServer } from '../support/test-server.ts';

const MINUTE = 60_000;
const OTHER_ID = '01920000-0000-7000-8000-000000000000';

const inactive = (reason: string) => ({ active: false, reason });

describeOnBothDatabases('a token at verify', (makeDatabase) => {
  async function prepare(config: Readonly<Record<string, unknown>> = {}) {
    const server = await startTestServer({ url: await makeDatabase(), config });
    return { server, pair: await server.login() };
  }

  const ask = async (server: TestServer, token: string, headers: Headers, audience?: string): Promise<unknown> => {
    const answer = await server.post('/verify', audience === undefined ? { token } : { token, audience }, headers);
    expect(answer).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' } });
    return answer.body;
  };

  test('judged in this order: malformed, expired, wrong_audience, revoked (J33 J34, I19)', async () => {
    const { server, pair } = await prepare();
    const orders = await server.addClient('orders', { type: 'resource-server', audiences: ['orders'] });
    const sibling = await server.login();
    await server.post('/logout', { refresh_token: pair.refresh_token });
    const token = pair.access_token;
    expect(await ask(server, token, server.api.basic)).toEqual(inactive('revoked'));
    expect(await ask(server, token, orders.basic)).toEqual(inactive('wrong_audience'));
    server.clock.advance(5 * MINUTE - 1_000);
    expect(await ask(server, sibling.access_token, server.api.basic)).toMatchObject({ active: true });
    server.clock.advance(1_000);
    expect(await ask(server, sibling.access_token, server.api.basic)).toEqual(inactive('expired'));
    expect(await ask(server, token, orders.basic)).toEqual(inactive('expired'));
    expect(await ask(server, tamper(token, 'claims', { exp: 9e9 }), orders.basic)).toEqual(inactive('malformed'));
  });

  test('malformed: whatever is not an access token of this server in its one spelling (I13 I14 I17, J1 J5 J7 J8 J18 J20 J25 J26 J28)', async () => {
    const { server, pair } = await prepare();
    const stranger = await startTestServer({ url: await makeDatabase() });
    const at = pair.access_token;
    const [header = '', claims = '', signature = ''] = at.split('.');
    const tokens = [
      pair.refresh_token,
      server.api.secret,
      (await stranger.login()).access_token,
      '',
      '.',
      '..',
      'a.b.',
      `${header}.${claims}`,
      `${header}.${claims}.`,
      `${at}.x.y`,
      `${at}=`,
      `${at}==`,
      `${at}\n`,
      ` ${at}`,
      `Bearer ${at}`,
      `"${at}"`,
      `${header}.${claims}.${'A'.repeat(86)}`,
      `${at}AA`,
      `${at}${'A'.repeat(8_193)}`,
      '.'.repeat(8_000),
      `${header}.${claims}.${signature.slice(0, 9)} ${signature.slice(9)}`,
      '\uffff',
      '🔑',
      ...['none', 'None', 'HS256', 'ES384', 'RS256', 'es256', null, 1, ['ES256']].map((alg) =>
        tamper(at, 'header', { alg }),
      ),
      ...['JWT', 'at+JWT', 'application/at+jwt', 'rt+jwt', undefined, ['at+jwt']].map((typ) =>
        tamper(at, 'header', { typ }),
      ),
      ...[
        undefined,
        null,
        1,
        '',
        '../../dev/null',
        "' OR '1'='1",
        '__proto__',
        decodePart(pair.refresh_token, 'header').kid,
      ].map((kid) => tamper(at, 'header', { kid })),
      ...Object.entries({
        iss: 'x',
        sub: 'x',
        aud: 'x',
        client_id: 'x',
        iat: 1,
        exp: 9e9,
        jti: OTHER_ID,
        sid: OTHER_ID,
        auth_time: 1,
        extra: 1,
      }).map(([name, value]) => tamper(at, 'claims', { [name]: value })),
    ];
    await expectNoChange(server, async () => {
      for (const token of tokens)
        expect(await ask(server, token, server.api.basic), token.slice(0, 80)).toEqual(inactive('malformed'));
    });
  });

  test('malformed: a genuine signature under other claims, another typ or alg, or a header to follow (I15 I16, J9 J10 J11 J38 J40)', async () => {
    const { server, pair } = await prepare();
    const odd: Record<string, unknown>[] = [
      { iss: 'https://other.example' },
      { iss: [ISSUER] },
      { iss: undefined },
      { sub: '' },
      { sub: 'x'.repeat(300) },
      { sub: undefined },
      { aud: undefined },
      { aud: [] },
      { aud: 1 },
      { aud: '' },
      { client_id: 1 },
      { exp: undefined },
      { exp: '9' },
      { exp: null },
      { exp: 1e10 + 0.5 },
      { exp: -1 },
      { exp: true },
      { iat: undefined },
      { iat: 'x' },
      { jti: undefined },
      { jti: 'x' },
      { sid: undefined },
      { sid: 'x' },
      { auth_time: undefined },
    ];
    const headers: Record<string, unknown>[] = [
      { typ: 'JWT' },
      { typ: undefined },
      { alg: 'none' },
      { alg: 'ES384' },
      { crit: ['exp'] },
      { crit: [] },
      { b64: false },
      { jku: 'http://127.0.0.1:9/' },
      { jwk: { kty: 'oct', k: 'AA' } },
      { x5u: 'http://127.0.0.1:9/' },
      { x5c: ['AA'] },
      { x5t: 'AA' },
      { extra: 1 },
    ];
    for (const change of odd)
      expect(await ask(server, await resignAccess(server, pair.access_token, change), server.api.basic)).toEqual(
        inactive('malformed'),
      );
    for (const header of headers) {
      expect(await ask(server, await resignAccess(server, pair.access_token, {}, header), server.api.basic)).toEqual(
        inactive('malformed'),
      );
    }
    // Beyond that a genuine signature is believed: `iat` is not judged, a family must exist.
    expect(
      await ask(server, await resignAccess(server, pair.access_token, { iat: 9e9 }), server.api.basic),
    ).toMatchObject({ active: true });
    expect(
      await ask(server, await resignAccess(server, pair.access_token, { sid: OTHER_ID }), server.api.basic),
    ).toEqual(inactive('revoked'));
  });

  test('a token of before a change of tokens.audience or of the issuer is not what it was (J35 J36)', async () => {
    const url = await makeDatabase();
    const server = await startTestServer({ url });
    const pair = await server.login();
    const audience = await startTestServer({ url, beside: server, config: { 'tokens.audience': 'new' } });
    expect(await audience.verify(pair.access_token)).toEqual(inactive('wrong_audience'));
    const next = await audience.refresh(pair);
    expect(await audience.verify(next.access_token)).toMatchObject({ active: true, aud: 'new' });
    const issuer = await startTestServer({ url, beside: server, config: { issuer: 'https://new.example' } });
    expect(await issuer.verify(next.access_token)).toEqual(inactive('malformed'));
    expect((await issuer.tryRefresh(next)).body).toMatchObject({ reason: 'malformed' });
  });

  test('is judged by the clock of now: not yet expired after a step back, and iat in the future is no fault (J37)', async () => {
    const { server, pair } = await prepare();
    server.clock.advance(-60 * MINUTE);
    expect(await server.verify(pair.access_token)).toMatchObject({ active: true });
    server.clock.advance(65 * MINUTE);
    expect(await server.verify(pair.access_token)).toEqual(inactive('expired'));
  });
});
