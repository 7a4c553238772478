/**
 * Each endpoint accepts exactly its role (security I44): every credential at every endpoint. A credential or an endpoint
 * that is added here without a word on all of the other kind does not compile.
 */
import { expect, test } from 'vitest';
import { describeOnBothDatabases } from '../support/databases.ts';
import { postForm } from '../support/form.ts';
import type { Answer } from '../support/http-client.ts';
import { beginSessions } from '../support/many-sessions.ts';
import { document } from '../support/openapi.ts';
import {
  PASSWORD,
  type Pair,
  startTestServer,
  type TestClient,
  type TestServer,
  USERNAME,
} from '../support/test-server.ts';

/** A caller: what it puts into `Authorization`, and what a proxy would send on its behalf. */
interface Caller {
  readonly headers: Readonly<Record<string, string>>;
  readonly pair: string;
  /** Names itself as the client where an endpoint asks for one. */
  readonly id: string;
}

type CallerName =
  | 'none'
  | 'user’s access token'
  | 'user’s refresh token'
  | 'resource-server'
  | 'resource-server by bearer'
  | 'app'
  | 'app by bearer'
  | 'public app'
  | 'admin'
  | 'admin by bearer';

/** Sessions to spend on one cell: one of the public built-in client, one of the confidential `app`. */
interface Stage {
  readonly server: TestServer;
  readonly open: Pair;
  readonly owned: Pair;
}

type Ask = (stage: Stage, caller: Caller) => Promise<Answer>;
type Row = Readonly<Record<CallerName, number>>;

const all = (status: number, but: Partial<Row> = {}): Row => ({
  none: status,
  'user’s access token': status,
  'user’s refresh token': status,
  'resource-server': status,
  'resource-server by bearer': status,
  app: status,
  'app by bearer': status,
  'public app': status,
  admin: status,
  'admin by bearer': status,
  ...but,
});

const post =
  (path: string, body: (stage: Stage, caller: Caller) => unknown): Ask =>
  (stage, caller) =>
    stage.server.post(path, body(stage, caller), caller.headers);

const proxyOf = ({ api }: TestServer): string => `${api.id}:${api.secret}`;

const get =
  (path: string): Ask =>
  ({ server }, { headers }) =>
    server.send({ path, headers });

const ENDPOINTS: Readonly<Record<string, { readonly ask: Ask; readonly expected: Row }>> = {
  'POST /login': { ask: post('/login', () => ({ username: USERNAME, password: PASSWORD })), expected: all(200) },
  'POST /login, as itself': {
    ask: post('/login', (_, { id }) => ({ username: USERNAME, password: PASSWORD, client_id: id })),
    expected: all(401, { app: 200, 'public app': 200 }),
  },
  'POST /refresh, of the built-in client': { ask: post('/refresh', ({ open }) => open), expected: all(200) },
  'POST /refresh, of the app': { ask: post('/refresh', ({ owned }) => owned), expected: all(401, { app: 200 }) },
  'POST /logout': { ask: post('/logout', ({ owned }) => ({ refresh_token: owned.refresh_token })), expected: all(204) },
  'POST /sessions': {
    ask: post('/sessions', ({ owned }) => ({ refresh_token: owned.refresh_token })),
    expected: all(200),
  },
  'POST /verify': {
    ask: post('/verify', ({ open }) => ({ token: open.access_token })),
    expected: all(401, { 'resource-server': 200, 'resource-server by bearer': 200 }),
  },
  'GET /forward-auth, as the proxy': {
    ask: ({ server, open }, { pair }) =>
      server.send({
        path: '/forward-auth',
        headers: { authorization: `Bearer ${open.access_token}`, 'x-auth-server-client': pair },
      }),
    expected: all(403, { 'resource-server': 200, 'resource-server by bearer': 200 }),
  },
  'GET /forward-auth, as the user of the proxy': {
    ask: ({ server }, { headers }) =>
      server.send({ path: '/forward-auth', headers: { ...headers, 'x-auth-server-client': proxyOf(server) } }),
    expected: all(401, { 'user’s access token': 200 }),
  },
  'POST /oauth/introspect': {
    ask: ({ server, open }, { headers }) =>
      postForm(server, '/oauth/introspect', { token: open.access_token }, headers),
    expected: all(401, { 'resource-server': 200, 'resource-server by bearer': 200 }),
  },
  'GET /revocations': {
    ask: get('/revocations'),
    expected: all(401, { 'resource-server': 200, 'resource-server by bearer': 200 }),
  },
  'POST /oauth/token, of the app': {
    ask: ({ server, owned }, { headers }) =>
      postForm(server, '/oauth/token', { grant_type: 'refresh_token', refresh_token: owned.refresh_token }, headers),
    expected: all(401, { app: 200 }),
  },
  'POST /oauth/token, as itself': {
    ask: ({ server, owned }, { headers, id }) => {
      const { access_token, refresh_token } = owned;
      const asked = { grant_type: 'refresh_token', refresh_token, access_token, client_id: id };
      return postForm(server, '/oauth/token', asked, headers);
    },
    // Genuine, and not the client of this session: a grant that is not its own (RFC 6749 §5.2).
    expected: all(401, { app: 200, 'public app': 400 }),
  },
  'POST /oauth/revoke, as itself': {
    ask: ({ server, owned }, { headers, id }) =>
      postForm(server, '/oauth/revoke', { token: owned.refresh_token, client_id: id }, headers),
    expected: all(401, { app: 200, 'public app': 400 }),
  },
  'POST /oauth/revoke, of the app': {
    ask: ({ server, owned }, { headers }) => postForm(server, '/oauth/revoke', { token: owned.refresh_token }, headers),
    expected: all(401, { app: 200 }),
  },
  ...Object.fromEntries(
    ['/admin/v1/families', '/admin/v1/keys', '/admin/v1/events'].map((path) => [
      `GET ${path}`,
      { ask: get(path), expected: all(401, { admin: 200, 'admin by bearer': 200 }) },
    ]),
  ),
  'GET /admin/v1/families/{id}': {
    ask: ({ server, owned }, { headers }) => server.send({ path: `/admin/v1/families/${owned.session_id}`, headers }),
    expected: all(401, { admin: 200, 'admin by bearer': 200 }),
  },
  'POST /admin/v1/keys/rotate': {
    ask: post('/admin/v1/keys/rotate', () => ({ ring: 'refresh' })),
    expected: all(401, { admin: 200, 'admin by bearer': 200 }),
  },
  'POST /admin/v1/revocations': {
    ask: post('/admin/v1/revocations', ({ owned }) => ({ family: owned.session_id })),
    expected: all(401, { admin: 200, 'admin by bearer': 200 }),
  },
  'POST /admin/v1/global-token-revocation': {
    ask: post('/admin/v1/global-token-revocation', () => ({ sub_id: { format: 'opaque', id: 'nobody' } })),
    expected: all(401, { admin: 204, 'admin by bearer': 204 }),
  },
  ...Object.fromEntries(
    ['/.well-known/jwks.json', '/.well-known/oauth-authorization-server', '/openapi.json', '/healthz', '/readyz'].map(
      (path) => [`GET ${path}`, { ask: get(path), expected: all(200) }],
    ),
  ),
};

async function callersOf(
  server: TestServer,
  app: TestClient,
  pair: Pair,
): Promise<Readonly<Record<CallerName, Caller>>> {
  const admin = await server.addClient('ops', { type: 'admin' });
  await server.addClient('web', { isPublic: true });
  const basic = ({ id, secret, basic: headers }: TestClient): Caller => ({ headers, pair: `${id}:${secret}`, id });
  const bearer = (id: string, secret: string): Caller => ({
    headers: { authorization: `Bearer ${secret}` },
    pair: `${id}:${secret}`,
    id,
  });
  return {
    none: { headers: {}, pair: '', id: '' },
    'user’s access token': bearer('', pair.access_token),
    'user’s refresh token': bearer('', pair.refresh_token),
    'resource-server': basic(server.api),
    'resource-server by bearer': bearer(server.api.id, server.api.secret),
    app: basic(app),
    'app by bearer': bearer(app.id, app.secret),
    'public app': { headers: {}, pair: 'web:', id: 'web' },
    admin: basic(admin),
    'admin by bearer': bearer(admin.id, admin.secret),
  };
}

/** A `401` is about the caller, not about its session; only a proxy asks about its user. */
function statusOf({ status, body }: Answer, cell: string): number {
  const refusal = cell.includes('as the user') ? 'invalid_token' : 'invalid_client';
  if (status === 401) expect(body.error, cell).toBe(refusal);
  return status;
}

async function isCurrent(server: TestServer, { session_id }: Pair): Promise<boolean> {
  const { generation, revoked } = await server.family(session_id);
  return generation === 0 && revoked === null;
}

/** Whatever a cell did to a session, the next one has a current one. */
async function renew({ server, open, owned }: Stage): Promise<Stage> {
  const renewed = async (pair: Pair): Promise<Pair> =>
    (await isCurrent(server, pair)) ? pair : ((await beginSessions(server, pair, 1))[0] ?? pair);
  return { server, open: await renewed(open), owned: await renewed(owned) };
}

test('no endpoint of the table of paths is left out (I44)', () => {
  const asked = new Set(Object.keys(ENDPOINTS).map((row) => row.split(',')[0]));
  const served = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.keys(operations ?? {}).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect([...asked].toSorted()).toEqual(served.toSorted());
});

describeOnBothDatabases('each endpoint', (makeDatabase) => {
  test('accepts the credentials of its role and no others (I44, A1, V1, V7)', async () => {
    const server = await startTestServer({ url: await makeDatabase() });
    const app = await server.addClient('backend');
    const callers = await callersOf(server, app, await server.login());
    const owned = await server.login({ client_id: app.id, headers: app.basic });
    let stage: Stage = { server, open: await server.login(), owned };

    let cells = 0;
    const found: Record<string, Record<string, number>> = {};
    for (const [endpoint, { ask }] of Object.entries(ENDPOINTS)) {
      const row: Record<string, number> = {};
      for (const [name, caller] of Object.entries(callers)) {
        row[name] = statusOf(await ask(stage, caller), `${endpoint} by ${name}`);
        stage = await renew(stage);
        cells += 1;
      }
      found[endpoint] = row;
    }
    expect(cells).toBe(Object.keys(ENDPOINTS).length * Object.keys(callers).length);
    expect(found).toEqual(
      Object.fromEntries(Object.entries(ENDPOINTS).map(([name, { expected }]) => [name, expected])),
    );
  });
});
