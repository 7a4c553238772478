/**
 * Ending every family there is: after a restore, because spent tokens would live again, and after a loss of the master key.
 * It stands apart from `revoke` because what readers of the feed knew is void as well.
 */
import type { App } from '../app.ts';
import { recordEvent } from '../store/events.ts';
import { startFeedEpoch } from '../store/revocations.ts';
import type { Tx } from '../store/store.ts';
import { countRevocable, type Revocation } from '../store/token-families.ts';
import { revokeInBatches } from './revoke-batches.ts';

export interface EndAll {
  readonly revocation: Revocation;
  /** Called after each batch with the number of families that have ended so far. */
  readonly onProgress?: ((ended: number) => void) | undefined;
  /** In the transaction of the last batch. */
  readonly finish?: ((tx: Tx) => Promise<void>) | undefined;
}

/** Sessions that `endAll` would end. */
export const countLive = (app: App): Promise<number> =>
  app.store.read((db) => countRevocable(db, { all: true }, app.clock.now()));

/**
 * Ends them in bounded batches, each its own transaction; interrupted, it is to be run again. The new epoch of the feed
 * comes first: begun later, it would take the ends out of the feed again. @returns how many ended
 */
export async function endAll(app: App, { revocation, onProgress, finish }: EndAll): Promise<number> {
  await app.store.write(startFeedEpoch);
  return revokeInBatches(app, { all: true }, revocation, {
    onProgress,
    finish: async (tx, ended) => {
      await recordWhole(tx, revocation, ended);
      await finish?.(tx);
    },
  });
}

/** Each family has its own event; this one tells that it was all of them. */
function recordWhole(tx: Tx, { cause, note }: Revocation, count: number): Promise<void> {
  const data = { selector: 'all', value: null, issued_before: null, count, cause } as const;
  return recordEvent(tx, { type: 'families.revoked', data: note === undefined ? data : { ...data, note } });
}
