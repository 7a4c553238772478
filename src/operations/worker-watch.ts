/**
 * Whether somebody is there to deliver events: workers leave a sign of life, and who finds events waiting without one says
 * so. `serve` and `doctor` ask here.
 */
import type { App } from '../app.ts';
import { type EpochMs, epochMs, MINUTE } from '../domain/time.ts';
import { backlogOf } from '../store/delivery-pages.ts';
import { oldestInOutbox } from '../store/outbox.ts';
import { listReceivers } from '../store/receivers.ts';
import { findSetting, storeSetting } from '../store/settings.ts';
import { receiversOf } from './receivers.ts';

/** A worker that has not been seen for so long, and an event that waits so long, ms. */
const PATIENCE = MINUTE;

/** Dead letters are counted up to here. */
const COUNTED = 1_000;

/** Called by a worker, every few seconds. */
export const leaveHeartbeat = (app: App): Promise<void> =>
  app.store.write((tx) => storeSetting(tx, 'worker_seen', String(tx.now)));

export interface WorkerReport {
  /** Null: never. */
  readonly seenAt: EpochMs | null;
  readonly isAlive: boolean;
  /** Since when the oldest event waits that could be on its way; null when none does. */
  readonly waitingSince: EpochMs | null;
  /** Dead letters, at most 1,000 of them. */
  readonly dead: number;
  /** Labels of receivers that are configured, and disabled since they answered 410. */
  readonly disabled: readonly string[];
  /** Whether events wait and nobody is there to deliver them. */
  readonly isNeeded: boolean;
}

export async function reportOnWorker(app: App): Promise<WorkerReport> {
  const keys = receiversOf(app.config).map(({ key }) => key);
  const now = app.clock.now();
  return app.store.read(async (db) => {
    const seen = await findSetting(db, 'worker_seen');
    const seenAt = seen === undefined ? null : epochMs(Number(seen));
    const isAlive = seenAt !== null && seenAt > now - PATIENCE;
    const { dueSince, dead } = await backlogOf(db, keys, now, COUNTED);
    const queuedSince = keys.length === 0 ? undefined : await oldestInOutbox(db);
    const times = [dueSince, queuedSince].filter((time) => time !== undefined);
    const waitingSince = times.length === 0 ? null : epochMs(Math.min(...times));
    const known = await listReceivers(db);
    return {
      seenAt,
      isAlive,
      waitingSince,
      dead,
      disabled: known.filter(({ key, disabled }) => disabled !== null && keys.includes(key)).map(({ label }) => label),
      isNeeded: !isAlive && waitingSince !== null && waitingSince < now - PATIENCE,
    };
  });
}
