/** A whole running server: the listener, the app behind it, and the schedule that moves its keys on. */
import { type App, closeApp, type OpenOptions, openApp, systemClock } from '../app.ts';
import type { Config } from '../config/config.ts';
import { durationMs, EARLIEST, toRfc3339 } from '../domain/time.ts';
import { describeError, type Log } from '../log.ts';
import { keepAccessTokenLife, keepIssuer } from '../operations/issuer.ts';
import { moveKeysOn } from '../operations/keys.ts';
import { keepReceivers } from '../operations/receivers.ts';
import { countRotationsOf } from '../operations/rotation-count.ts';
import { requireWriteRight } from '../operations/schema.ts';
import { reportOnWorker } from '../operations/worker-watch.ts';
import { Refusal } from '../refusal.ts';
import { makeHandling } from './handle.ts';
import { listenForMetrics, serveMetrics } from './metrics.ts';
import { type HttpServer, listen } from './server.ts';

/** The schema is brought up to date on SQLite, and must be so on Postgres. */
export interface StartOptions extends Omit<OpenOptions, 'schema'> {
  /** The issuer when none is configured, for the address that was bound. */
  readonly defaultIssuer?: (host: string, port: number) => string;
}

/** `host` and `port` as they were bound: of port 0, the one that was free. */
export interface RunningServer {
  readonly app: App;
  readonly host: string;
  readonly port: number;
  /** Of `metrics.listen`, where it is set. */
  readonly metricsPort: number | null;
  /** Answers what has arrived, then closes everything. */
  stop(): Promise<void>;
}

/** How often the schedule of the keys is looked at, ms. */
const KEY_SCHEDULE = 2_000;

/** How often it is looked whether events wait for a worker, ms. */
const WORKER_WATCH = 60_000;

/** How often the count of refreshes is kept for those who watch, ms. */
const ROTATIONS_KEPT = 5_000;

/** @throws Refusal address_in_use, clock_unset before anything is written; database_unusable, schema_behind, master_key_unusable */
export async function startServer(options: StartOptions): Promise<RunningServer> {
  const now = (options.clock ?? systemClock).now();
  // Sessions that begin in 1970 are over as soon as the clock is set.
  if (now < EARLIEST) {
    throw new Refusal('clock_unset', `The clock says ${toRfc3339(now)}, which is before there was this program.`, {
      remedy: 'timedatectl set-ntp true; in a unit file: After=time-sync.target',
    });
  }
  const { server, listen: address, metrics } = options.config;
  const { requestTimeout, bodyLimit } = server;
  const http = await listen({ key: 'listen', ...address, requestTimeout, bodyLimit });
  let metricsHttp: HttpServer | undefined;
  try {
    metricsHttp = metrics.listen === null ? undefined : await listenForMetrics(metrics.listen, requestTimeout);
    const config: Config =
      options.defaultIssuer === undefined
        ? options.config
        : { ...options.config, issuer: options.defaultIssuer(http.host, http.port) };
    const app = await openApp({ ...options, config, schema: 'create' });
    try {
      return await serveWith(app, { http, metricsHttp, log: options.log });
    } catch (error) {
      await closeApp(app);
      throw error;
    }
  } catch (error) {
    await Promise.all([http.stop(durationMs(0)), metricsHttp?.stop(durationMs(0))]);
    throw error;
  }
}

interface Listening {
  readonly http: HttpServer;
  readonly metricsHttp: HttpServer | undefined;
  readonly log: Log;
}

async function serveWith(opened: App, { http, metricsHttp, log }: Listening): Promise<RunningServer> {
  const { app, keep } = countRotationsOf(opened);
  await requireWriteRight(app);
  await moveKeysOn(app);
  await app.keys.current();
  const replaced = await keepIssuer(app);
  if (replaced !== undefined)
    log.warn('the issuer has changed: every session under the old one has ended', {
      old: replaced,
      new: app.config.issuer,
    });
  await keepAccessTokenLife(app);
  const endMetrics = metricsHttp === undefined ? undefined : serveMetrics(app, metricsHttp);
  const receivers = await keepReceivers(app);
  const endKeys = repeat(
    KEY_SCHEDULE,
    () => moveKeysOn(app),
    (error) => log.warn('the key schedule waits', describeError(error)),
  );
  // Whoever has no receivers needs no deliveries; and a failure to look is told by what else fails then.
  const endWatch =
    receivers.length === 0
      ? async () => undefined
      : repeat(
          WORKER_WATCH,
          () => watchWorker(app, log),
          () => undefined,
        );
  // Nothing depends on it: what could not be written is added the next time.
  const endCount = repeat(ROTATIONS_KEPT, keep, () => undefined);
  http.serve(makeHandling(app, http.isStopping));
  return {
    app,
    host: http.host,
    port: http.port,
    metricsPort: metricsHttp?.port ?? null,
    async stop() {
      await http.stop(app.config.server.shutdownTimeout);
      // Last, so that the end of the last requests is still seen.
      await endMetrics?.();
      await Promise.all([endKeys(), endWatch(), endCount()]);
      await keep().catch(() => undefined);
      await closeApp(app);
    },
  };
}

/** Repeats a step, one at a time. @returns ends the schedule, and waits for a step that is under way */
function repeat(every: number, step: () => Promise<unknown>, onError: (error: unknown) => void): () => Promise<void> {
  let running: Promise<unknown> | undefined;
  const timer = setInterval(() => {
    running ??= step()
      .catch(onError)
      .finally(() => {
        running = undefined;
      });
  }, every);
  return async () => {
    clearInterval(timer);
    await running;
  };
}

/** Says so when events wait and nobody is there to deliver them. */
async function watchWorker(app: App, log: Log): Promise<void> {
  const { isNeeded, waitingSince } = await reportOnWorker(app);
  if (!isNeeded || waitingSince === null) return;
  log.warn('events wait and no worker was seen; start one: auth-server worker', { since: toRfc3339(waitingSince) });
}
