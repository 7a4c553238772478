/** The states that a session can be in (security, matrix 1), how each is reached, and what every path says of it then. */
import { expect } from 'vitest';
import type { Subject } from '../../src/domain/ids.ts';
import type { RevocationCause } from '../../src/domain/token-family.ts';
import { changeClient, removeClient } from '../../src/operations/clients.ts';
import { endAll } from '../../src/operations/end-all.ts';
import { declareKeyCompromised } from '../../src/operations/keys.ts';
import { purge } from '../../src/operations/purge.ts';
import { revoke } from '../../src/operations/revoke.ts';
import { disableUser, removeUser } from '../../src/operations/users.ts';
import { resignRefresh } from '../support/forge.ts';
import type { Answer, Headers } from '../support/http-client.ts';
import type { Pair, TestServer } from '../support/test-server.ts';

const DAY = 86_400_000;

/** A session of a user and a client that have no other, and how the client authenticates. */
export interface Session {
  readonly pair: Pair;
  readonly username: string;
  readonly subject: Subject;
  readonly clientId: string;
  readonly headers: Headers;
}

/** An answer in one word: its status, and its reason or error where it has one. */
export const word = ({ status, body }: Answer): string =>
  [status, body.reason ?? body.error].filter((part) => part !== undefined).join(' ');

/** The paths of the matrix, without their slash. */
export type PathName = 'verify' | 'forward-auth' | 'introspect' | 'sessions' | 'refresh' | 'oauth/token';

type Verdicts = Readonly<Record<PathName, string>>;

export interface State {
  readonly state: string;
  /** Of a confidential client; otherwise of the public one. */
  readonly isConfidential?: boolean;
  /** What the family says of its end, where it has ended. */
  readonly cause?: RevocationCause;
  /** Seen by other servers within two seconds, not at once. */
  readonly isDelayed?: boolean;
  reach(server: TestServer, session: Session): Promise<unknown>;
  readonly expected: Verdicts;
}

/** All that introspection says of what is not active. */
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

export const STATES: readonly State[] = [
  { state: 'all well', reach: async () => undefined, expected: WELL },
  { state: 'all well, of a confidential client', isConfidential: true, reach: async () => undefined, expected: WELL },
  {
    state: 'access token expired',
    reach: async (server) => server.clock.advance(300_000),
    expected: { ...WELL, verify: 'expired', 'forward-auth': '401', introspect: INACTIVE },
  },
  {
    state: 'revoked by reuse',
    cause: 'reuse',
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
    cause: 'logout',
    reach: (server, { pair }) => server.post('/logout', { refresh_token: pair.refresh_token }),
    expected: REVOKED,
  },
  {
    state: 'revoked by an administrator',
    cause: 'admin',
    reach: (server, { pair }) => revoke(server.app, { which: { family: pair.session_id } }),
    expected: REVOKED,
  },
  ...[{ others: true }, { everywhere: true }, { session_id: '' }].map((option) => ({
    state: `revoked by another session’s logout with ${Object.keys(option).join()}`,
    cause: 'logout' as const,
    reach: async (server: TestServer, { pair, username }: Session) => {
      const { refresh_token } = await server.login({ username });
      const given = 'session_id' in option ? { session_id: pair.session_id } : option;
      expect((await server.post('/logout', { refresh_token, ...given })).status).toBe(204);
    },
    expected: REVOKED,
  })),
  {
    state: 'login earlier than a revocation of all before now',
    cause: 'admin',
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
    cause: 'admin',
    reach: (server, { subject }) => revoke(server.app, { which: { subject } }),
    expected: REVOKED,
  },
  {
    state: 'client revoked',
    cause: 'admin',
    reach: (server, { clientId }) => revoke(server.app, { which: { client: clientId as never } }),
    expected: REVOKED,
  },
  {
    state: 'address revoked',
    cause: 'admin',
    reach: (server) => revoke(server.app, { which: { ip: '127.0.0.1' } }),
    expected: REVOKED,
  },
  {
    state: 'subject disabled',
    cause: 'subject_disabled',
    reach: (server, { username }) => disableUser(server.app, username),
    expected: REVOKED,
  },
  {
    state: 'subject removed',
    cause: 'subject_disabled',
    reach: (server, { username }) => removeUser(server.app, username),
    expected: REVOKED,
  },
  {
    state: 'public client removed',
    cause: 'client_removed',
    isDelayed: true,
    reach: (server, { clientId }) => removeClient(server.app, { id: clientId }),
    expected: { ...REVOKED, 'oauth/token': '401 invalid_client' },
  },
  {
    state: 'confidential client removed',
    cause: 'client_removed',
    isDelayed: true,
    isConfidential: true,
    reach: (server, { clientId }) => removeClient(server.app, { id: clientId }),
    expected: { ...REVOKED, refresh: '401 invalid_client', 'oauth/token': '401 invalid_client' },
  },
  {
    state: 'over the session limit of its client',
    cause: 'session_limit',
    reach: async (server, { username, clientId }) => {
      await changeClient(server.app, { id: clientId, policy: { maxSessions: 1 } });
      await server.login({ username, client_id: clientId });
    },
    expected: REVOKED,
  },
  {
    state: 'ended by a restore',
    cause: 'restored',
    reach: (server) => endAll(server.app, { revocation: { cause: 'restored' } }),
    expected: REVOKED,
  },
  {
    state: 'a newer generation than the database knows was shown',
    cause: 'rolled_back',
    reach: async (server, { pair }) => {
      const ahead = await resignRefresh(server, pair.refresh_token, { gen: 1 });
      expect(word(await server.tryRefresh({ ...pair, refresh_token: ahead }))).toBe('401 unknown');
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
    cause: 'key_compromised',
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
