/** What goes on while somebody watches: logins, reuse and rotations as they come, and the figures of the whole. */
import type { App } from '../app.ts';
import type { SecurityEventType } from '../domain/security-event.ts';
import { after, type EpochMs, epochMs, HOUR, parseRfc3339 } from '../domain/time.ts';
import { backlogOf, nextRetry } from '../store/delivery-pages.ts';
import { listEventTimes } from '../store/events.ts';
import { countFamilies } from '../store/family-search.ts';
import { countRotations, walBytes } from '../store/health.ts';
import { schemaStatus } from '../store/migrate.ts';
import { listReceivers } from '../store/receivers.ts';
import { endOfEvents, followEvents } from './events.ts';
import { receiversOf } from './receivers.ts';

export interface Activity {
  readonly events: readonly { readonly type: SecurityEventType; readonly at: EpochMs }[];
  /** A counter, of which only differences mean something; null where the database has none. */
  readonly rotations: number | null;
}

/** Events of the hour before that are counted: what is older on a busy day is not. */
const BEFORE = 10_000;

/** At its first call the events of the last hour, then each time what has come since. */
export async function watchActivity(app: App): Promise<() => Promise<Activity>> {
  const upTo = await endOfEvents(app);
  const since = after(app.clock.now(), -HOUR);
  const hour = (await app.store.read((db) => listEventTimes(db, since, BEFORE))).filter(({ number }) => number <= upTo);
  const follow = followEvents(app, undefined, upTo);
  let waiting: Activity['events'] = hour.map(({ type, timestamp }) => ({ type, at: timestamp }));
  return async () => {
    const fresh = await follow();
    const rotations = await app.store.read(countRotations);
    const events = [
      ...waiting,
      ...fresh.map(({ type, timestamp }) => ({ type, at: parseRfc3339(timestamp) ?? app.clock.now() })),
    ];
    waiting = [];
    return { events, rotations };
  };
}

export interface Figures {
  readonly schema: { readonly current: number; readonly latest: number; readonly pending: number };
  /** Exact; undefined before there is a table. */
  readonly sessions: number | undefined;
  /** Bytes of SQLite's log; null on Postgres. */
  readonly wal: number | null;
}

/** Counts every session, which reads an index from end to end. @throws Refusal temporarily_unavailable */
export async function readFigures({ store }: App): Promise<Figures> {
  const { current, latest, pending } = await schemaStatus(store);
  return {
    schema: { current, latest, pending: pending.length },
    sessions: current === 0 ? undefined : await store.read(countFamilies),
    wal: store.dialect === 'sqlite' ? walBytes(store) : null,
  };
}

/** Of the receivers that are configured here, but for `dead`, which counts those of all. */
export interface ReceiverReport {
  readonly ok: number;
  readonly disabled: number;
  /** Receivers whose next delivery has failed before, and when it is due. */
  readonly retrying: number;
  readonly nextAttemptAt: EpochMs | null;
  /** Dead letters, at most 1,000 of them. */
  readonly dead: number;
}

const DEAD_COUNTED = 1_000;

/** `ok` is what is neither disabled nor retrying: a receiver that no worker has known yet, too. */
export async function reportOnReceivers(app: App): Promise<ReceiverReport> {
  const keys = receiversOf(app.config).map(({ key }) => key);
  return app.store.read(async (db) => {
    const { dead } = await backlogOf(db, [], app.clock.now(), DEAD_COUNTED);
    const known = await listReceivers(db);
    const off = new Set(known.filter(({ disabled }) => disabled !== null).map(({ key }) => key));
    const retries: EpochMs[] = [];
    for (const key of keys) {
      const at = off.has(key) ? undefined : await nextRetry(db, key);
      if (at !== undefined) retries.push(at);
    }
    const disabled = keys.filter((key) => off.has(key)).length;
    return {
      ok: keys.length - disabled - retries.length,
      disabled,
      retrying: retries.length,
      nextAttemptAt: retries.length === 0 ? null : epochMs(Math.min(...retries)),
      dead,
    };
  });
}
