/** The listener of the metrics (contract §4): apart from the one for users, because what it shows is for operators alone. */
import type { App } from '../app.ts';
import { type DurationMs, durationMs } from '../domain/time.ts';
import { describeError } from '../log.ts';
import { showGauges } from '../operations/gauges.ts';
import { type Answer, errorAnswer, NO_STORE, send } from './answer.ts';
import { framingFault, requestReader } from './request.ts';
import { type HttpServer, listen } from './server.ts';

/** No body is read here. */
const BODY_LIMIT = 0;

/** Takes the address; who asks before there is an app waits. @throws Refusal address_in_use, configuration_invalid */
export const listenForMetrics = (
  { host, port }: { readonly host: string; readonly port: number },
  requestTimeout: DurationMs,
): Promise<HttpServer> => listen({ key: 'metrics.listen', host, port, requestTimeout, bodyLimit: BODY_LIMIT });

/** From now on the metrics of this app are shown there. @returns ends that */
export function serveMetrics(app: App, http: HttpServer): () => Promise<void> {
  const read = requestReader(app);
  showGauges(app);
  let inFlight = 0;

  async function answerOf(method: string, path: string): Promise<Answer> {
    if (path !== '/metrics') return errorAnswer('not_found', 'Here is nothing but /metrics.');
    if (method !== 'GET' && method !== 'HEAD') {
      return errorAnswer('method_not_allowed', 'Use GET, HEAD here.', { headers: { Allow: 'GET, HEAD' } });
    }
    const body = await app.metrics.render();
    return { status: 200, body, headers: { 'Content-Type': app.metrics.type, ...NO_STORE } };
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
  return () => http.stop(durationMs(0));
}
