/** `POST /oauth/introspect` as contract §4 has it (RFC 7662): who may ask, and what is answered to them. */
import { expect, test } from 'vitest';
import { describeOnBothDatabases } from '../support/databases.ts';
import { decodePart, expectNoChange, expectRefusal, tamper } from '../support/expectations.ts';
import { type Form, postForm } from '../support/form.ts';
import type { Answer, Headers } from '../support/http-client.ts';
import { says, startStubUserService } from '../support/stub-user-service.ts';
import { basicOf, startTestServer, type TestServer } from '../support/test-server.ts';
import { startWith } from '../users/support.ts';

const INTROSPECT = '/oauth/introspect';

const ask = (server: TestServer, form: Form, headers: Headers = server.api.basic): Promise<Answer> =>
  postForm(server, INTROSPECT, form, headers);

/** What is said of a token that is not active: one bit, no reason (RFC 7662 §2.2). */
async function expectInactive(server: TestServer, token: string, headers: Headers = server.api.basic): Promise<void> {
  const answer = await ask(server, { token }, headers);
  expect(answer).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' } });
  expect(answer.body).toEqual({ active: false });
}

describeOnBothDatabases('introspection', (makeDatabase) => {
  async function prepare(config: Readonly<Record<string, unknown>> = {}) {
    const server = await startTestServer({ url: await makeDatabase(), config });
    return { server, pair: await server.login() };
  }

  test('says of an active token what RFC 7662 §2.2 names and the session, whatever the hint, and changes nothing', async () => {
    const { server, pair } = await prepare();
    const { auth_time: _, ...claims } = decodePart(pair.access_token, 'claims');
    const expected = { active: true, token_type: 'Bearer', ...claims };
    expect(Object.keys(expected).toSorted()).toEqual(
      ['active', 'aud', 'client_id', 'exp', 'iat', 'iss', 'jti', 'sid', 'sub', 'token_type'].toSorted(),
    );
    await expectNoChange(server, async () => {
      for (const token_type_hint of [undefined, '', 'access_token', 'refresh_token', 'nonsense']) {
        const answer = await ask(server, { token: pair.access_token, token_type_hint });
        expect(answer).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' } });
        expect(answer.body).toEqual(expected);
      }
    });
  });

  test('says the claims that the user directory gave and the configuration lets through', async () => {
    const service = await startStubUserService();
    service.behave(says(200, { sub: 'user-1', claims: { roles: ['editor'], email: 'a@b.example' } }));
    const server = await startWith(await makeDatabase(), service, { 'tokens.claims': ['roles'] });
    const { access_token } = await server.login();
    const { body } = await ask(server, { token: access_token });
    expect(body).toMatchObject({ active: true, sub: 'user-1', roles: ['editor'] });
    expect(body).not.toHaveProperty('email');
  });

  test('authenticates a resource server by Basic, by the body or by its secret as Bearer', async () => {
    const { server, pair } = await prepare();
    const { id: client_id, secret: client_secret } = server.api;
    const token = pair.access_token;
    const ways: readonly (readonly [Form, Headers])[] = [
      [{ token }, server.api.basic],
      [{ token, client_id }, server.api.basic],
      [{ token, client_id, client_secret }, {}],
      [{ token }, { authorization: `Bearer ${client_secret}` }],
    ];
    for (const [form, headers] of ways) {
      expect((await ask(server, form, headers)).body).toMatchObject({ active: true });
    }
    expectRefusal(await ask(server, { token, client_id, client_secret }), 400, 'invalid_request');
    expectRefusal(await ask(server, { token, client_id: 'other' }), 400, 'invalid_request');
  });

  test('gives anybody else one answer, byte for byte: 401 invalid_client with a Basic challenge (V1 V2)', async () => {
    const { server, pair } = await prepare();
    const app = await server.addClient('backend');
    const admin = await server.addClient('ops', { type: 'admin' });
    await server.addClient('spa', { isPublic: true });
    const { id, secret, basic } = server.api;
    const encode = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;
    const authorizations: readonly (string | readonly string[])[] = [
      '',
      'Basic !!!',
      encode(id),
      encode(`:${secret}`),
      encode(''),
      `Digest username="${id}"`,
      'Bearer',
      `Bearer ${pair.access_token}`,
      `Bearer ${app.secret}`,
      `Bearer ${admin.secret}`,
      [basic.authorization ?? '', basic.authorization ?? ''],
    ];
    const token = pair.access_token;
    const tries: readonly (readonly [Form, Headers])[] = [
      [{ token }, {}],
      ...authorizations.map((authorization) => [{ token }, { authorization }] as const),
      [{ token }, basicOf(id, 'wrong')],
      [{ token }, basicOf('nobody', secret)],
      [{ token }, app.basic],
      [{ token }, admin.basic],
      [{ token, client_id: id }, {}],
      [{ token, client_id: id, client_secret: 'wrong' }, {}],
      [{ token, client_id: 'spa' }, {}],
      [{ token, client_id: app.id, client_secret: app.secret }, {}],
    ];
    const answers: Answer[] = [];
    await expectNoChange(server, async () => {
      for (const [form, headers] of tries) answers.push(await ask(server, form, headers));
    });
    for (const answer of answers) {
      expectRefusal(answer, 401, 'invalid_client');
      expect(answer.text).toBe(answers[0]?.text);
    }
    const lower = (basic.authorization ?? '').replace('Basic', 'basic');
    expect((await ask(server, { token }, { authorization: lower })).body).toMatchObject({ active: true });
  });

  test('knows the resource server by one way alone; an id beside the bearer secret has to be its own', async () => {
    const { server, pair } = await prepare();
    const { id: client_id, secret: client_secret } = server.api;
    const token = pair.access_token;
    const bearer = { authorization: `Bearer ${client_secret}` };
    for (const headers of [bearer, server.api.basic]) {
      expect((await ask(server, { token, client_id }, headers)).body).toMatchObject({ active: true });
      expectRefusal(await ask(server, { token, client_id, client_secret }, headers), 400, 'invalid_request');
      expectRefusal(await ask(server, { token, client_secret }, headers), 400, 'invalid_request');
    }
    expectRefusal(await ask(server, { token, client_id: 'default' }, bearer), 401, 'invalid_client');
  });

  test('takes a POST of a form with one token, and nothing else (V3 V11)', async () => {
    const { server, pair } = await prepare();
    const token = pair.access_token;
    const { basic } = server.api;
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE']) {
      const answer = await server.send({ method, path: `${INTROSPECT}?token=${token}`, headers: basic });
      expect(answer).toMatchObject({ status: 405, headers: { allow: 'POST' } });
    }
    const json = await server.post(INTROSPECT, { token }, basic);
    expectRefusal(json, 415, 'unsupported_media_type');
    for (const form of [`token=${token}&token=${token}`, `token=${token}&token=`, 'token=&token='])
      expectRefusal(await ask(server, form), 400, 'invalid_request', { names: 'twice' });
    for (const form of ['', 'token', 'token=', 'Token=x', `access_token=${token}`])
      expectRefusal(await ask(server, form), 400, 'invalid_request');
  });

  test('says of a refresh token that it is not active, whatever the hint (V12, I13)', async () => {
    const { server, pair } = await prepare();
    await expectNoChange(server, async () => {
      for (const token_type_hint of [undefined, 'refresh_token', 'access_token']) {
        const answer = await ask(server, { token: pair.refresh_token, token_type_hint });
        expect(answer).toMatchObject({ status: 200, body: { active: false } });
        expect(answer.body).toEqual({ active: false });
      }
    });
  });

  test('says no more than inactive of what is junk, expired, revoked or for another audience (V4)', async () => {
    const { server, pair } = await prepare();
    const orders = await server.addClient('orders', { type: 'resource-server', audiences: ['orders'] });
    await expectInactive(server, pair.access_token, orders.basic);
    for (const token of ['x', '.', server.api.secret, tamper(pair.access_token, 'claims', { sub: 'x' })])
      await expectInactive(server, token);
    const ended = await server.login();
    await server.post('/logout', { refresh_token: ended.refresh_token });
    await expectInactive(server, ended.access_token);
    server.clock.advance(300_000);
    await expectInactive(server, pair.access_token);
  });
});
