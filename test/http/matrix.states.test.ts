/**
 * One state has the same effect on every path (security I22): each row of the first matrix on each path that takes a token.
 * A path that is added here without a word on every state does not compile.
 */
import { expect, test } from 'vitest';
import { REVOCATION_CAUSES } from '../../src/domain/token-family.ts';
import { findFamily } from '../../src/store/token-families.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import type { Answer, Headers } from '../support/http-client.ts';
import { document } from '../support/openapi.ts';
import { type Pair, startTestServer, type TestServer } from '../support/test-server.ts';
import { type PathName, type Session, STATES, word } from './states.ts';

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
} as const satisfies Readonly<Record<PathName, (server: TestServer, session: Session) => Promise<string>>>;

/** The newest tokens of the session, where reaching the state made any. */
const pairIn = (reached: unknown): Pair | undefined =>
  typeof reached === 'object' && reached !== null && 'refresh_token' in reached ? (reached as Pair) : undefined;

/** As the family says it; undefined for one that lives, or is gone. */
const causeOf = (server: TestServer, { pair }: Session): Promise<string | undefined> =>
  server.app.store.read(async (db) => (await findFamily(db, pair.session_id))?.revoked?.cause);

/** Each server is asked on every other path. */
async function askAll(servers: readonly TestServer[], session: Session): Promise<Record<string, string>> {
  const verdicts: Record<string, string> = {};
  for (const [index, [name, ask]] of Object.entries(PATHS).entries()) {
    const server = servers[index % servers.length];
    if (server !== undefined) verdicts[name] = await ask(server, session);
  }
  return verdicts;
}

/** Rows of the table of paths that say nothing of a session's state by a token that they were shown. */
const WITHOUT_VERDICT = [
  '/login',
  // Whatever the state, the session has ended afterwards (contract §3, §4).
  '/logout',
  '/oauth/revoke',
  // It is shown no token, and tells of all sessions that have ended.
  '/revocations',
  ...Object.keys(document.paths).filter((path) =>
    /^\/(admin|\.well-known)\/|^\/(healthz|readyz|openapi\.json)$/.test(path),
  ),
];

test('no path that judges a token is left out, and no way in which a session ends (I22)', () => {
  const asked = Object.keys(PATHS).map((name) => `/${name === 'introspect' ? 'oauth/introspect' : name}`);
  expect([...asked, ...WITHOUT_VERDICT].toSorted()).toEqual(Object.keys(document.paths).toSorted());
  const reached = new Set(STATES.flatMap(({ cause = [] }) => cause));
  expect([...reached].toSorted()).toEqual([...REVOCATION_CAUSES].toSorted());
  expect(new Set(STATES.map(({ state }) => state)).size).toBe(STATES.length);
});

describeOnBothDatabases('every state of a session', (makeDatabase) => {
  async function begin(server: TestServer, name: string, isConfidential: boolean): Promise<Session> {
    const subject = await server.addUser(name);
    const { id, basic } = await server.addClient(name, { isPublic: !isConfidential });
    const pair = await server.login({ username: name, client_id: id, headers: basic });
    // A new client is seen by other servers within two seconds.
    server.clock.advance(2_000);
    return { pair, username: name, subject, clientId: id, headers: basic };
  }

  test('is the same on every path, also of a server that did not bring it about (I22)', async () => {
    const url = await makeDatabase();
    const server = await startTestServer({ url });
    const other = await startTestServer({ url, beside: server });
    const found: Record<string, Record<string, string>> = {};
    const causes: Record<string, string | undefined> = {};
    for (const [number, { state, isConfidential = false, isDelayed = false, reach }] of STATES.entries()) {
      const session = await begin(server, `name-${number}`, isConfidential);
      // Both have seen it alive, so that neither may go by what it remembers.
      for (const one of [server, other])
        expect(await one.verify(session.pair.access_token)).toMatchObject({ active: true });
      const reached = await reach(server, session);
      if (isDelayed) server.clock.advance(2_000);
      causes[state] = await causeOf(server, session);
      found[state] = await askAll([other, server], { ...session, pair: pairIn(reached) ?? session.pair });
    }
    expect(Object.values(found).flatMap((row) => Object.keys(row))).toHaveLength(
      STATES.length * Object.keys(PATHS).length,
    );
    expect(causes).toEqual(Object.fromEntries(STATES.map(({ state, cause }) => [state, cause])));
    expect(found).toEqual(Object.fromEntries(STATES.map(({ state, expected }) => [state, expected])));
  }, 90_000);
});
