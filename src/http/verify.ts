/** What resource servers and their proxies ask: `/verify`, and `/forward-auth` in its several dialects (contract §3). */
import type { App } from '../app.ts';
import type { Client } from '../domain/client.ts';
import { authenticateClient } from '../operations/authenticate-client.ts';
import { type InactiveReason, VerifyBody, type VerifyOutcome, verify } from '../operations/verify.ts';
import { Refusal } from '../refusal.ts';
import { type Answer, errorAnswer, json, NO_STORE } from './answer.ts';
import { jsonBody } from './body.ts';
import { clientCredentials, readAuthorization, readPair } from './client-auth.ts';
import { countHeader, type HttpRequest } from './request.ts';

/** `active: false` carries its reason and nothing else: no claim of a token that is not good. */
const verifyAnswer = (outcome: VerifyOutcome): Answer =>
  json(
    200,
    outcome.active
      ? { active: true, ...outcome.token.claims, ...outcome.token.extra }
      : { active: false, reason: outcome.reason },
  );

/** Contract §3. Only a resource server may ask, and about its own audiences alone. */
export async function postVerify(app: App, request: HttpRequest): Promise<Answer> {
  const resourceServer = await authenticateClient(app, clientCredentials(request.incoming), 'resource-server');
  const body = await jsonBody(request, VerifyBody);
  return verifyAnswer(await verify(app, resourceServer, body.token, body.audience));
}

const INACTIVE: Readonly<Record<InactiveReason, string>> = {
  malformed: 'The access token is not one of this server.',
  expired: 'The access token has expired; refresh it.',
  wrong_audience: 'The access token is not for this resource.',
  revoked: 'The session of the access token was ended; log in again.',
};

/** RFC 6750 §3: without a token the challenge stands alone; with a bad one it says so. Never 400: nginx makes that a 500. */
function challenge(description: string | undefined): Answer {
  const header = 'Bearer realm="auth-server"';
  const wwwAuthenticate =
    description === undefined ? header : `${header}, error="invalid_token", error_description="${description}"`;
  return json(
    401,
    { error: 'invalid_token', error_description: description ?? 'Send an access token as Authorization: Bearer.' },
    { ...NO_STORE, 'WWW-Authenticate': wwwAuthenticate },
  );
}

/** @returns undefined for anything but a resource server with its secret */
async function proxyClient(app: App, request: HttpRequest): Promise<Client | undefined> {
  const header = request.incoming.headers['x-auth-server-client'];
  if (typeof header !== 'string' || countHeader(request.incoming, 'x-auth-server-client') !== 1) return undefined;
  try {
    return await authenticateClient(app, readPair(header), 'resource-server');
  } catch (error) {
    if (error instanceof Refusal && error.code === 'invalid_client') return undefined;
    throw error;
  }
}

/** Any method, any path below; a body is not waited for. The four headers are on 200, all of them, and on nothing else. */
export async function forwardAuth(app: App, request: HttpRequest): Promise<Answer> {
  const proxy = await proxyClient(app, request);
  if (proxy === undefined) {
    return errorAnswer(
      'forbidden',
      'The proxy must send X-Auth-Server-Client: <client id>:<secret> of a resource server.',
    );
  }
  const authorization = readAuthorization(request.incoming);
  if (authorization.scheme === 'none' || authorization.scheme === 'basic') return challenge(undefined);
  if (authorization.scheme === 'unusable') return challenge(isBareBearer(request) ? undefined : INACTIVE.malformed);
  const outcome = await verify(app, proxy, authorization.token);
  if (!outcome.active) return challenge(INACTIVE[outcome.reason]);
  const { claims, extra } = outcome.token;
  return {
    status: 200,
    headers: {
      ...NO_STORE,
      'X-Auth-Subject': claims.sub,
      'X-Auth-Session': claims.sid,
      'X-Auth-Client': claims.client_id,
      'X-Auth-Claims': Buffer.from(JSON.stringify(extra)).toString('base64url'),
    },
  };
}

/** Another scheme is no bearer token at all; a broken or doubled one is a bad token. */
const isBareBearer = ({ incoming }: HttpRequest): boolean =>
  countHeader(incoming, 'authorization') === 1 && !/^bearer\b/i.test(incoming.headers.authorization ?? '');
