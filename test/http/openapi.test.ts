/** `/openapi.json` (contract §4): valid, whole, and true. Every answer that any test gets is held against it besides. */
import { Validator } from '@seriousme/openapi-schema-validator';
import { expect, test } from 'vitest';
import { makeRoutes } from '../../src/http/routes.ts';
import { makeDatabase } from '../support/databases.ts';
import { postForm } from '../support/form.ts';
import type { Headers } from '../support/http-client.ts';
import { checkDocumented, checkGranted, document, documentedPath } from '../support/openapi.ts';
import { startTestServer } from '../support/test-server.ts';

test('it is served, to pages of configured origins too, and is valid OpenAPI 3.1', async () => {
  const origin = 'https://app.example';
  const config = { issuer: 'https://auth.example/tenant', 'server.cors.origins': [origin] };
  const server = await startTestServer({ url: await makeDatabase('sqlite'), config });
  const answer = await server.send({ path: '/openapi.json', headers: { origin } });
  expect(answer).toMatchObject({ status: 200, headers: { 'access-control-allow-origin': origin } });
  expect(answer.body).toMatchObject({ openapi: '3.1.0', servers: [{ url: 'https://auth.example/tenant' }] });
  const verdict = await new Validator().validate(structuredClone(answer.body));
  expect(verdict.errors ?? []).toEqual([]);
  expect(verdict.valid).toBe(true);
  expect(answer.text).not.toMatch(/"pattern":".*\(\?/);
});

test('each of its operations is served, by that method', async () => {
  const server = await startTestServer({ url: await makeDatabase('sqlite') });
  const routeOf = makeRoutes('https://auth.example');
  for (const [path, operations] of Object.entries(document.paths)) {
    const sent = path.replace('{id}', '01995f2e-7c1d-7c3a-9f5e-3b8a52f1c0de');
    expect(documentedPath(sent)).toBe(path);
    const methods = routeOf(sent)?.methods ?? {};
    const documented = Object.keys(operations ?? {}).map((method) => method.toUpperCase());
    expect(documented).toEqual('ALL' in methods ? ['GET'] : Object.keys(methods));
    for (const method of documented) {
      const { status } = await server.send({ method, path: sent });
      expect([404, 405], `${method} ${path}`).not.toContain(status);
    }
  }
});

test('its operations have names of their own, and its references lead somewhere', () => {
  const operations = Object.values(document.paths).flatMap((row) => Object.values(row ?? {}));
  const ids = operations.map((operation) => (operation as unknown as { operationId: string }).operationId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(id).toMatch(/^(get|post)[A-Za-z0-9]+$/);
  const text = JSON.stringify(document);
  for (const [, kind = '', name = ''] of text.matchAll(/"#\/components\/(\w+)\/(\w+)"/g)) {
    expect((document.components as unknown as Record<string, object>)[kind], `${kind}/${name}`).toHaveProperty(name);
  }
});

test('what it says of answers is what answers are: each success that there is, in each of its shapes', async () => {
  const server = await startTestServer({ url: await makeDatabase('sqlite') });
  const admin = await server.addClient('ops', { type: 'admin' });
  const spa = await server.addClient('spa', { isPublic: true, policy: { refreshAlone: true } });
  const seen = new Set<string>();
  const send = async (method: string, path: string, headers: object = {}, body?: string): Promise<void> => {
    const answer = await server.send({
      method,
      path,
      headers: { ...headers },
      ...(body === undefined ? {} : { body }),
    });
    seen.add(`${method} ${documentedPath(path)} ${answer.status}`);
  };
  const json = (path: string, body: unknown, headers: object = {}): Promise<void> =>
    send('POST', path, { 'content-type': 'application/json', ...headers }, JSON.stringify(body));
  const form = async (path: string, body: Record<string, string>, headers: Headers = {}): Promise<void> => {
    const { status } = await postForm(server, path, body, headers);
    seen.add(`POST ${path} ${status}`);
  };

  const pair = await server.login({ device: 'phone' });
  const other = await server.login({ client_id: spa.id });
  await json('/login', { username: 'alice', password: 'correct horse battery staple' });
  await json('/refresh', pair);
  await json('/sessions', { refresh_token: other.refresh_token });
  await json('/verify', { token: pair.access_token }, server.api.basic);
  await json('/verify', { token: 'junk' }, server.api.basic);
  const proxy = { 'x-auth-server-client': `${server.api.id}:${server.api.secret}` };
  await send('GET', '/forward-auth/any/path', { authorization: `Bearer ${pair.access_token}`, ...proxy });
  await form('/oauth/introspect', { token: pair.access_token }, server.api.basic);
  await form('/oauth/introspect', { token: 'junk' }, server.api.basic);
  await form('/oauth/token', { grant_type: 'refresh_token', refresh_token: other.refresh_token, client_id: spa.id });
  await form('/oauth/revoke', { token: other.refresh_token, client_id: spa.id });
  await json('/logout', { refresh_token: pair.refresh_token });
  await json('/admin/v1/revocations', { subject: server.subject }, admin.basic);
  await json('/admin/v1/global-token-revocation', { sub_id: { format: 'opaque', id: 'x' } }, admin.basic);
  await send('GET', '/revocations', server.api.basic);
  await send('GET', '/admin/v1/families?limit=1', admin.basic);
  await send('GET', `/admin/v1/families/${pair.session_id}`, admin.basic);
  await json('/admin/v1/keys/rotate', { compromised: true }, admin.basic);
  await send('GET', '/admin/v1/keys', admin.basic);
  await send('GET', '/admin/v1/events', admin.basic);
  const jwks = await server.send({ path: '/.well-known/jwks.json' });
  await send('GET', '/.well-known/jwks.json', { 'if-none-match': String(jwks.headers.etag) });
  const plain = ['jwks.json', 'oauth-authorization-server'].map((name) => `/.well-known/${name}`);
  for (const path of [...plain, '/openapi.json', '/healthz', '/readyz']) await send('GET', path);

  const promised = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations ?? {}).flatMap(([method, operation]) =>
      Object.keys(operation?.responses ?? {})
        .filter((status) => Number(status) < 400)
        .map((status) => `${method.toUpperCase()} ${path} ${status}`),
    ),
  );
  expect([...seen].toSorted()).toEqual(promised.toSorted());
});

test('an answer that it does not describe is found', () => {
  const answer = (status: number, body: Record<string, unknown>) => ({
    status,
    headers: { 'content-type': 'application/json; charset=utf-8' },
    text: JSON.stringify(body),
    body,
  });
  checkDocumented('GET', '/healthz', answer(200, { status: 'ok' }));
  for (const body of [{}, { status: 'fine' }, { status: 'ok', more: 1 }]) {
    expect(() => checkDocumented('GET', '/healthz', answer(200, body))).toThrow('GET /healthz 200');
  }
  expect(() => checkDocumented('POST', '/logout', answer(204, { status: 'ok' }))).toThrow('has no body');
  expect(() => checkDocumented('POST', '/login', answer(429, { error: 'x' }))).toThrow('POST /login 429');
});

test('a request that was granted although it does not allow it is found', () => {
  checkGranted('POST', '/refresh', '{"refresh_token":"x","more":1}');
  checkGranted('POST', '/admin/v1/keys/rotate', undefined);
  checkGranted('POST', '/oauth/token', 'grant_type=refresh_token&refresh_token=x');
  for (const [path, body] of [
    ['/refresh', '{"access_token":"x"}'],
    ['/refresh', '{"refresh_token":7}'],
    ['/oauth/token', 'grant_type=password&refresh_token=x'],
    ['/oauth/introspect', 'token_type_hint=access_token'],
    ['/oauth/revoke', ''],
  ] as const) {
    expect(() => checkGranted('POST', path, body)).toThrow(`POST ${path} was granted`);
  }
});
