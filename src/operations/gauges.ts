/**
 * What the metrics show of the state of things, looked up when somebody asks (contract §4). It stands apart from what is
 * counted as it happens, because most of this is the same whichever server of a database is asked.
 */
import type { App } from '../app.ts';
import type { GaugeValue } from '../metrics.ts';
import { countDeliveries } from '../store/delivery-pages.ts';
import { countKeys } from '../store/signing-keys.ts';
import { reportOnWorker } from './worker-watch.ts';

/** Deliveries of one state are counted up to here, so that looking costs the same on the worst of days. */
const COUNTED = 10_000;

const one = (value: number): readonly GaugeValue[] => [{ labels: {}, value }];

/** Once for an app. Each is looked up when the metrics are asked for; what fails then is left out. */
export function showGauges(app: App): void {
  const { metrics, passwords, store, feed } = app;
  metrics.gauge({
    name: 'password_hash_queue',
    help: 'Passwords that wait to be hashed.',
    labels: [],
    read: async () => one(passwords.queued()),
  });
  metrics.gauge({
    name: 'feed_streams',
    help: 'Readers of the revocation feed that wait for news from this process: streams, and requests with wait.',
    labels: [],
    read: async () => one(feed.waiting()),
  });
  metrics.gauge({
    name: 'keys',
    help: 'Signing keys, by ring and state.',
    labels: ['ring', 'state'],
    read: async () => {
      const counts = await store.read(countKeys);
      return counts.map(({ ring, state, count }) => ({ labels: { ring, state }, value: count }));
    },
  });
  metrics.gauge({
    name: 'deliveries',
    help: `Events that have not been delivered, counted up to ${COUNTED} of each state.`,
    labels: ['state'],
    read: async () => {
      const counts = await store.read((db) => countDeliveries(db, COUNTED));
      return Object.entries(counts).map(([state, value]) => ({ labels: { state }, value }));
    },
  });
  metrics.gauge({
    name: 'oldest_delivery_seconds',
    help: 'How long the oldest event waits that could be on its way; 0 when none does.',
    labels: [],
    read: async () => {
      const { waitingSince } = await reportOnWorker(app);
      return one(waitingSince === null ? 0 : Math.max(0, app.clock.now() - waitingSince) / 1_000);
    },
  });
}
