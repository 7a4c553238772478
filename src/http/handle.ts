/** One request from its first check to its answer: framing that Node lets through, overload, the route, errors. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { App } from '../app.ts';
import { describeError } from '../log.ts';
import { Refusal } from '../refusal.ts';
import { type Answer, errorAnswer, json, NO_STORE, refusalAnswer, send } from './answer.ts';
import { crossOriginPolicy } from './cross-origin.ts';
import { inTime } from './in-time.ts';
import { framingFault, type HttpRequest, requestReader } from './request.ts';
import { allowed, makeRoutes, type Route } from './routes.ts';

export interface Handling {
  handle(incoming: IncomingMessage, outgoing: ServerResponse): void;
  /** Requests that have no answer yet, or whose work goes on. */
  inFlight(): number;
}

/** Made once: who has too much to do must not spend on saying so. Measured, with the client: 51 µs each, 63 if made anew. */
const OVERLOADED = refusalAnswer(new Refusal('overloaded', 'Too many requests at once; try again in a second.'));

export function makeHandling(app: App, isStopping: () => boolean): Handling {
  const { server, issuer } = app.config;
  const routeOf = makeRoutes(issuer);
  const read = requestReader(app);
  const crossOrigin = crossOriginPolicy(server.cors.origins);
  let inFlight = 0;

  async function dispatch(request: HttpRequest, route: Route | undefined): Promise<Answer> {
    if (route === undefined) {
      return errorAnswer('not_found', 'There is nothing at this path; see the reference for the endpoints.');
    }
    if (inFlight > server.maxInFlight && request.path !== '/healthz') {
      return OVERLOADED;
    }
    const method = request.method === 'HEAD' ? 'GET' : (request.method as 'GET' | 'POST');
    const handler = route.methods.ALL ?? route.methods[method];
    if (handler !== undefined) return handler(app, request, isStopping);
    return (
      crossOrigin.preflight(request, route) ??
      errorAnswer('method_not_allowed', `Use ${allowed(route)} here.`, { headers: { Allow: allowed(route) } })
    );
  }

  async function run(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const started = app.clock.monotonic();
    const request = read(incoming);
    const route = routeOf(request.path);
    const refused = unacceptable(incoming);
    const work = refused === undefined ? dispatch(request, route) : Promise.resolve(refused);
    const outcome = work.catch((error: unknown) => failure(app, request, error));
    const answer = await inTime(incoming, outcome, server.requestTimeout, () => failure(app, request, tooLong()));
    const closing = answer.status === 413 || isStopping() ? { Connection: 'close' } : {};
    const common = { 'X-Request-Id': request.id, 'X-Content-Type-Options': 'nosniff', ...closing };
    send(incoming, outgoing, answer, { ...common, ...crossOrigin.headers(request, route) });
    const ms = app.clock.monotonic() - started;
    // What a caller made up is no path of ours: neither a line of the log nor a series of its own.
    const path = route === undefined ? '(unknown)' : route.path;
    app.metrics.answered(path, answer.status, ms / 1_000);
    if (app.log.enabled('debug')) {
      const { method, id } = request;
      app.log.debug('request', { method, path, status: answer.status, ms: Math.round(ms), request_id: id });
    }
    // What was answered too early is still under way: it counts as that, and a stop waits for it.
    await outcome;
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

/** The same promise as of a commit that failed: nothing is half done, and what was done is there for who asks again. */
const tooLong = (): Refusal =>
  new Refusal('temporarily_unavailable', 'This took too long, and its outcome is not known; repeat the same request.', {
    cause: new Error('longer than server.requestTimeout'),
  });

/** What is refused before anybody asks for which path it is: what follows on its connection is not to be trusted. */
function unacceptable(incoming: IncomingMessage): Answer | undefined {
  const close = { ...NO_STORE, Connection: 'close' };
  const fault = framingFault(incoming);
  if (fault !== undefined) return errorAnswer('invalid_request', fault, { headers: close });
  // RFC 9110 §10.1.1; an HTTP/1.0 caller cannot expect anything.
  const { expect } = incoming.headers;
  if (expect === undefined || incoming.httpVersion === '1.0' || expect.toLowerCase() === '100-continue')
    return undefined;
  return json(
    417,
    { error: 'expectation_failed', error_description: 'Only Expect: 100-continue is understood.' },
    close,
  );
}

/** An expected refusal is answered as the catalogue says; anything else is our fault, and its cause stays in the log. */
function failure(app: App, request: HttpRequest, error: unknown): Answer {
  if (error instanceof Refusal) {
    if (error.cause !== undefined) app.log.warn(error.code, { request_id: request.id, ...describeError(error.cause) });
    return refusalAnswer(error);
  }
  app.log.error('unforeseen error', { request_id: request.id, ...describeError(error) });
  return json(500, {
    error: 'server_error',
    error_description: `Something unforeseen went wrong; report it with request id ${request.id}.`,
  });
}
