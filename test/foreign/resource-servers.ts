/** Libraries as a resource server uses them, each behind one question: whose token is this, if it is good? */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import express, { type RequestHandler } from 'express';
import { auth } from 'express-oauth2-jwt-bearer';
import { createRemoteJWKSet, errors, jwtVerify } from 'jose';
import jsonwebtoken from 'jsonwebtoken';
import { JwksClient, passportJwtSecret } from 'jwks-rsa';
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';
import passport from 'passport';
import { ExtractJwt, Strategy } from 'passport-jwt';
import { expect, onTestFinished } from 'vitest';
import type { SigningAlgorithm } from '../../src/domain/signing-key.ts';
import type { Stage } from '../support/stage.ts';
import { startPython } from './python.ts';

/** @returns the subject, or null for a token that the library refuses; anything else that goes wrong is thrown */
export type SubjectOf = (token: string) => Promise<string | null>;

export interface Library {
  readonly name: string;
  /** It asks at each token, and so hears of a revocation at once. */
  readonly introspects?: true;
  /** Where it knows fewer than this server has. */
  readonly algorithms?: readonly SigningAlgorithm[];
  start(stage: Stage): Promise<SubjectOf> | SubjectOf;
}

const AUDIENCE = 'api';
const jwksOf = (issuer: string): string => `${issuer}/.well-known/jwks.json`;

/** An Express application that says the subject of whom its middleware lets in; a refusal is `401 Bearer` (RFC 6750 §3). */
async function serve(middleware: RequestHandler, subject: (request: express.Request) => string): Promise<SubjectOf> {
  const app = express();
  app.get('/', middleware, (request, response) => void response.send(subject(request)));
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  const { port } = server.address() as AddressInfo;
  return async (token) => {
    const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { authorization: `Bearer ${token}` } });
    const text = await response.text();
    if (response.status === 200) return text;
    expect(response.status, text).toBe(401);
    return null;
  };
}

const jose: Library = {
  name: 'jose',
  start({ issuer, algorithm }) {
    const keys = createRemoteJWKSet(new URL(jwksOf(issuer)), { cooldownDuration: 0 });
    return async (token) => {
      try {
        const { payload } = await jwtVerify(token, keys, {
          issuer,
          audience: AUDIENCE,
          typ: 'at+jwt',
          algorithms: [algorithm],
        });
        return payload.sub ?? null;
      } catch (error) {
        if (error instanceof errors.JOSEError) return null;
        throw error;
      }
    };
  },
};

const jsonWebToken: Library = {
  name: 'jsonwebtoken with jwks-rsa',
  algorithms: ['ES256', 'RS256'],
  start({ issuer, algorithm }) {
    const keys = new JwksClient({ jwksUri: jwksOf(issuer), rateLimit: true });
    return (token) =>
      new Promise((resolve) => {
        jsonwebtoken.verify(
          token,
          ({ kid }, done) => {
            keys.getSigningKey(kid).then((key) => done(null, key.getPublicKey()), done);
          },
          { algorithms: [algorithm as 'ES256' | 'RS256'], issuer, audience: AUDIENCE },
          (error, payload) => resolve(error === null ? String(payload?.sub) : null),
        );
      });
  },
};

const expressBearer: Library = {
  name: 'express-oauth2-jwt-bearer, strict',
  start: ({ issuer, algorithm }) =>
    serve(
      auth({
        issuerBaseURL: issuer,
        audience: AUDIENCE,
        tokenSigningAlg: algorithm,
        strict: true,
        cooldownDuration: 0,
      }),
      (request) => String(request.auth?.payload.sub),
    ),
};

const passportJwt: Library = {
  name: 'passport-jwt with jwks-rsa',
  algorithms: ['ES256', 'RS256'],
  start({ issuer, algorithm }) {
    const strategies = new passport.Passport();
    strategies.use(
      new Strategy(
        {
          jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
          secretOrKeyProvider: passportJwtSecret({ jwksUri: jwksOf(issuer), cache: true }),
          algorithms: [algorithm as 'ES256' | 'RS256'],
          issuer,
          audience: AUDIENCE,
        },
        ({ sub }: { sub: string }, done) => done(null, { sub }),
      ),
    );
    return serve(strategies.authenticate('jwt', { session: false }) as RequestHandler, (request) =>
      String((request.user as { sub: string }).sub),
    );
  },
};

/** RFC 9068 §4, by the letter. */
const oauth4webapi: Library = {
  name: 'oauth4webapi',
  async start({ issuer }) {
    const options = { [oauth.allowInsecureRequests]: true };
    const url = new URL(issuer);
    const found = await oauth.discoveryRequest(url, { algorithm: 'oauth2', ...options });
    const as = await oauth.processDiscoveryResponse(url, found);
    return async (token) => {
      const request = new Request('http://127.0.0.1/', { headers: { authorization: `Bearer ${token}` } });
      try {
        // Its cache of keys belongs to `as`, and asks again after a minute at the earliest: a test has no minute.
        return (await oauth.validateJwtAccessToken({ ...as }, request, AUDIENCE, options)).sub;
      } catch (error) {
        if (error instanceof oauth.OperationProcessingError || error instanceof oauth.WWWAuthenticateChallengeError)
          return null;
        if (error instanceof oauth.UnsupportedOperationError) return null;
        throw error;
      }
    };
  },
};

const introspection4webapi: Library = {
  name: 'oauth4webapi, by introspection',
  introspects: true,
  async start({ issuer, server: { api } }) {
    const options = { [oauth.allowInsecureRequests]: true };
    const url = new URL(issuer);
    const found = await oauth.discoveryRequest(url, { algorithm: 'oauth2', ...options });
    const as = await oauth.processDiscoveryResponse(url, found);
    const client = { client_id: api.id };
    return async (token) => {
      const answer = await oauth.introspectionRequest(as, client, oauth.ClientSecretPost(api.secret), token, options);
      const { active, sub, token_type } = await oauth.processIntrospectionResponse(as, client, answer);
      if (active) expect(token_type).toBe('Bearer');
      return active ? String(sub) : null;
    };
  },
};

const openidClient: Library = {
  name: 'openid-client, by introspection',
  introspects: true,
  async start({ issuer, server: { api } }) {
    const authentication = openid.ClientSecretBasic(api.secret);
    const config = await openid.discovery(new URL(issuer), api.id, undefined, authentication, {
      algorithm: 'oauth2',
      execute: [openid.allowInsecureRequests],
    });
    return async (token) => {
      const { active, sub } = await openid.tokenIntrospection(config, token);
      return active ? String(sub) : null;
    };
  },
};

const python =
  (script: string) =>
  (stage: Stage): SubjectOf => {
    const { issuer, algorithm, server } = stage;
    const ask = startPython(script, {
      AUTHLIB_INSECURE_TRANSPORT: '1',
      ISSUER: issuer,
      AUDIENCE,
      ALGORITHM: algorithm,
      CLIENT_ID: server.api.id,
      CLIENT_SECRET: server.api.secret,
    });
    return async (token) => {
      const { subject } = await ask({ token });
      return typeof subject === 'string' ? subject : null;
    };
  };

export const LIBRARIES: readonly Library[] = [
  jose,
  jsonWebToken,
  expressBearer,
  passportJwt,
  oauth4webapi,
  introspection4webapi,
  openidClient,
  { name: 'PyJWT', start: python('pyjwt_server.py') },
  { name: 'Authlib, by JWKS', start: python('authlib_jwks.py') },
  { name: 'Authlib in Flask, by introspection', introspects: true, start: python('authlib_introspection.py') },
];
