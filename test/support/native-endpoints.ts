/** Every native endpoint with a request that it grants: for what must hold on all of them. */
import type { Headers } from './http-client.ts';
import { PASSWORD, type Pair, type TestServer, USERNAME } from './test-server.ts';

export const JSON_TYPE = { 'content-type': 'application/json' };

export interface Endpoint {
  readonly path: string;
  readonly headers: Headers;
  /** A request that succeeds, and what each member is. */
  readonly body: Readonly<Record<string, unknown>>;
  readonly required: readonly string[];
  readonly optional: readonly string[];
}

/** In reverse order each of them succeeds after those before it. */
export function endpoints(server: TestServer, pair: Pair): readonly Endpoint[] {
  const { access_token, refresh_token } = pair;
  return [
    {
      path: '/login',
      headers: {},
      body: { username: USERNAME, password: PASSWORD },
      required: ['username', 'password'],
      optional: ['client_id', 'device'],
    },
    {
      path: '/logout',
      headers: {},
      body: { refresh_token },
      required: ['refresh_token'],
      optional: ['session_id', 'others', 'everywhere'],
    },
    {
      path: '/refresh',
      headers: {},
      body: { access_token, refresh_token },
      required: ['refresh_token'],
      optional: ['access_token'],
    },
    { path: '/sessions', headers: {}, body: { refresh_token }, required: ['refresh_token'], optional: [] },
    {
      path: '/verify',
      headers: server.api.basic,
      body: { token: access_token },
      required: ['token'],
      optional: ['audience'],
    },
  ];
}
