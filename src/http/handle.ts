/** One request from its first check to its answer: framing that Node lets through, overload, the route, errors. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { App } from '../app.ts';
import { describeError } from '../log.ts';
import { LONGEST_WAIT } from '../operations/feed.ts';
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
  /** Ends what does nothing but wait: the server stops. */
  endWaits?(): void;
}

/** Requests that are under way together. */
interface Load {
  now: number;
  readonly limit: number;
}

/** Who waits holds a connection; this leaves half of them to everybody else. */
const WAITING = 5_000;

/** Made once: who has too much to do must not spend on saying so. Measured, with the client: 51 µs each, 63 if made anew. */
const OVERLOADED = refusalAnswer(new Refusal('overloaded', 'Too many requests at once; try again in a second.'));

export function makeHandling(app: App, isStopping: () => boolean): Handling {
  const { server, issuer } = app.config;
  const routeOf = makeRoutes(issuer);
  const read = requestReader(app);
  const crossOrigin = crossOriginPolicy(server.cors.origins);
  const working: Load = { now: 0, limit: server.maxInFlight };
  const waiting: Load = { now: 0, limit: WAITING };

  async function dispatch(request: HttpRequest, route: Route | undefined, load: Load): Promise<Answer> {
    if (route === undefined) {
      return errorAnswer('not_found', 'There is nothing at this path; see the reference for the endpoints.');
    }
    if (load.now > load.limit && request.path !== '/healthz') {
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
    const load = route?.isWait === true ? waiting : working;
    load.now += 1;
    try {
      const refused = unacceptable(incoming);
      const work = refused === undefined ? dispatch(request, route, load) : Promise.resolve(refused);
      const outcome = work.catch((error: unknown) => failure(app, request, error));
      const limit = load === waiting ? LONGEST_WAIT + server.requestTimeout : server.requestTimeout;
      const answer = await inTime(incoming, outcome, limit, () => failure(app, request, tooLong()));
      const closing = answer.status === 413 || isStopping() ? { Connection: 'close' } : {};
      const common = { 'X-Request-Id': request.id, 'X-Content-Type-Options': 'nosniff', ...closing };
      const sent = send(incoming, outgoing, answer, { ...common, ...crossOrigin.headers(request, route) });
      note(request, route, answer, app.clock.monotonic() - started);
      // What was answered too early is still under way: it counts as that, and a stop waits for it.
      await outcome;
      await sent;
    } finally {
      load.now -= 1;
    }
  }

  function note(request: HttpRequest, route: Route | undefined, { status }: Answer, ms: number): void {
    // What a caller made up is no path of ours: neither a line of the log nor a series of its own.
    const path = route === undefined ? '(unknown)' : route.path;
    app.metrics.answered(path, status, ms / 1_000);
    if (app.log.enabled('debug')) {
      const { method, id } = request;
      app.log.debug('request', { method, path, status, ms: Math.round(ms), request_id: id });
    }
  }

  return {
    handle(incoming, outgoing) {
      run(incoming, outgoing).catch((error: unknown) => {
        // A stream that is cut off because the database does not answer is no fault of ours.
        if (error instanceof Refusal) app.log.warn(error.code, describeError(error.cause ?? error));
        else app.log.error('an answer could not be sent', describeError(error));
        outgoing.destroy();
      });
    },
    inFlight: () => working.now + waiting.now,
    endWaits: () => app.feed.end(),
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
