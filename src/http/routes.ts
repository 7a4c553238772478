/**
 * The table of paths. A path is compared as it was sent: what is not spelled exactly like a row is not found, so no proxy
 * rule in front can be dodged by another spelling.
 */
import type { App } from '../app.ts';
import {
  getEvents,
  getFamilies,
  getFamily,
  getKeys,
  postGlobalTokenRevocation,
  postKeyRotation,
  postRevocations,
} from './admin.ts';
import type { Answer } from './answer.ts';
import { getRevocations } from './feed.ts';
import { postLogin, postLogout, postRefresh, postSessions } from './native.ts';
import { postIntrospect, postRevoke, postToken } from './oauth.ts';
import { getOpenApi } from './openapi.ts';
import type { HttpRequest } from './request.ts';
import { forwardAuth, postVerify } from './verify.ts';
import { getHealth, getJwks, getMetadata, getReadiness } from './well-known.ts';

export type Handler = (app: App, request: HttpRequest, isStopping: () => boolean) => Promise<Answer>;

/** Which origins may read the answer in a browser: the configured ones, any, none. */
export type CrossOrigin = 'configured' | 'any' | 'none';

export interface Route {
  /** The row of the table, whatever the path that was sent: `{id}` stands for one segment, `/…` for anything below. */
  readonly path: string;
  /** By method; `ALL` takes every one. `HEAD` is answered wherever `GET` is. */
  readonly methods: Readonly<Partial<Record<'GET' | 'POST' | 'ALL', Handler>>>;
  readonly crossOrigin: CrossOrigin;
  /** Its requests wait for something to happen: they are counted, limited and timed apart from those that are work. */
  readonly isWait?: true;
}

type Row = Omit<Route, 'path'>;

const post = (handler: Handler, crossOrigin: CrossOrigin = 'configured'): Row => ({
  methods: { POST: handler },
  crossOrigin,
});
const get = (handler: Handler, crossOrigin: CrossOrigin = 'configured'): Row => ({
  methods: { GET: handler },
  crossOrigin,
});

const FAMILY_PATH = '/admin/v1/families/{id}';
const METADATA_PATH = '/.well-known/oauth-authorization-server';

const TABLE = {
  '/login': post(postLogin),
  '/refresh': post(postRefresh),
  '/logout': post(postLogout),
  '/sessions': post(postSessions),
  '/verify': post(postVerify, 'none'),
  '/forward-auth': { methods: { ALL: forwardAuth }, crossOrigin: 'none' },
  '/revocations': { ...get(getRevocations, 'none'), isWait: true },
  '/oauth/token': post(postToken),
  '/oauth/introspect': post(postIntrospect, 'none'),
  '/oauth/revoke': post(postRevoke),
  '/admin/v1/revocations': post(postRevocations, 'none'),
  '/admin/v1/global-token-revocation': post(postGlobalTokenRevocation, 'none'),
  '/admin/v1/families': get(getFamilies, 'none'),
  [FAMILY_PATH]: get(getFamily, 'none'),
  '/admin/v1/keys': get(getKeys, 'none'),
  '/admin/v1/keys/rotate': post(postKeyRotation, 'none'),
  '/admin/v1/events': get(getEvents, 'none'),
  '/.well-known/jwks.json': get(getJwks, 'any'),
  [METADATA_PATH]: get(getMetadata, 'any'),
  '/openapi.json': get(getOpenApi),
  '/healthz': get(getHealth),
  '/readyz': get(getReadiness),
} as const satisfies Readonly<Record<string, Row>>;

export type RoutePath = keyof typeof TABLE;

/** @returns the route of a path exactly as it was sent, or undefined */
export function makeRoutes(issuer: string): (path: string) => Route | undefined {
  const routes = new Map<string, Route>(Object.entries(TABLE).map(([path, row]) => [path, { path, ...row }]));
  const issuerPath = new URL(issuer).pathname.replace(/\/$/, '');
  const metadata = routes.get(METADATA_PATH);
  // RFC 8414 §3.1: the issuer's path goes behind the well-known one.
  if (issuerPath !== '' && metadata !== undefined) routes.set(`${METADATA_PATH}${issuerPath}`, metadata);

  const family = routes.get(FAMILY_PATH);
  // Its braces stand for a segment; as they are, they are nobody's path.
  routes.delete(FAMILY_PATH);
  return (path) => {
    if (path.startsWith('/forward-auth/')) return routes.get('/forward-auth');
    return FAMILY.test(path) ? family : routes.get(path);
  };
}

/** One segment that has no other spelling (RFC 3986 §2.3, §3.3). */
const FAMILY = /^\/admin\/v1\/families\/(?!\.{1,2}$)[A-Za-z0-9._~-]{1,128}$/;

/** For `Allow` (RFC 9110 §10.2.1). */
export const allowed = ({ methods }: Route): string =>
  methods.GET === undefined ? Object.keys(methods).join(', ') : 'GET, HEAD';
