/**
 * One state has the same effect on every path (security I22): each row of the first matrix on each path that takes a token.
 * A path that is added here without a word on every state does not compile.
 */
import { expect, test } from 'vitest';
import type { Subject } from '../../src/domain/ids.ts';
import { changeClient, removeClient } from '../../src/operations/clients.ts';
import { declareKeyCompromised } from '../../src/operations/keys.ts';
import { purge } from '../../src/operations/purge.ts';
import { revoke } from '../../src/operations/revoke.ts';
import { disableUser, removeUser } from '../../src/operations/users.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import type { Answer, Headers } from '../support/http-client.ts';
import { type Pair, startTestServer, type TestServer } from '../support/test-server.ts';

const DAY = 86_400_000;

/** A session of a user and a client that have no other, and how the client authenticates. */
interface Session {
  readonly pair: Pair;
  readonly username: string;
  readonly subject: Subject;
  readonly clientId: string;
  readonly headers: Headers;
}

const word = ({ status, body }: Answer): string =>
  [status, body.reason ?? body.error].filter((part) => part !== undefined).join(' ');

const form = (
  server: TestServer,
  path: string,
  fields: Readonly<Record<string, string>>,
  headers: Headers,
): Promise<Answer> =>
  server.send({
    method: 'POST',
    path,
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: new URLSearchParams(fields).toString(),
  });

/** What each path says, in one word. The last two rotate: one key makes them one request, and the second a replay. */
const KEY = { 'idempotency-key': 'matrix' };
const PATHS = {
  verify: async (server, { pair }) => {
    const body = await server.verify(pair.access_token);
    return body.active === true ? 'active' : String(body.reason);
  },
  'forward-auth': async (server, { pair }) => String((await server.forwardAuth(pair.access_token)).status),
  introspect: async (server, { pair }) => {
    const { body } = await form(server, '/oauth/introspect', { token: pair.access_token }, server.api.basic);
    return body.active === true ? 'active' : JSON.stringify(body);
  },
  sessions: async (server, { pair }) => word(await server.post('/sessions', { refresh_token: pair.refresh_token })),
  refresh: async (server, { pair, headers }) =>
    word(await server.tryRefresh(pair, { headers: { ...headers, ...KEY } })),
  'oauth/token': async (server, { pair, clientId, headers }) => {
    const { access_token, refresh_token } = pair;
    const identity: Record<string, string> = 'authorization' in headers ? {} : { client_id: clientId };
    return word(
      await form(
        server,
        '/oauth/token',
        { grant_type: 'refresh_token', refresh_token, access_token, ...identity },
        { ...headers, ...KEY },
      ),
    );
  },
} as const satisfies Readonly<Record<string, (server: TestServer, session: Session) => Promise<string>>>;

type Verdicts = Readonly<Record<keyof typeof PATHS, string>>;

interface State {
  readonly state: string;
  /** Of a confidential client; otherwise of the public one. */
  readonly isConfidential?: boolean;
  /** Seen by other servers within two seconds, not at once. */
  readonly isDelayed?: boolean;
  reach(server: TestServer, session: Session): Promise<unknown>;
  readonly expected: Verdicts;
}

const INACTIVE = '{"active":false}';
const WELL: Verdicts = {
  verify: 'active',
  'forward-auth': '200',
  introspect: 'active',
  sessions: '200',
  refresh: '200',
  'oauth/token': '200',
};
const REVOKED: Verdicts = {
  verify: 'revoked',
  'forward-auth': '401',
  introspect: INACTIVE,
  sessions: '401 revoked',
  refresh: '401 revoked',
  'oauth/token': '400 invalid_grant',
};

const STATES: readonly State[] = [
  { state: 'all well', reach: async () => undefined, expected: WELL },
  { state: 'all well, of a confidential client', isConfidential: true, reach: async () => undefined, expected: WELL },
  {
    state: 'access token expired',
    reach: async (server) => server.clock.advance(300_000),
    expected: { ...WELL, verify: 'expired', 'forward-auth': '401', introspect: INACTIVE },
  },
  {
    state: 'revoked by reuse',
    isConfidential: true,
    reach: async (server, { pair, headers }) => {
      const newest = await server.refresh(pair, { headers });
      expect(word(await server.tryRefresh(pair, { headers }))).toBe('401 reused');
      return newest;
    },
    expected: REVOKED,
  },
  {
    state: 'revoked by logout',
    reach: (server, { pair }) => server.post('/logout', { refresh_token: pair.refresh_token }),
    expected: REVOKED,
  },
  {
    state: 'revoked by an administrator',
    reach: (server, { pair }) => revoke(server.app, { which: { family: pair.session_id } }),
    expected: REVOKED,
  },
  ...[{ others: true }, { everywhere: true }, { session_id: '' }].map((option) => ({
    state: `revoked by another session’s logout with ${Object.keys(option).join()}`,
    reach: async (server: TestServer, { pair, username }: Session) => {
      const { refresh_token } = await server.login({ username });
      const given = 'session_id' in option ? { session_id: pair.session_id } : option;
      expect((await server.post('/logout', { refresh_token, ...given })).status).toBe(204);
    },
    expected: REVOKED,
  })),
  {
    state: 'login earlier than a revocation of all before now',
    reach: async (server) => {
      server.clock.advance(1);
      await revoke(server.app, { which: { all: true }, issuedBefore: server.clock.now() });
    },
    expected: REVOKED,
  },
  {
    state: 'login no earlier than a revocation of all before then',
    reach: async (server, { pair }) => {
      const { createdAt } = await server.family(pair.session_id);
      await revoke(server.app, { which: { all: true }, issuedBefore: createdAt });
    },
    expected: WELL,
  },
  {
    state: 'subject revoked',
    reach: (server, { subject }) => revoke(server.app, { which: { subject } }),
    expected: REVOKED,
  },
  {
    state: 'client revoked',
    reach: (server, { clientId }) => revoke(server.app, { which: { client: clientId as never } }),
    expected: REVOKED,
  },
  {
    state: 'address revoked',
    reach: (server) => revoke(server.app, { which: { ip: '127.0.0.1' } }),
    expected: REVOKED,
  },
  { state: 'subject disabled', reach: (server, { username }) => disableUser(server.app, username), expected: REVOKED },
  { state: 'subject removed', reach: (server, { username }) => removeUser(server.app, username), expected: REVOKED },
  {
    state: 'public client removed',
    isDelayed: true,
    reach: (server, { clientId }) => removeClient(server.app, { id: clientId }),
    expected: { ...REVOKED, 'oauth/token': '401 invalid_client' },
  },
  {
    state: 'confidential client removed',
    isDelayed: true,
    isConfidential: true,
    reach: (server, { clientId }) => removeClient(server.app, { id: clientId }),
    expected: { ...REVOKED, refresh: '401 invalid_client', 'oauth/token': '401 invalid_client' },
  },
  {
    state: 'over the session limit of its client',
    reach: async (server, { username, clientId }) => {
      await changeClient(server.app, { id: clientId, policy: { maxSessions: 1 } });
      await server.login({ username, client_id: clientId });
    },
    expected: REVOKED,
  },
  {
    state: 'access key compromised',
    isDelayed: true,
    reach: (server) => declareKeyCompromised(server.app, 'access'),
    expected: { ...WELL, verify: 'revoked', 'forward-auth': '401', introspect: INACTIVE },
  },
  {
    state: 'refresh key compromised',
    isDelayed: true,
    reach: (server) => declareKeyCompromised(server.app, 'refresh'),
    // Contract §3: a malformed refresh token is invalid_request at /sessions.
    expected: { ...REVOKED, sessions: '400 invalid_request', refresh: '401 malformed' },
  },
  {
    state: 'idle for too long',
    isDelayed: true,
    reach: async (server, { clientId }) => {
      await changeClient(server.app, { id: clientId, policy: { idleTimeout: 60_000 as never } });
      server.clock.advance(60_000);
    },
    expected: { ...WELL, sessions: '401 expired', refresh: '401 expired', 'oauth/token': '400 invalid_grant' },
  },
  {
    state: 'purged after its last refresh token had expired',
    reach: async (server) => {
      server.clock.advance(121 * DAY);
      expect(await purge(server.app)).toMatchObject({ families: expect.any(Number) });
    },
    expected: {
      verify: 'expired',
      'forward-auth': '401',
      introspect: INACTIVE,
      sessions: '401 expired',
      refresh: '401 expired',
      'oauth/token': '400 invalid_grant',
    },
  },
  {
    state: 'gone from the database before its refresh token has expired',
    reach: async (server, { pair }) => {
      server.clock.advance(300_000);
      await server.app.store.write((tx) =>
        tx.sql.deleteFrom('token_families').where('id', '=', pair.session_id).execute(),
      );
    },
    expected: {
      ...REVOKED,
      verify: 'expired',
      sessions: '401 unknown',
      refresh: '401 unknown',
    },
  },
];

/** The newest tokens of the session, where reaching the state made any. */
const pairIn = (reached: unknown): Pair | undefined =>
  typeof reached === 'object' && reached !== null && 'refresh_token' in reached ? (reached as Pair) : undefined;

/** Each server is asked on every other path. */
async function askAll(servers: readonly TestServer[], session: Session): Promise<Record<string, string>> {
  const verdicts: Record<string, string> = {};
  for (const [index, [name, ask]] of Object.entries(PATHS).entries()) {
    const server = servers[index % servers.length];
    if (server !== undefined) verdicts[name] = await ask(server, session);
  }
  return verdicts;
}

describeOnBothDatabases('every state of a session', (makeDatabase) => {
  async function begin(server: TestServer, name: string, isConfidential: boolean): Promise<Session> {
    const subject = await server.addUser(name);
    const { id, basic } = await server.addClient(name, { isPublic: !isConfidential });
    const pair = await server.login({ username: name, client_id: id, headers: basic });
    // A new client is seen by other servers within two seconds.
    server.clock.advance(2_000);
    return { pair, username: name, subject, clientId: id, headers: basic };
  }

  test('is the same on every path, also of a server that did not bring it about', async () => {
    const url = await makeDatabase();
    const server = await startTestServer({ url });
    const other = await startTestServer({ url, beside: server });
    const found: Record<string, Record<string, string>> = {};
    for (const [number, { state, isConfidential = false, isDelayed = false, reach }] of STATES.entries()) {
      const session = await begin(server, `name-${number}`, isConfidential);
      // Both have seen it alive, so that neither may go by what it remembers.
      for (const one of [server, other])
        expect(await one.verify(session.pair.access_token)).toMatchObject({ active: true });
      const reached = await reach(server, session);
      if (isDelayed) server.clock.advance(2_000);
      found[state] = await askAll([other, server], { ...session, pair: pairIn(reached) ?? session.pair });
    }
    expect(found).toEqual(Object.fromEntries(STATES.map(({ state, expected }) => [state, expected])));
  });
});
