/** The listener of the metrics (contract §4): apart from the one for users, because what it shows is for operators alone. */
import type { App } from '../app.ts';
import { durationMs } from '../domain/time.ts';
import { describeError } from '../log.ts';
import { METRICS_TYPE } from '../metrics.ts';
import { showGauges } from '../operations/gauges.ts';
import { type Answer, errorAnswer, NO_STORE, send } from './answer.ts';
import { framingFault, requestReader } from './request.ts';
import { listen } from './server.ts';

export interface MetricsServer {
  readonly port: number;
  stop(): Promise<void>;
}

/** No body is read here. */
const BODY_LIMIT = 0;

/** @throws Refusal address_in_use */
export async function serveMetrics(app: App, address: { host: string; port: number }): Promise<MetricsServer> {
  const http = await listen({ ...address, requestTimeout: app.config.server.requestTimeout, bodyLimit: BODY_LIMIT });
  const read = requestReader(app);
  showGauges(app);
  let inFlight = 0;

  async function answerOf(method: string, path: string): Promise<Answer> {
    if (path !== '/metrics') return errorAnswer('not_found', 'Here is nothing but /metrics.');
    if (method !== 'GET' && method !== 'HEAD') {
      return errorAnswer('method_not_allowed', 'Use GET, HEAD here.', { headers: { Allow: 'GET, HEAD' } });
    }
    const body = await app.metrics.render();
    return { status: 200, body, headers: { 'Content-Type': METRICS_TYPE, ...NO_STORE } };
  }

  http.serve({
    handle(incoming, outgoing) {
      inFlight += 1;
      const { id, method, path } = read(incoming);
      const fault = framingFault(incoming);
      const answer =
        fault === undefined ? answerOf(method, path) : Promise.resolve(errorAnswer('invalid_request', fault));
      answer
        .then((known) => send(incoming, outgoing, known, { 'X-Request-Id': id, 'X-Content-Type-Options': 'nosniff' }))
        .catch((error: unknown) => {
          app.log.error('the metrics could not be shown', describeError(error));
          outgoing.destroy();
        })
        .finally(() => {
          inFlight -= 1;
        });
    },
    inFlight: () => inFlight,
  });
  return { port: http.port, stop: () => http.stop(durationMs(0)) };
}
