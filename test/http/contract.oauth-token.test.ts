/** `POST /oauth/token` as contract §4 has it (RFC 6749 §6, RFC 9700): who may refresh what, and each refusal. */
import { expect, test } from 'vitest';
import { describeOnBothDatabases } from '../support/databases.ts';
import { decodePart, expectEvents, expectNoChange, expectRefusal, tamper } from '../support/expectations.ts';
import { type Form, postForm } from '../support/form.ts';
import type { Answer, Headers } from '../support/http-client.ts';
import {
  basicOf,
  type Pair,
  pairOf,
  startTestServer,
  type TestClient,
  type TestServer,
} from '../support/test-server.ts';

const TOKEN = '/oauth/token';

const refreshForm = ({ refresh_token }: Pair): Record<string, string> => ({
  grant_type: 'refresh_token',
  refresh_token,
});

const invalidGrant = (answer: Answer): void => expectRefusal(answer, 400, 'invalid_grant');

interface Stage {
  readonly server: TestServer;
  readonly app: TestClient;
  readonly pair: Pair;
  /** As `app`, by Basic, unless the headers say otherwise. */
  ask(form: Form, headers?: Headers): Promise<Answer>;
}

describeOnBothDatabases('the token endpoint', (makeDatabase) => {
  /** A confidential app with a session of its own. */
  async function prepare(config: Readonly<Record<string, unknown>> = {}): Promise<Stage> {
    const server = await startTestServer({ url: await makeDatabase(), config });
    const app = await server.addClient('backend');
    const pair = await server.login({ client_id: app.id, headers: app.basic });
    await server.events();
    return { server, app, pair, ask: (form, headers = app.basic) => postForm(server, TOKEN, form, headers) };
  }

  test('rotates for a confidential app by Basic or by the body, and needs no access token', async () => {
    const { server, app, pair, ask } = await prepare();
    const { id: client_id, secret: client_secret } = app;
    const ways: readonly (readonly [Form, Headers])[] = [
      [{}, app.basic],
      [{ client_id, client_secret }, {}],
      [{ client_id }, app.basic],
      [{ client_id: '', client_secret: '' }, app.basic],
    ];
    let newest = pair;
    for (const [form, headers] of ways) {
      newest = pairOf(await ask({ ...refreshForm(newest), ...(form as object) }, headers));
      expect(newest.session_id).toBe(pair.session_id);
    }
    expect((await server.family(pair.session_id)).generation).toBe(ways.length);
    expect(decodePart(newest.access_token, 'claims')).toMatchObject({ client_id, sid: pair.session_id });
    expect(await server.verify(newest.access_token)).toMatchObject({ active: true });
    await expectEvents(server);
  });

  test('rotates for a public app by client_id and the access token of the session, the built-in one too', async () => {
    const { server, ask } = await prepare();
    await server.addClient('spa', { isPublic: true });
    for (const client_id of ['spa', 'default']) {
      const pair = await server.login(client_id === 'default' ? {} : { client_id });
      const form = { ...refreshForm(pair), client_id };
      await expectNoChange(server, async () => {
        for (const access_token of [undefined, '', 'x', tamper(pair.access_token, 'claims', { sub: 'x' })])
          invalidGrant(await ask({ ...form, access_token }, {}));
      });
      server.clock.advance(3_600_000);
      pairOf(await ask({ ...form, access_token: pair.access_token }, {}));
    }
  });

  test('asks a public app for no access token with --refresh-alone, or where the server requires none', async () => {
    const { server, ask } = await prepare();
    await server.addClient('cli', { isPublic: true, policy: { refreshAlone: true } });
    const cli = await server.login({ client_id: 'cli' });
    pairOf(await ask({ ...refreshForm(cli), client_id: 'cli' }, {}));
    const lenient = await prepare({ 'tokens.refresh.requireAccessToken': false });
    const pair = await lenient.server.login();
    pairOf(await lenient.ask({ ...refreshForm(pair), client_id: 'default' }, {}));
  });

  test('judges an access token that is sent, even where it needs none', async () => {
    const { server, app, pair, ask } = await prepare();
    const other = await server.login({ client_id: app.id, headers: app.basic });
    await expectNoChange(server, async () => {
      for (const access_token of [other.access_token, pair.refresh_token, 'x'])
        invalidGrant(await ask({ ...refreshForm(pair), access_token }));
    });
    pairOf(await ask({ ...refreshForm(pair), access_token: pair.access_token }));
  });

  test('takes a form with a grant type that it serves, and nothing else (O1)', async () => {
    const { server, app, pair, ask } = await prepare();
    const json = { 'content-type': 'application/json', ...app.basic };
    const { grant_type: _, ...rest } = refreshForm(pair);
    await expectNoChange(server, async () => {
      expectRefusal(await server.post(TOKEN, refreshForm(pair), json), 415, 'unsupported_media_type');
      expectRefusal(await ask(''), 400, 'invalid_request');
      expectRefusal(await ask(rest), 400, 'invalid_request', { names: 'grant_type' });
      expectRefusal(await ask({ ...rest, grant_type: '' }), 400, 'invalid_request', { names: 'grant_type' });
      for (const grant_type of ['password', 'authorization_code', 'client_credentials', 'Refresh_Token', ' '])
        expectRefusal(await ask({ ...rest, grant_type }), 400, 'unsupported_grant_type');
      for (const method of ['GET', 'PUT'])
        expectRefusal(await server.send({ method, path: TOKEN, headers: app.basic }), 405, 'method_not_allowed');
    });
  });

  test('knows the client by one way of authentication, or answers 401 with a Basic challenge (O2)', async () => {
    const { server, app, pair, ask } = await prepare();
    await server.addClient('spa', { isPublic: true });
    const form = refreshForm(pair);
    const { id: client_id, secret: client_secret } = app;
    const unknown: readonly (readonly [Form, Headers])[] = [
      [form, {}],
      [form, basicOf(client_id, 'wrong')],
      [form, basicOf('nobody', client_secret)],
      [form, basicOf('spa', '')],
      [form, server.api.basic],
      [form, { authorization: `Bearer ${client_secret}` }],
      [form, { authorization: `Bearer ${pair.access_token}` }],
      [form, { authorization: 'Basic !!!' }],
      [{ ...form, client_id }, {}],
      [{ ...form, client_id, client_secret: '' }, {}],
      [{ ...form, client_id, client_secret: 'wrong' }, {}],
      [{ ...form, client_secret }, {}],
      [{ ...form, client_id: 'nobody' }, {}],
      [{ ...form, client_id: server.api.id }, {}],
      [{ ...form, client_id: server.api.id, client_secret: server.api.secret }, {}],
      [{ ...form, client_id: 'spa', client_secret: 'x' }, {}],
    ];
    const twice: readonly Form[] = [
      { ...form, client_secret },
      { ...form, client_id, client_secret },
      { ...form, client_id: 'spa' },
      { ...form, client_id: client_id.toUpperCase() },
    ];
    await expectNoChange(server, async () => {
      for (const [sent, headers] of unknown) expectRefusal(await ask(sent, headers), 401, 'invalid_client');
      for (const sent of twice) expectRefusal(await ask(sent), 400, 'invalid_request');
    });
    pairOf(await ask(form));
  });

  test('says invalid_grant to whoever brings the refresh token of another client, which it costs nothing (O3)', async () => {
    const { server, app, pair, ask } = await prepare();
    const thief = await server.addClient('thief');
    await server.addClient('spa', { isPublic: true });
    const spa = await server.login({ client_id: 'spa' });
    const spent = await server.login({ client_id: app.id, headers: app.basic });
    const current = pairOf(await ask(refreshForm(spent)));
    await server.events();
    await expectNoChange(server, async () => {
      for (const victim of [pair, spent, spa]) invalidGrant(await ask(refreshForm(victim), thief.basic));
      invalidGrant(await ask({ ...refreshForm(pair), access_token: pair.access_token, client_id: 'spa' }, {}));
      invalidGrant(await ask({ ...refreshForm(spa), access_token: spa.access_token, client_id: 'default' }, {}));
      invalidGrant(await ask(refreshForm(spa)));
    });
    const told = server
      .log()
      .split('\n')
      .filter((line) => line.includes('refresh token of another client'));
    expect(told).toHaveLength(6);
    for (const line of told) expect(line).toMatch(/"level":"warn".*"presented_by":"(thief|spa|default|backend)"/);
    pairOf(await ask(refreshForm(current)));
  });

  test('refuses a parameter sent twice, an empty refresh token, and any scope (O4)', async () => {
    const { server, pair, ask } = await prepare();
    const form = refreshForm(pair);
    const text = new URLSearchParams(form).toString();
    await expectNoChange(server, async () => {
      for (const again of [
        'grant_type=refresh_token',
        'refresh_token=x',
        'x=1&x=2',
        'scope=&scope=',
        'client_id=&client_id=',
      ])
        expectRefusal(await ask(`${text}&${again}`), 400, 'invalid_request', { names: 'twice' });
      for (const refresh_token of [undefined, ''])
        expectRefusal(await ask({ ...form, refresh_token }), 400, 'invalid_request', { names: 'refresh_token' });
      expectRefusal(await ask({ ...form, refresh_token: '\0' }), 400, 'invalid_request');
      expectRefusal(await ask(`${text}&x=%ff`), 400, 'invalid_request');
      for (const scope of ['openid', 'offline_access', ' ']) {
        expectRefusal(await ask({ ...form, scope }), 400, 'invalid_scope');
      }
    });
    pairOf(await ask({ ...form, scope: '', audience: 'x', resource: 'https://api.example' }));
  });

  test('ends the session of a spent refresh token, whatever comes with it (O5)', async () => {
    const { server, pair, ask } = await prepare();
    const next = pairOf(await ask(refreshForm(pair)));
    invalidGrant(await ask({ ...refreshForm(pair), access_token: 'x' }));
    expect(await server.family(pair.session_id)).toMatchObject({ revoked: { cause: 'reuse' } });
    expect(await server.verify(next.access_token)).toEqual({ active: false, reason: 'revoked' });
    await expectEvents(server, 'token.reuse_detected', 'family.revoked');
    await expectNoChange(server, async () => invalidGrant(await ask(refreshForm(next))));
  });

  test('decodes id and secret in Basic (O6)', async () => {
    const { app, pair, ask } = await prepare();
    const encode = (text: string): string =>
      [...text].map((letter) => `%${letter.charCodeAt(0).toString(16).padStart(2, '0')}`).join('');
    const next = pairOf(await ask(refreshForm(pair), basicOf(encode(app.id), encode(app.secret))));
    for (const [id, secret] of [
      [app.id, '%zz'],
      ['%', app.secret],
      [encode(encode(app.id)), app.secret],
    ] as const) {
      expectRefusal(await ask(refreshForm(next), basicOf(id, secret)), 401, 'invalid_client');
    }
    pairOf(await ask(refreshForm(next)));
  });

  test('gives the same successor to the same Idempotency-Key, and refuses one that is none', async () => {
    const { server, app, pair, ask } = await prepare();
    const withKey = (key: string | readonly string[]): Headers => ({ ...app.basic, 'idempotency-key': key });
    await expectNoChange(server, async () => {
      for (const key of ['', 'a b', 'x'.repeat(129), ['a', 'b']])
        expectRefusal(await ask(refreshForm(pair), withKey(key)), 400, 'invalid_request');
    });
    const next = pairOf(await ask(refreshForm(pair), withKey('k')));
    const again = pairOf(await ask(refreshForm(pair), withKey('k')));
    expect(again.refresh_token).toBe(next.refresh_token);
    expect(again.access_token).not.toBe(next.access_token);
    // The native endpoint is the same protocol: a client may move from one to the other between two attempts.
    const native = await server.refresh(pair, { key: 'k', headers: app.basic });
    expect(native.refresh_token).toBe(next.refresh_token);
    invalidGrant(await ask(refreshForm(pair), withKey('other')));
    expect((await server.family(pair.session_id)).revoked?.cause).toBe('reuse');
  });

  test('answers 400 invalid_grant for each reason of /refresh, and changes nothing', async () => {
    const { server, app, pair, ask } = await prepare();
    await server.login({ client_id: app.id, headers: app.basic });
    await expectNoChange(server, async () => {
      for (const refresh_token of ['x', pair.access_token, tamper(pair.refresh_token, 'claims', { gen: 1 })])
        invalidGrant(await ask({ grant_type: 'refresh_token', refresh_token }));
    });
    await server.post('/logout', { refresh_token: pair.refresh_token });
    await expectNoChange(server, async () => invalidGrant(await ask(refreshForm(pair))));
    const late = await server.login({ client_id: app.id, headers: app.basic });
    server.clock.advance(90 * 86_400_000);
    await expectNoChange(server, async () => invalidGrant(await ask(refreshForm(late))));
  });
});
