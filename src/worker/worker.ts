/**
 * The background worker: distributes events, delivers them, purges what has had its time, and leaves a sign of life. Any
 * number of them may run; each may be killed at any moment. What one does is in the files of its loops.
 */
import type { App } from '../app.ts';
import { type DurationMs, durationMs, SECOND } from '../domain/time.ts';
import { purgeOnSchedule } from '../operations/purge.ts';
import { keepReceivers, type Receiver, receiversOf } from '../operations/receivers.ts';
import { leaveHeartbeat } from '../operations/worker-watch.ts';
import { distribute } from './distribute.ts';
import { type Loop, makeBell, runLoop } from './loop.ts';
import { type ReceiverLoopOptions, receiverLoop } from './receiver-loop.ts';

/** What tests shorten; an installation has the defaults. */
export interface WorkerOptions extends ReceiverLoopOptions {
  readonly heartbeat: DurationMs;
  /** How often to look whether a purge is due. */
  readonly purgeCheck: DurationMs;
}

const DEFAULTS: WorkerOptions = {
  poll: durationMs(200),
  concurrency: 16,
  timeout: durationMs(15 * SECOND),
  lease: durationMs(20 * SECOND),
  heartbeat: durationMs(10 * SECOND),
  purgeCheck: durationMs(60 * SECOND),
};

export interface Worker {
  readonly receivers: readonly Receiver[];
  /** Begins nothing new, finishes what is under way within `server.shutdownTimeout`, and gives the rest back. */
  stop(): Promise<void>;
}

/** Needs nothing to be there yet: a database that is away is waited for. */
export function startWorker(app: App, given: Partial<WorkerOptions> = {}): Worker {
  const options = { ...DEFAULTS, ...given };
  const receivers = receiversOf(app.config);
  let isKnown = false;
  const stopping = new AbortController();
  const { signal } = stopping;

  const ways = receivers.map((receiver) => receiverLoop(app, receiver, options));
  const distributing: Loop = {
    name: 'distribute',
    bell: makeBell(),
    async step() {
      if (!isKnown) await keepReceivers(app);
      isKnown = true;
      const { taken, isMore } = await distribute(app, receivers);
      if (taken > 0) for (const way of ways) way.bell.ring();
      return isMore ? durationMs(0) : options.poll;
    },
  };
  const beating: Loop = {
    name: 'heartbeat',
    async step() {
      await leaveHeartbeat(app);
      return options.heartbeat;
    },
  };
  const purging: Loop = {
    name: 'purge',
    async step() {
      const purged = await purgeOnSchedule(app, signal);
      if (purged !== undefined) app.log.info('purged', { ...purged });
      return options.purgeCheck;
    },
  };
  const running = [distributing, beating, purging, ...ways].map((loop) => runLoop(loop, app.log, signal));
  return {
    receivers,
    async stop() {
      stopping.abort();
      await Promise.all(running);
      await Promise.all(ways.map((way) => way.finish(app.config.server.shutdownTimeout)));
    },
  };
}
