/**
 * N19 and I43 as an experiment: three real workers deliver, and are killed in turn and replaced, while events are
 * committed. How many events is a matter of patience: `scripts/kill-workers.ts` takes a number.
 */
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import type { App } from '../../src/app.ts';
import { durationMs, epochMs } from '../../src/domain/time.ts';
import { Refusal } from '../../src/refusal.ts';
import { hastenDeliveries } from '../../src/store/delivery-pages.ts';
import { OutcomeUnknown } from '../../src/store/store.ts';
import { scratchFolder } from '../support/scratch.ts';
import { openTestApp } from '../support/test-app.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-processes.ts';
import { deliveryCounts, family, record, revoked } from './support.ts';

/** Events of one run. */
export const EVENTS = Number(process.env.KILL_EVENTS ?? 600);
/** ms, on a machine that does other things too. */
export const LONGEST = Math.max(600_000, EVENTS * 240);

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
  const arrived = async (): Promise<number> => (await deliveryCounts(app)).delivered ?? 0;
  async function killWhenDue(delivered: number): Promise<void> {
    if (killed >= KILLS || delivered < (killed + 1) * step) return;
    // The oldest: it has the most under way.
    await workers[killed]?.stop('SIGKILL');
    killed += 1;
    await start();
  }
  async function watch(until: (delivered: number) => boolean): Promise<void> {
    for (;;) {
      const delivered = await arrived();
      await killWhenDue(delivered);
      if (until(delivered)) return;
      await insist(() => hasten(app));
      await delay(100);
    }
  }
  for (let count = 0; count < EVENTS; count += 5) {
    const numbers = Array.from({ length: 5 }, (_, index) => count + index);
    await insist(() => record(app, ...numbers.map((number) => revoked(family(number % FAMILIES), String(number)))));
    // Not faster than they can deliver, so that the kills come in the middle of it.
    if (count % step < 5) await watch((delivered) => count - delivered <= 2 * step);
  }
  await watch((delivered) => delivered === EVENTS);
  for (const worker of workers.slice(killed)) {
    const code = await worker.stop('SIGTERM');
    if (code !== 0) throw new Error(`a worker ended with ${code}:\n${worker.said()}`);
  }
  if (killed < KILLS) throw new Error(`only ${killed} workers were killed`);
}

/** Again for as long as the database is not to be had, which is when nothing was done; three workers write to it too. */
async function insist(change: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await change();
      return;
    } catch (error) {
      if (!(error instanceof Refusal) || error instanceof OutcomeUnknown) throw error;
      await delay(50);
    }
  }
}

/**
 * Has what failed twice tried again now, as `events retry` does: of ten thousand events some fail ten times in a row, and the
 * schedule would take hours over them.
 */
const hasten = (app: App): Promise<unknown> =>
  app.store.write(async (tx) => {
    const rows = await tx.sql
      .selectFrom('deliveries')
      .select('event_number')
      .where('state', '=', 'pending')
      .where('leased_until', 'is', null)
      .where('attempts', '>', 1)
      .where('next_attempt_at', '>', tx.now)
      .limit(1_000)
      .execute();
    return hastenDeliveries(
      tx,
      rows.map((row) => row.event_number),
    );
  });

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
