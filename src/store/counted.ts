/** A store that tells of each family it has ended. It stands apart because only who counts wants to know. */
import type { RevocationCause } from '../domain/token-family.ts';
import type { FeedEntry } from './revocations.ts';
import type { Store } from './store.ts';

/** @param onEnded after the commit, for each family */
export function countedStore<Opened extends Store>(store: Opened, onEnded: (cause: RevocationCause) => void): Opened {
  return {
    ...store,
    async write(change) {
      let ended: readonly FeedEntry[] = [];
      const result = await store.write(async (tx) => {
        // Changes that share a commit share the list too.
        const before = tx.feed.length;
        const value = await change(tx);
        ended = tx.feed.slice(before);
        return value;
      });
      for (const entry of ended) if ('cause' in entry) onEnded(entry.cause);
      return result;
    },
  };
}
