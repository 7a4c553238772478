/**
 * How many refreshes there have been, for who looks from another process. Postgres counts rows anyway; SQLite counts none, and
 * a refresh that wrote a count would pay a page for it. So a server counts in memory, and adds it to the database now and then.
 */
import type { App } from '../app.ts';
import { addToSetting } from '../store/settings.ts';

export interface RotationCount {
  /** The same app, whose rotations are counted. */
  readonly app: App;
  /** Adds what has come since; writes nothing where nothing has. What could not be written waits. */
  keep(): Promise<void>;
}

/** Several servers on one database add to one count. What a killed server had not kept is missing. */
export function countRotationsOf(app: App): RotationCount {
  const { metrics, store } = app;
  if (store.dialect !== 'sqlite') return { app, keep: async () => undefined };
  let fresh = 0;
  return {
    app: {
      ...app,
      metrics: {
        ...metrics,
        refreshed(outcome) {
          if (outcome === 'rotated') fresh += 1;
          metrics.refreshed(outcome);
        },
      },
    },
    async keep() {
      const count = fresh;
      if (count === 0) return;
      await store.write((tx) => addToSetting(tx, 'rotations', count));
      fresh -= count;
    },
  };
}
