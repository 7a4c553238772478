/**
 * Ending many families, a batch at a time, each its own transaction, so that no number of sessions holds up the servers that
 * share the database. It stands apart because every command that ends many does it this way.
 */
import type { App } from '../app.ts';
import type { FamilyId } from '../domain/ids.ts';
import type { Tx } from '../store/store.ts';
import { type FamilySelector, type Revocation, revokeFamilies } from '../store/token-families.ts';

/** Families in one transaction: some 20 ms of the write lock on SQLite. */
const BATCH = 500;

/** Where a walk through the families is: after this one, or at their beginning. */
type Place = FamilyId | undefined;

/** From the oldest on: to begin anew each time would read again all that has ended. Who came in behind is met by a last look. */
async function step(tx: Tx, which: FamilySelector, revocation: Revocation, after: Place) {
  const ended = await revokeFamilies(tx, which, revocation, { limit: BATCH, after });
  const isAtEnd = ended.length < BATCH;
  const next: Place = isAtEnd ? undefined : ended.at(-1)?.id;
  return { count: ended.length, isLast: isAtEnd && after === undefined, next };
}

export interface InBatches {
  /** Called after each batch with the number of families that have ended so far. */
  readonly onProgress?: ((ended: number) => void) | undefined;
  /** In the transaction of the last batch, with the number of all: in the commit that makes the whole true. */
  readonly finish?: ((tx: Tx, ended: number) => Promise<void>) | undefined;
}

/** Interrupted, it is to be run again. @returns how many ended */
export async function revokeInBatches(
  app: App,
  which: FamilySelector,
  revocation: Revocation,
  { onProgress, finish }: InBatches,
): Promise<number> {
  let place: Place;
  for (let ended = 0; ; ) {
    const [before, from] = [ended, place];
    const { count, isLast, next } = await app.store.write(async (tx) => {
      const done = await step(tx, which, revocation, from);
      if (done.isLast) await finish?.(tx, before + done.count);
      return done;
    });
    place = next;
    ended += count;
    if (count > 0) onProgress?.(ended);
    if (isLast) return ended;
  }
}

/** All of them within the caller's transaction, for a change that must not leave one behind. @returns how many it ended */
export async function revokeAll(tx: Tx, which: FamilySelector, revocation: Revocation): Promise<number> {
  let place: Place;
  for (let ended = 0; ; ) {
    const { count, isLast, next } = await step(tx, which, revocation, place);
    place = next;
    ended += count;
    if (isLast) return ended;
  }
}
