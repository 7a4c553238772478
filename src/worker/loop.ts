/**
 * What every loop of the worker shares: it goes on until it is stopped, it can be woken, and whatever goes wrong makes it
 * wait and try again. So a database that is gone for a minute, or a bug in one step, ends no worker.
 */
import { type DurationMs, durationMs } from '../domain/time.ts';
import { describeError, type Log } from '../log.ts';

/** Wakes those who wait for work, at once. */
export interface Bell {
  ring(): void;
  /** Until the bell rings, the time has passed or the signal is given. */
  wait(patience: number, signal: AbortSignal): Promise<void>;
}

/** For one who waits. Rung while nobody does, it ends the next wait at once; twice is once. */
export function makeBell(): Bell {
  let wake: (() => void) | undefined;
  let hasRung = false;
  return {
    ring() {
      hasRung = true;
      wake?.();
    },
    async wait(patience, signal) {
      // Rung while its owner was at work: there is more of it.
      if (!hasRung && patience > 0 && !signal.aborted) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(() => wake?.(), patience);
          const end = (): void => {
            clearTimeout(timer);
            signal.removeEventListener('abort', end);
            wake = undefined;
            resolve();
          };
          wake = end;
          signal.addEventListener('abort', end);
        });
      }
      hasRung = false;
    },
  };
}

const BACKOFF = { first: 250, longest: 10_000 } as const;

/** A step that throws is tried again after 250 ms, then after twice as long each time, up to 10 s. */
export interface Loop {
  readonly name: string;
  /** @returns how long to wait for the next step, unless the bell rings */
  readonly step: () => Promise<DurationMs>;
  readonly bell?: Bell;
}

/** Runs until the signal is given; then the step under way is finished. */
export async function runLoop({ name, step, bell = makeBell() }: Loop, log: Log, signal: AbortSignal): Promise<void> {
  let failures = 0;
  while (!signal.aborted) {
    let pause: DurationMs;
    try {
      pause = await step();
      if (failures > 0) log.info('the worker goes on', { loop: name });
      failures = 0;
    } catch (error) {
      pause = durationMs(Math.min(BACKOFF.first * 2 ** failures, BACKOFF.longest));
      failures += 1;
      log.warn('the worker waits', { loop: name, wait_ms: pause, ...describeError(error) });
    }
    await (failures > 0 ? makeBell() : bell).wait(pause, signal);
  }
}
