/**
 * The table of paths. A path is compared as it was sent: what is not spelled exactly like a row is not found, so no proxy
 * rule in front can be dodged by another spelling.
 */
import type { App } from '../app.ts';
import type { Answer } from './answer.ts';
import { postLogin, postLogout, postRefresh, postSessions } from './native.ts';
import { postIntrospect, postRevoke, postToken } from './oauth.ts';
import type { HttpRequest } from './request.ts';
import { forwardAuth, postVerify } from './verify.ts';
import { getHealth, getJwks, getMetadata, getReadiness } from './well-known.ts';

export type Handler = (app: App, request: HttpRequest, isStopping: () => boolean) => Promise<Answer>;

/** Which origins may read the answer in a browser: the configured ones, any, none. */
export type CrossOrigin = 'configured' | 'any' | 'none';

export interface Route {
  /** By method; `ALL` takes every one. `HEAD` is answered wherever `GET` is. */
  readonly methods: Readonly<Partial<Record<'GET' | 'POST' | 'ALL', Handler>>>;
  readonly crossOrigin: CrossOrigin;
}

const post = (handler: Handler, crossOrigin: CrossOrigin = 'configured'): Route => ({
  methods: { POST: handler },
  crossOrigin,
});
const get = (handler: Handler, crossOrigin: CrossOrigin = 'configured'): Route => ({
  methods: { GET: handler },
  crossOrigin,
});

const METADATA_PATH = '/.well-known/oauth-authorization-server';

/** @returns the route of a path exactly as it was sent, or undefined */
export function makeRoutes(issuer: string): (path: string) => Route | undefined {
  const routes = new Map<string, Route>([
    ['/login', post(postLogin)],
    ['/refresh', post(postRefresh)],
    ['/logout', post(postLogout)],
    ['/sessions', post(postSessions)],
    ['/verify', post(postVerify, 'none')],
    ['/oauth/token', post(postToken)],
    ['/oauth/introspect', post(postIntrospect, 'none')],
    ['/oauth/revoke', post(postRevoke)],
    ['/.well-known/jwks.json', get(getJwks, 'any')],
    [METADATA_PATH, get(getMetadata, 'any')],
    ['/healthz', get(getHealth)],
    ['/readyz', get(getReadiness)],
  ]);
  const issuerPath = new URL(issuer).pathname.replace(/\/$/, '');
  // RFC 8414 §3.1: the issuer's path goes behind the well-known one.
  if (issuerPath !== '') routes.set(`${METADATA_PATH}${issuerPath}`, get(getMetadata, 'any'));

  const proxied: Route = { methods: { ALL: forwardAuth }, crossOrigin: 'none' };
  return (path) => (path === '/forward-auth' || path.startsWith('/forward-auth/') ? proxied : routes.get(path));
}

/** For `Allow` (RFC 9110 §10.2.1). */
export const allowed = ({ methods }: Route): string =>
  methods.GET === undefined ? Object.keys(methods).join(', ') : 'GET, HEAD';
