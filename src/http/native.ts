/** The native endpoints that users' programs call: login, refresh, logout, sessions (contract §3). */
import type { App } from '../app.ts';
import type { FamilyId } from '../domain/ids.ts';
import { shortId } from '../domain/ids.ts';
import { LoginBody, login } from '../operations/login.ts';
import { RefreshBody, type RefreshOutcome, refresh } from '../operations/refresh.ts';
import { LogoutBody, type LogoutScope, listSessions, logout, SessionsBody } from '../operations/sessions.ts';
import { sessionView, tokenPairView } from '../operations/views.ts';
import { type Answer, errorAnswer, invalidGrant, json, noContent, retryAfter } from './answer.ts';
import { jsonBody } from './body.ts';
import { basicCredentials } from './client-auth.ts';
import { type HttpRequest, requestKeyOf } from './request.ts';

/** `POST /login`. Refusals of the password are logged without the name. */
export async function postLogin(app: App, request: HttpRequest): Promise<Answer> {
  const body = await jsonBody(request, LoginBody);
  const outcome = await login(app, {
    username: body.username,
    password: body.password,
    clientId: body.client_id ?? null,
    device: body.device ?? null,
    credentials: basicCredentials(request.incoming),
    origin: request.origin,
  });
  switch (outcome.kind) {
    case 'issued':
      app.log.info('login 200', {
        sid: shortId(outcome.pair.sessionId),
        ip: request.origin.ip,
        request_id: request.id,
      });
      return json(200, tokenPairView(outcome.pair));
    case 'rejected':
      app.log.info('login 401', { ip: request.origin.ip, request_id: request.id });
      return errorAnswer('invalid_credentials', 'Unknown user or wrong password; check both and try again.');
    case 'throttled':
      return errorAnswer('too_many_attempts', 'Too many failed logins; wait as long as Retry-After says.', {
        headers: { 'Retry-After': retryAfter(outcome.retryAfter) },
      });
  }
}

/** `POST /refresh`. */
export async function postRefresh(app: App, request: HttpRequest): Promise<Answer> {
  const requestKey = requestKeyOf(request.incoming);
  const body = await jsonBody(request, RefreshBody);
  const outcome = await refresh(app, {
    refreshToken: body.refresh_token,
    accessToken: body.access_token,
    requestKey,
    credentials: basicCredentials(request.incoming),
    origin: request.origin,
  });
  logRefresh(app, request, outcome);
  return outcome.kind === 'issued' ? json(200, tokenPairView(outcome.pair)) : invalidGrant(outcome.reason);
}

/** A refused refresh is worth a line when a real session stands behind it; junk is not. */
export function logRefresh(app: App, request: HttpRequest, outcome: RefreshOutcome): void {
  if (outcome.kind === 'issued') {
    if (app.log.enabled('debug'))
      app.log.debug('refresh 200', {
        sid: shortId(outcome.pair.sessionId),
        replayed: outcome.replayed,
        request_id: request.id,
      });
    return;
  }
  const { about } = outcome;
  const fields = {
    class: about?.class,
    subject: about?.subject,
    sid: about === undefined ? undefined : shortId(about.sid),
    presented_by: about?.presentedBy,
    ip: request.origin.ip,
    request_id: request.id,
  };
  if (about?.presentedBy !== undefined) app.log.warn('refresh token of another client', fields);
  else if (outcome.reason === 'reused') app.log.warn('refresh 401 reused', fields);
  else if (about !== undefined) app.log.info(`refresh 401 ${outcome.reason}`, fields);
  else app.log.debug(`refresh 401 ${outcome.reason}`, fields);
}

function scopeOf(body: {
  session_id?: string | undefined;
  others?: true | undefined;
  everywhere?: true | undefined;
}): LogoutScope {
  if (body.session_id !== undefined) return { kind: 'session', sid: body.session_id as FamilyId };
  if (body.others === true) return { kind: 'others' };
  return { kind: body.everywhere === true ? 'everywhere' : 'own' };
}

/** `POST /logout`: the refresh token is enough. */
export async function postLogout(app: App, request: HttpRequest): Promise<Answer> {
  const body = await jsonBody(request, LogoutBody);
  const outcome = await logout(app, body.refresh_token, scopeOf(body));
  return outcome.kind === 'ended' ? noContent() : invalidGrant(outcome.reason);
}

/** `POST /sessions`: those of the token's subject; it is not rotated by this. */
export async function postSessions(app: App, request: HttpRequest): Promise<Answer> {
  const body = await jsonBody(request, SessionsBody);
  const outcome = await listSessions(app, body.refresh_token);
  if (outcome.kind === 'rejected') return invalidGrant(outcome.reason);
  return json(200, { sessions: outcome.sessions.map((family) => sessionView(family, outcome.current)) });
}
