/** What the tests of the worker share: an app with receivers, events of families, a worker that looks often. */
import { onTestFinished, vi } from 'vitest';
import type { App } from '../../src/app.ts';
import type { DeliveryRecord } from '../../src/domain/delivery.ts';
import { DEFAULT_CLIENT, type FamilyId, type Subject } from '../../src/domain/ids.ts';
import { durationMs } from '../../src/domain/time.ts';
import { listDeliveries } from '../../src/store/delivery-pages.ts';
import { recordEvent } from '../../src/store/events.ts';
import { startWorker, type Worker, type WorkerOptions } from '../../src/worker/worker.ts';

export const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
export const OTHER_SECRET = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;

export const family = (number: number): FamilyId =>
  `01993b2e-0000-7000-8000-${String(number).padStart(12, '0')}` as FamilyId;

/** One event of this family. */
export const revoked = (sid: FamilyId, note: string) =>
  ({
    type: 'family.revoked',
    data: { sid, subject: 'sub-1' as Subject, client_id: DEFAULT_CLIENT, cause: 'admin', note },
  }) as const;

/** An event that belongs to no family. */
export const created = (id: string) =>
  ({ type: 'client.created', data: { client_id: id as typeof DEFAULT_CLIENT, client_type: 'app' } }) as const;

export type TestEvent = ReturnType<typeof revoked> | ReturnType<typeof created>;

export const record = (app: App, ...events: readonly TestEvent[]): Promise<void> =>
  app.store.write(async (tx) => {
    for (const event of events) await recordEvent(tx, event);
  });

/** Ends with the test. */
export function runWorker(app: App, options: Partial<WorkerOptions> = {}): Worker {
  const worker = startWorker(app, { poll: durationMs(10), ...options });
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopped ??= worker.stop();
    return stopped;
  };
  onTestFinished(stop);
  return { ...worker, stop };
}

export const deliveriesOf = (app: App): Promise<readonly DeliveryRecord[]> =>
  app.store.read((db) => listDeliveries(db, { limit: 1_000 }));

export const statesOf = async (app: App): Promise<readonly string[]> =>
  (await deliveriesOf(app)).map(({ state }) => state);

/** Until the condition holds; a failure shows what it was instead. */
export const eventually = <T>(check: () => T | Promise<T>, timeout = 10_000): Promise<T> =>
  vi.waitFor(check, { timeout, interval: 10 });

/** The notes of the events that came, in order. */
export const notesOf = (
  received: readonly { readonly event: { readonly data: Readonly<Record<string, unknown>> } }[],
) => received.map(({ event }) => event.data.note ?? event.data.client_id);

/** How many deliveries are in each state. */
export async function deliveryCounts(app: App): Promise<Partial<Record<DeliveryRecord['state'], number>>> {
  const rows = await app.store.read((db) =>
    db.sql
      .selectFrom('deliveries')
      .select((eb) => ['state', eb.fn.countAll<number>().as('count')])
      .groupBy('state')
      .execute(),
  );
  return Object.fromEntries(rows.map(({ state, count }) => [state, Number(count)]));
}
