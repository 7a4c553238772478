/** OAuth client libraries as an app uses them, each behind the same few verbs. What they throw is passed on. */
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';
import { AuthorizationCode } from 'simple-oauth2';
import type { Stage } from '../support/stage.ts';
import type { Pair, TestClient } from '../support/test-server.ts';
import { startPython } from './python.ts';

export interface Refreshed {
  readonly access_token: string;
  readonly refresh_token: string;
}

export interface OAuthClient {
  refresh(pair: Pair | Refreshed): Promise<Refreshed>;
  revoke(pair: Pair | Refreshed, kind: 'access_token' | 'refresh_token'): Promise<void>;
}

/** How the client says who it is. */
export type Method = 'client_secret_basic' | 'client_secret_post' | 'none';

export interface Library {
  readonly name: string;
  readonly methods: readonly Method[];
  start(stage: Stage, client: TestClient, method: Method): Promise<OAuthClient>;
  /** The `error` of an answer that it refused (RFC 6749 §5.2), from what it has thrown. */
  errorOf(thrown: unknown): unknown;
}

const complete = ({ access_token, refresh_token }: { access_token?: unknown; refresh_token?: unknown }): Refreshed => {
  if (typeof access_token !== 'string' || typeof refresh_token !== 'string') throw new Error('a token is missing');
  return { access_token, refresh_token };
};

const oauth4webapi: Library = {
  name: 'oauth4webapi',
  methods: ['client_secret_basic', 'client_secret_post', 'none'],
  async start({ issuer }, { id, secret }, method) {
    const options = { [oauth.allowInsecureRequests]: true };
    const url = new URL(issuer);
    const found = await oauth.discoveryRequest(url, { algorithm: 'oauth2', ...options });
    const as = await oauth.processDiscoveryResponse(url, found);
    const client = { client_id: id };
    const authentication = {
      client_secret_basic: () => oauth.ClientSecretBasic(secret),
      client_secret_post: () => oauth.ClientSecretPost(secret),
      none: () => oauth.None(),
    }[method]();
    return {
      async refresh({ refresh_token }) {
        const answer = await oauth.refreshTokenGrantRequest(as, client, authentication, refresh_token, options);
        return complete(await oauth.processRefreshTokenResponse(as, client, answer));
      },
      async revoke(pair, kind) {
        const more = { ...options, additionalParameters: { token_type_hint: kind } };
        await oauth.processRevocationResponse(
          await oauth.revocationRequest(as, client, authentication, pair[kind], more),
        );
      },
    };
  },
  errorOf: (thrown) => (thrown instanceof oauth.ResponseBodyError ? thrown.error : wwwErrorOf(thrown)),
};

/** On a 401 this library looks at the challenge before the body. */
const wwwErrorOf = (thrown: unknown): unknown => {
  if (!(thrown instanceof oauth.WWWAuthenticateChallengeError)) return thrown;
  return thrown.cause.map(({ scheme }) => scheme).join();
};

const openidClient: Library = {
  name: 'openid-client',
  methods: ['client_secret_basic', 'client_secret_post', 'none'],
  async start({ issuer }, { id, secret }, method) {
    const authentication = {
      client_secret_basic: () => openid.ClientSecretBasic(secret),
      client_secret_post: () => openid.ClientSecretPost(secret),
      none: () => openid.None(),
    }[method]();
    const config = await openid.discovery(new URL(issuer), id, undefined, authentication, {
      algorithm: 'oauth2',
      execute: [openid.allowInsecureRequests],
    });
    return {
      refresh: async ({ refresh_token }) => complete(await openid.refreshTokenGrant(config, refresh_token)),
      revoke: (pair, kind) => openid.tokenRevocation(config, pair[kind], { token_type_hint: kind }),
    };
  },
  errorOf: (thrown) => (thrown instanceof openid.ResponseBodyError ? thrown.error : wwwErrorOf(thrown)),
};

const simpleOAuth2: Library = {
  name: 'simple-oauth2',
  methods: ['client_secret_basic', 'client_secret_post'],
  async start({ issuer }, { id, secret }, method) {
    const client = new AuthorizationCode({
      client: { id, secret },
      auth: { tokenHost: issuer, tokenPath: '/oauth/token', revokePath: '/oauth/revoke' },
      options: { authorizationMethod: method === 'client_secret_basic' ? 'header' : 'body' },
    });
    return {
      refresh: async (pair) => complete((await client.createToken({ ...pair }).refresh()).token),
      revoke: (pair, kind) => client.createToken({ ...pair }).revoke(kind),
    };
  },
  errorOf: (thrown) => (thrown as { data?: { payload?: { error?: unknown } } }).data?.payload?.error ?? thrown,
};

class PythonError extends Error {}

const authlib: Library = {
  name: 'Authlib',
  methods: ['client_secret_basic', 'client_secret_post', 'none'],
  async start({ issuer }, { id, secret }, method) {
    const ask = startPython('authlib_client.py', {
      AUTHLIB_INSECURE_TRANSPORT: '1',
      ISSUER: issuer,
      CLIENT_ID: id,
      CLIENT_SECRET: secret,
      METHOD: method,
    });
    const call = async (request: object): Promise<Readonly<Record<string, unknown>>> => {
      const answer = await ask(request);
      if (answer.error !== undefined) throw new PythonError(String(answer.error));
      return answer;
    };
    return {
      refresh: async ({ refresh_token }) => complete(await call({ refresh: refresh_token })),
      revoke: async (pair, kind) => void (await call({ revoke: pair[kind], hint: kind })),
    };
  },
  errorOf: (thrown) => (thrown instanceof PythonError ? thrown.message : thrown),
};

export const LIBRARIES: readonly Library[] = [oauth4webapi, openidClient, simpleOAuth2, authlib];
