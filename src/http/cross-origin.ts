/** Which pages may read an answer in a browser (Fetch §3.2): exact origins, no credentials, on errors too. */
import type { Answer } from './answer.ts';
import { noContent } from './answer.ts';
import type { HttpRequest } from './request.ts';
import { allowed, type Route } from './routes.ts';

const ALLOWED_HEADERS = 'Authorization, Content-Type, Idempotency-Key';
const EXPOSED_HEADERS = 'Retry-After, WWW-Authenticate, X-Request-Id';
/** Seconds that a browser may keep a preflight's answer. */
const PREFLIGHT_AGE = '600';

/** Credentials are never allowed: nothing here goes by cookies. */
export interface CrossOriginPolicy {
  /** Of every answer, errors included: a page that may not read why it was refused cannot act on it. */
  headers(request: HttpRequest, route: Route | undefined): Readonly<Record<string, string>>;
  /** The answer to a preflight that is allowed; undefined for anything else. */
  preflight(request: HttpRequest, route: Route): Answer | undefined;
}

/** @param origins `server.cors.origins` */
export function crossOriginPolicy(origins: readonly string[]): CrossOriginPolicy {
  const known = new Set(origins);

  function mayRead({ incoming }: HttpRequest, route: Route): boolean {
    const { origin } = incoming.headers;
    if (origin === undefined || route.crossOrigin === 'none') return false;
    return route.crossOrigin === 'any' || known.has(origin);
  }

  return {
    headers(request, route) {
      if (route?.crossOrigin === 'any') {
        return { 'Access-Control-Allow-Origin': '*', 'Access-Control-Expose-Headers': EXPOSED_HEADERS };
      }
      if (known.size === 0 || route === undefined || route.crossOrigin === 'none') return {};
      if (!mayRead(request, route)) return { Vary: 'Origin' };
      return {
        Vary: 'Origin',
        'Access-Control-Allow-Origin': request.incoming.headers.origin ?? '',
        'Access-Control-Expose-Headers': EXPOSED_HEADERS,
      };
    },
    preflight(request, route) {
      if (request.method !== 'OPTIONS' || !mayRead(request, route)) return undefined;
      return noContent({
        'Access-Control-Allow-Methods': allowed(route),
        'Access-Control-Allow-Headers': ALLOWED_HEADERS,
        'Access-Control-Max-Age': PREFLIGHT_AGE,
      });
    },
  };
}
