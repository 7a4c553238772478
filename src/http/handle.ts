/** One request from its first check to its answer: framing that Node lets through, overload, the route, errors, CORS. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { App } from '../app.ts';
import { describeError } from '../log.ts';
import { Refusal } from '../refusal.ts';
import { type Answer, errorAnswer, json, noContent, refusalAnswer, send } from './answer.ts';
import { clientAddress, countHeader, type HttpRequest, trustedProxies, userAgentOf } from './request.ts';
import { allowed, makeRoutes, type Route } from './routes.ts';

export interface Handling {
  handle(incoming: IncomingMessage, outgoing: ServerResponse): void;
  /** Requests that have no answer yet. */
  inFlight(): number;
}

const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/;
const HOST = /^[A-Za-z0-9._~-]+(:\d{1,5})?$|^\[[0-9A-Fa-f:.]+\](:\d{1,5})?$/;

const ALLOWED_HEADERS = 'Authorization, Content-Type, Idempotency-Key';
const EXPOSED_HEADERS = 'Retry-After, WWW-Authenticate, X-Request-Id';

export function makeHandling(app: App, isStopping: () => boolean): Handling {
  const { server } = app.config;
  const routeOf = makeRoutes(app.config.issuer);
  const isTrusted = trustedProxies(server.trustedProxies);
  const origins = new Set(server.cors.origins);
  const idPrefix = Buffer.from(app.random.bytes(6)).toString('base64url').replaceAll('_', '.');
  let lastId = 0;
  let inFlight = 0;

  function requestId(incoming: IncomingMessage): string {
    const given = incoming.headers['x-request-id'];
    if (typeof given === 'string' && REQUEST_ID.test(given)) return given;
    lastId += 1;
    return `${idPrefix}-${lastId.toString(36)}`;
  }

  function requestOf(incoming: IncomingMessage, id: string): HttpRequest {
    const target = targetOf(incoming);
    const mark = target.indexOf('?');
    return {
      incoming,
      method: incoming.method ?? '',
      path: mark === -1 ? target : target.slice(0, mark),
      query: mark === -1 ? '' : target.slice(mark + 1),
      id,
      origin: { ip: clientAddress(incoming, isTrusted), userAgent: userAgentOf(incoming) },
      bodyLimit: server.bodyLimit,
    };
  }

  async function answerOf(request: HttpRequest, route: Route | undefined): Promise<Answer> {
    try {
      return await dispatch(request, route);
    } catch (error) {
      if (!(error instanceof Refusal)) {
        app.log.error('unforeseen error', { request_id: request.id, path: route === undefined ? '' : request.path, ...describeError(error) });
        return json(500, { error: 'server_error', error_description: `Something unforeseen went wrong; report it with request id ${request.id}.` });
      }
      if (error.cause !== undefined) app.log.warn(error.code, { request_id: request.id, ...describeError(error.cause) });
      return refusalAnswer(error);
    }
  }

  async function dispatch(request: HttpRequest, route: Route | undefined): Promise<Answer> {
    const { method } = request;
    if (route === undefined) return errorAnswer('not_found', 'There is nothing at this path; see the reference for the endpoints.');
    const handler = route.methods.ALL ?? route.methods[method === 'HEAD' ? 'GET' : (method as 'GET' | 'POST')];
    if (handler !== undefined) return handler(app, request, isStopping);
    if (method === 'OPTIONS' && route.crossOrigin !== 'none' && mayRead(request, route)) return preflight(route);
    return errorAnswer('method_not_allowed', `Use ${allowed(route)} here.`, { headers: { Allow: allowed(route) } });
  }

  function mayRead({ incoming }: HttpRequest, route: Route): boolean {
    const { origin } = incoming.headers;
    return origin !== undefined && (route.crossOrigin === 'any' || (route.crossOrigin === 'configured' && origins.has(origin)));
  }

  const preflight = (route: Route): Answer =>
    noContent({
      'Access-Control-Allow-Methods': allowed(route),
      'Access-Control-Allow-Headers': ALLOWED_HEADERS,
      'Access-Control-Max-Age': '600',
    });

  /** On errors too: a page that may not read why it was refused cannot act on it. */
  function corsHeaders(request: HttpRequest, route: Route | undefined): Readonly<Record<string, string>> {
    if (route?.crossOrigin === 'any') return { 'Access-Control-Allow-Origin': '*', 'Access-Control-Expose-Headers': EXPOSED_HEADERS };
    if (origins.size === 0 || route === undefined || route.crossOrigin === 'none') return {};
    if (!mayRead(request, route)) return { Vary: 'Origin' };
    return {
      Vary: 'Origin',
      'Access-Control-Allow-Origin': request.incoming.headers.origin ?? '',
      'Access-Control-Expose-Headers': EXPOSED_HEADERS,
    };
  }

  async function run(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const id = requestId(incoming);
    const common = { 'X-Request-Id': id, 'X-Content-Type-Options': 'nosniff', ...(isStopping() ? { Connection: 'close' } : {}) };
    const fault = framingFault(incoming);
    if (fault !== undefined) {
      send(incoming, outgoing, errorAnswer('invalid_request', fault), { ...common, Connection: 'close' });
      return;
    }
    const request = requestOf(incoming, id);
    const route = routeOf(request.path);
    const started = app.clock.monotonic();
    const isOverloaded = inFlight > server.maxInFlight && request.path !== '/healthz';
    const answer = isOverloaded
      ? refusalAnswer(new Refusal('overloaded', 'Too many requests at once; try again in a second.'))
      : await answerOf(request, route);
    const closing = answer.status === 413 || isStopping() ? { Connection: 'close' } : {};
    send(incoming, outgoing, answer, { ...common, ...corsHeaders(request, route), ...closing });
    if (app.log.enabled('debug')) {
      const ms = Math.round(app.clock.monotonic() - started);
      app.log.debug('request', { method: request.method, path: route === undefined ? '(unknown)' : request.path, status: answer.status, ms, request_id: id });
    }
  }

  return {
    handle(incoming, outgoing) {
      inFlight += 1;
      run(incoming, outgoing)
        .catch((error: unknown) => {
          app.log.error('an answer could not be sent', describeError(error));
          outgoing.destroy();
        })
        .finally(() => {
          inFlight -= 1;
        });
    },
    inFlight: () => inFlight,
  };
}

/** The path and query of an absolute-form target (RFC 9112 §3.2.2); its host has no influence on anything. */
function targetOf(incoming: IncomingMessage): string {
  const url = incoming.url ?? '';
  if (url.startsWith('/')) return url;
  const match = /^https?:\/\/[^/?#]+(\/.*)?$/i.exec(url);
  return match === null ? '' : (match[1] ?? '/');
}

/** What Node's parser lets through although HTTP does not (RFC 9112 §2.3, §3.2). */
function framingFault(incoming: IncomingMessage): string | undefined {
  const { httpVersion } = incoming;
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return 'Use HTTP/1.1.';
  const hosts = countHeader(incoming, 'host');
  if (hosts > 1 || (hosts === 0 && httpVersion === '1.1')) return 'Send the Host header once.';
  if (hosts === 1 && !HOST.test(incoming.headers.host ?? '')) return 'The Host header is not a host.';
  return undefined;
}
