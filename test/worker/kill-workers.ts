/**
 * N19 and I43 as an experiment: three real workers deliver, and are killed in turn and replaced, while events are
 * committed. How many events is a matter of patience: `scripts/kill-workers.ts` takes a number.
 */
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { durationMs, epochMs } from '../../src/domain/time.ts';
import { scratchFolder } from '../support/scratch.ts';
import { openTestApp } from '../support/test-app.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-processes.ts';
import { deliveryCounts, family, record, revoked } from './support.ts';

/** Events of one run. */
export const EVENTS = Number(process.env.KILL_EVENTS ?? 600);
export const LONGEST = Math.max(240_000, EVENTS * 60);

const FAMILIES = Math.max(50, Math.round(EVENTS / 5));
const WORKERS = 3;
/** Each of them once, or more often. */
const KILLS = EVENTS > 5_000 ? 12 : WORKERS;

export interface Arrived {
  readonly id: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** Commits all events, kills, and waits until the last one is delivered. @param events configuration of the receivers */
export async function killWorkers(database: string, events: Readonly<Record<string, unknown>>): Promise<void> {
  const folder = scratchFolder('workers');
  const workers: WorkerProcess[] = [];
  onTestFinished(async ({ task }) => {
    await Promise.all(workers.map((worker) => worker.stop('SIGKILL')));
    if (task.result?.state === 'fail') for (const worker of workers) process.stderr.write(worker.said());
    rmSync(folder, { recursive: true, force: true });
  });
  const config = { database: { url: database }, events, log: { level: 'warn' } };
  writeFileSync(path.join(folder, 'auth.config.json'), JSON.stringify(config), { mode: 0o600 });
  const { app } = await openTestApp(
    database,
    {},
    {
      now: () => epochMs(Date.now()),
      monotonic: () => durationMs(performance.now()),
      advance: () => undefined,
    },
  );
  const start = async (): Promise<void> => {
    const worker = startWorkerProcess(folder);
    workers.push(worker);
    await worker.ready();
  };
  await Promise.all(Array.from({ length: WORKERS }, start));

  let killed = 0;
  const step = Math.ceil(EVENTS / (KILLS + 2));
  for (let count = 0; count < EVENTS; count += 5) {
    const numbers = Array.from({ length: 5 }, (_, index) => count + index);
    await record(app, ...numbers.map((number) => revoked(family(number % FAMILIES), String(number))));
    const { delivered = 0 } = await deliveryCounts(app);
    if (killed < KILLS && delivered >= (killed + 1) * step) {
      // The oldest: it has the most under way.
      await workers[killed]?.stop('SIGKILL');
      killed += 1;
      await start();
    }
    // Not faster than they can deliver, so that the kills come in the middle of it.
    while (killed < KILLS && count - ((await deliveryCounts(app)).delivered ?? 0) > 2 * step) await delay(10);
  }
  while (((await deliveryCounts(app)).delivered ?? 0) < EVENTS) await delay(50);
  for (const worker of workers.slice(killed)) {
    const code = await worker.stop('SIGTERM');
    if (code !== 0) throw new Error(`a worker ended with ${code}:\n${worker.said()}`);
  }
  if (killed < KILLS) throw new Error(`only ${killed} workers were killed`);
}

export interface Tally {
  /** Numbers that were committed and never came. */
  readonly missing: readonly number[];
  /** Families whose events came in another order, once what came twice is left out. */
  readonly disordered: readonly string[];
  readonly duplicates: number;
}

export function tally(arrived: readonly Arrived[]): Tally {
  const once = [...new Map(arrived.map((event) => [event.id, event])).values()];
  const seen = new Set(once.map(({ data }) => Number(data.note)));
  const last = new Map<string, number>();
  const disordered = new Set<string>();
  for (const { data } of once) {
    const sid = String(data.sid);
    if ((last.get(sid) ?? -1) > Number(data.note)) disordered.add(sid);
    last.set(sid, Number(data.note));
  }
  return {
    missing: Array.from({ length: EVENTS }, (_, number) => number).filter((number) => !seen.has(number)),
    disordered: [...disordered],
    duplicates: arrived.length - once.length,
  };
}
