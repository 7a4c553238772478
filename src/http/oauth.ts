/** The standard endpoints, form-encoded: refresh (RFC 6749 §6), introspection (RFC 7662), revocation (RFC 7009). */
import type { App } from '../app.ts';
import { authenticateClient, type ClientCredentials, invalidClient } from '../operations/authenticate-client.ts';
import { type AppCredentials, authenticateApp, revokeToken } from '../operations/oauth.ts';
import { refreshAs } from '../operations/refresh.ts';
import { verify } from '../operations/verify.ts';
import { tokenPairView } from '../operations/views.ts';
import { Refusal } from '../refusal.ts';
import { type Answer, errorAnswer, GRANT_REJECTIONS, json } from './answer.ts';
import { formBody } from './body.ts';
import { readAuthorization } from './client-auth.ts';
import { logRefresh } from './native.ts';
import { type HttpRequest, invalidRequest, requestKeyOf } from './request.ts';

type Form = ReadonlyMap<string, string>;

/**
 * One way of authentication a request (RFC 6749 §2.3): Basic, or the body. An equal `client_id` beside Basic is no second one.
 * @throws Refusal invalid_request, invalid_client
 */
function appCredentials(request: HttpRequest, form: Form): AppCredentials | undefined {
  const id = form.get('client_id');
  const secret = form.get('client_secret');
  const authorization = readAuthorization(request.incoming);
  if (authorization.scheme === 'basic') {
    const { credentials } = authorization;
    if (secret !== undefined || (id !== undefined && id !== credentials.id)) {
      throw invalidRequest('Authenticate one way: by Basic, or by client_id and client_secret in the body.');
    }
    return credentials;
  }
  if (authorization.scheme !== 'none') throw invalidClient();
  return id === undefined ? undefined : { id, secret: secret ?? null };
}

const required = (form: Form, name: string): string => {
  const value = form.get(name);
  if (value === undefined) throw invalidRequest(`${name} is missing.`);
  return value;
};

/** RFC 6749 §6. Errors as its §5.2 has them: 400, without the `reason` of `/refresh`. */
export async function postToken(app: App, request: HttpRequest): Promise<Answer> {
  const requestKey = requestKeyOf(request.incoming);
  const form = await formBody(request);
  const client = await authenticateApp(app, appCredentials(request, form));
  const grantType = required(form, 'grant_type');
  if (grantType !== 'refresh_token') {
    throw new Refusal(
      'unsupported_grant_type',
      'Only grant_type=refresh_token is served here; users log in at /login.',
    );
  }
  if (form.has('scope')) throw new Refusal('invalid_scope', 'There are no scopes here; leave scope out.');
  const outcome = await refreshAs(app, client, {
    refreshToken: required(form, 'refresh_token'),
    accessToken: form.get('access_token'),
    requestKey,
    credentials: undefined,
    origin: request.origin,
  });
  logRefresh(app, request, outcome);
  if (outcome.kind === 'issued') return json(200, tokenPairView(outcome.pair));
  // RFC 6749 §5.2: 400 here, where the native endpoint says 401.
  return errorAnswer('invalid_grant', GRANT_REJECTIONS[outcome.reason], { status: 400 });
}

/**
 * By Basic, by the body, or by the secret as a bearer token: one of them. A `client_id` beside the last has to be its own.
 * @throws Refusal invalid_request, invalid_client
 */
function serverCredentials(request: HttpRequest, form: Form): ClientCredentials | undefined {
  const authorization = readAuthorization(request.incoming);
  if (authorization.scheme === 'bearer') {
    if (form.has('client_secret')) {
      throw invalidRequest('Authenticate one way: by a bearer secret, or by client_id and client_secret in the body.');
    }
    return { id: form.get('client_id') ?? null, secret: authorization.token };
  }
  const credentials = appCredentials(request, form);
  return credentials === undefined || credentials.secret === null ? undefined : credentials;
}

/** RFC 7662 §2. Of a token that is not active it says no more than that (§2.2). */
export async function postIntrospect(app: App, request: HttpRequest): Promise<Answer> {
  const form = await formBody(request);
  const resourceServer = await authenticateClient(app, serverCredentials(request, form), 'resource-server');
  const outcome = await verify(app, resourceServer, required(form, 'token'));
  if (!outcome.active) return json(200, { active: false });
  const { auth_time: _, ...claims } = outcome.token.claims;
  return json(200, { active: true, token_type: 'Bearer', ...outcome.token.extra, ...claims });
}

/** RFC 7009 §2. 200 also for a token that means nothing (§2.2); it ends the whole session. */
export async function postRevoke(app: App, request: HttpRequest): Promise<Answer> {
  const form = await formBody(request);
  const client = await authenticateApp(app, appCredentials(request, form));
  await revokeToken(app, client, required(form, 'token'));
  return json(200, {});
}
