/** `POST /verify` as contract §3 has it: who may ask, about which audience, and what is answered in which order. */
import { expect, test } from 'vitest';
import { rotateClientSecret } from '../../src/operations/clients.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { decodePart, expectNoChange, expectRefusal } from '../support/expectations.ts';
import type { Answer, Headers } from '../support/http-client.ts';
import { basicOf, ISSUER, startTestServer, type TestServer } from '../support/test-server.ts';

const inactive = (reason: string) => ({ active: false, reason });

function comparable({ status, headers, text }: Answer): unknown {
  const { date: _, 'x-request-id': __, ...rest } = headers;
  return { status, headers: rest, text };
}

describeOnBothDatabases('verify', (makeDatabase) => {
  async function prepare(config: Readonly<Record<string, unknown>> = {}) {
    const server = await startTestServer({ url: await makeDatabase(), config });
    return { server, pair: await server.login() };
  }

  const ask = async (server: TestServer, token: string, headers: Headers, audience?: string): Promise<unknown> => {
    const answer = await server.post('/verify', audience === undefined ? { token } : { token, audience }, headers);
    expect(answer).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' } });
    return answer.body;
  };

  test('an active token gives its claims and nothing else, and changes nothing', async () => {
    const { server, pair } = await prepare();
    const claims = decodePart(pair.access_token, 'claims');
    const expected = { active: true, ...claims };
    await expectNoChange(server, async () => {
      for (let count = 0; count < 3; count += 1)
        expect(await ask(server, pair.access_token, server.api.basic)).toEqual(expected);
    });
    expect(Object.keys(expected).toSorted()).toEqual([
      'active',
      'aud',
      'auth_time',
      'client_id',
      'exp',
      'iat',
      'iss',
      'jti',
      'sid',
      'sub',
    ]);
  });

  test('a resource server authenticates by Basic or by its secret as Bearer, in any case of the scheme (V2)', async () => {
    const { server, pair } = await prepare();
    const { id, secret } = server.api;
    const [, encoded = ''] = (server.api.basic.authorization ?? '').split(' ');
    for (const authorization of [
      `Basic ${encoded}`,
      `basic ${encoded}`,
      `BASIC ${encoded}`,
      `Bearer ${secret}`,
      `bearer ${secret}`,
    ]) {
      expect(await ask(server, pair.access_token, { authorization })).toMatchObject({ active: true });
    }
    const coded = Buffer.from(`%61${id.slice(1)}:${encodeURIComponent(secret)}`).toString('base64');
    expect(await ask(server, pair.access_token, { authorization: `Basic ${coded}` })).toMatchObject({ active: true });
  });

  test('anybody else gets one answer, byte for byte: 401 invalid_client with a Basic challenge (V1 V2 J52, I28)', async () => {
    const { server, pair } = await prepare();
    const app = await server.addClient('backend');
    const admin = await server.addClient('ops', { type: 'admin' });
    await server.addClient('web', { isPublic: true });
    const { id, secret, basic } = server.api;
    const encode = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;
    const wrong: readonly (string | readonly string[] | undefined)[] = [
      undefined,
      '',
      'Basic',
      'Basic !!!',
      encode(id),
      encode(`:${secret}`),
      encode(''),
      encode(`${id}:%zz`),
      encode(`${id}:`),
      `Basic ${id}:${secret}`,
      encode(`${id}:wrong`),
      encode(`nobody:${secret}`),
      encode(`${id} :${secret}`),
      encode(`API:${secret}`),
      encode(`${id}:${secret} `),
      encode('web:'),
      'Bearer',
      'Bearer x',
      `Bearer ${app.secret}`,
      `Bearer ${pair.access_token}`,
      `Bearer ${pair.refresh_token}`,
      `Digest username="${id}"`,
      secret,
      app.basic.authorization,
      admin.basic.authorization,
      `Bearer ${admin.secret}`,
      [basic.authorization ?? '', basic.authorization ?? ''],
      [basic.authorization ?? '', `Bearer ${pair.access_token}`],
    ];
    const answers: Answer[] = [];
    await expectNoChange(server, async () => {
      for (const authorization of wrong) {
        answers.push(
          await server.post(
            '/verify',
            { token: pair.access_token },
            authorization === undefined ? {} : { authorization },
          ),
        );
      }
    });
    for (const answer of answers) {
      expectRefusal(answer, 401, 'invalid_client');
      expect(comparable(answer)).toEqual(comparable(answers[0] ?? answer));
    }
  });

  test('a client is authenticated before its request is read', async () => {
    const { server } = await prepare();
    expectRefusal(await server.post('/verify', {}), 401, 'invalid_client');
    expectRefusal(await server.post('/verify', {}, server.api.basic), 400, 'invalid_request', { names: 'token' });
  });

  test('a secret that was rotated stops working, on another server within two seconds (V5)', async () => {
    const url = await makeDatabase();
    const server = await startTestServer({ url });
    const other = await startTestServer({ url, beside: server });
    const { access_token } = await server.login();
    expect(await other.verify(access_token)).toMatchObject({ active: true });
    const { secret } = await rotateClientSecret(server.app, 'api');
    const fresh = basicOf('api', secret.reveal());
    expect(await ask(server, access_token, fresh)).toMatchObject({ active: true });
    expectRefusal(await server.post('/verify', { token: access_token }, server.api.basic), 401, 'invalid_client');
    server.clock.advance(2_000);
    expectRefusal(await other.post('/verify', { token: access_token }, server.api.basic), 401, 'invalid_client');
    expect(await ask(other, access_token, fresh)).toMatchObject({ active: true });
  });

  test('a resource server asks about its registered audiences alone (V4 D4, I20)', async () => {
    const { server, pair } = await prepare();
    const orders = await server.addClient('orders', { type: 'resource-server', audiences: ['orders', 'stock'] });
    await server.addClient('shop', { isPublic: true, audiences: ['stock', 'billing'] });
    const shop = await server.login({ client_id: 'shop' });
    const cases: readonly (readonly [
      token: string,
      headers: Headers,
      audience: string | undefined,
      reason: string | undefined,
    ])[] = [
      [pair.access_token, server.api.basic, undefined, undefined],
      [pair.access_token, server.api.basic, 'api', undefined],
      [pair.access_token, server.api.basic, 'orders', 'wrong_audience'],
      [pair.access_token, orders.basic, undefined, 'wrong_audience'],
      [pair.access_token, orders.basic, 'api', 'wrong_audience'],
      [shop.access_token, orders.basic, undefined, undefined],
      [shop.access_token, orders.basic, 'stock', undefined],
      [shop.access_token, orders.basic, 'orders', 'wrong_audience'],
      [shop.access_token, orders.basic, 'billing', 'wrong_audience'],
      [shop.access_token, orders.basic, ISSUER, 'wrong_audience'],
      [shop.access_token, server.api.basic, undefined, 'wrong_audience'],
    ];
    for (const [token, headers, audience, reason] of cases) {
      const body = await ask(server, token, headers, audience);
      if (reason === undefined) expect(body).toMatchObject({ active: true });
      else expect(body).toEqual(inactive(reason));
    }
    expectRefusal(
      await server.post('/verify', { token: pair.access_token, audience: '' }, server.api.basic),
      400,
      'invalid_request',
    );
  });
});
