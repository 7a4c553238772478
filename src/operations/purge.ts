/**
 * Removes what has had its time (contract §8, `retention`), in steps of a few milliseconds with room between them, so that
 * no refresh waits for it. What a live family needs stays whatever its age. Safe beside other purges, and at any kill.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { App } from '../app.ts';
import { after, type EpochMs, HOUR } from '../domain/time.ts';
import {
  deleteEvents,
  deleteFailures,
  deleteFamilies,
  deleteFeedEntries,
  deleteGenerations,
  findExpiredFamilies,
  findOldEvents,
  findOldFailures,
  findOldFeedEntries,
  findOldGenerations,
  type TimelinePlace,
} from '../store/expired.ts';
import { findSetting, storeSetting } from '../store/settings.ts';
import { deleteKey, listKeys, lockKeyRings } from '../store/signing-keys.ts';
import type { Reader, Tx } from '../store/store.ts';

const limits = {
  /** Rows of a table that are looked at in one read. */
  page: 1_000,
  /** Rows that go in one transaction: measured, 3 ms of the write lock on SQLite. */
  batch: 200,
  /** Between two transactions, ms: whoever waits for the write lock tries every 5. */
  pause: 10,
  /** How often the worker purges. */
  every: HOUR,
} as const;

/** Rows that are gone, named as `--json` has them (contract §12). */
export interface Purged {
  readonly refresh_tokens: number;
  readonly families: number;
  readonly events: number;
  readonly keys: number;
}

/** One purge: the writing side of it, and when to end early. */
interface Work {
  readonly app: App;
  readonly signal: AbortSignal | undefined;
  write<T>(change: (tx: Tx) => Promise<T>): Promise<T>;
}

/** @param signal ends it after the step under way */
export async function purge(app: App, signal?: AbortSignal): Promise<Purged> {
  const work: Work = {
    app,
    signal,
    async write(change) {
      const result = await app.store.write(change);
      await delay(limits.pause);
      return result;
    },
  };
  const families = await purgeFamilies(work);
  // After the families: with what is left of those that have gone.
  const timeline = await purgeTimeline(work);
  const events = await purgeEvents(work);
  await purgeFeed(work);
  await purgeFailures(work);
  return {
    refresh_tokens: timeline,
    families,
    events,
    keys: await purgeKeys(work),
  };
}

/** For the worker: once an hour, by whichever worker looks first. @returns undefined when it is not time */
export async function purgeOnSchedule(app: App, signal: AbortSignal): Promise<Purged | undefined> {
  // A last time in the future was told by a clock that has stepped back since.
  const isDue = (last: string | undefined, now: number): boolean =>
    Number(last ?? 0) + limits.every <= now || Number(last) > now;
  const last = await app.store.read((db) => findSetting(db, 'purged'));
  if (!isDue(last, app.clock.now())) return undefined;
  const isOurs = await app.store.write(async (tx) => {
    if (!isDue(await findSetting(tx, 'purged'), tx.now)) return false;
    await storeSetting(tx, 'purged', String(tx.now));
    return true;
  });
  return isOurs ? purge(app, signal) : undefined;
}

const chunks = <T>(items: readonly T[], size: number): readonly (readonly T[])[] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, index) => items.slice(index * size, (index + 1) * size));

const isStopped = ({ signal }: Work): boolean => signal?.aborted === true;

async function purgeFamilies(work: Work): Promise<number> {
  const { app } = work;
  const cutoff = after(app.clock.now(), -app.config.retention.families);
  let gone = 0;
  let from: string | undefined = '';
  while (from !== undefined && !isStopped(work)) {
    const start: string = from;
    const { expired, next } = await app.store.read((db) => findExpiredFamilies(db, start, cutoff, limits.page));
    for (const some of chunks(expired, limits.batch)) {
      gone += await work.write((tx) => deleteFamilies(tx, some, cutoff));
    }
    from = next;
  }
  return gone;
}

async function purgeTimeline(work: Work): Promise<number> {
  const { app } = work;
  const cutoff = after(app.clock.now(), -app.config.retention.refreshTokens);
  let gone = 0;
  let from: TimelinePlace | undefined = { familyId: '', generation: -1 };
  while (from !== undefined && !isStopped(work)) {
    const start: TimelinePlace = from;
    const { old, next } = await app.store.read((db) => findOldGenerations(db, start, cutoff, limits.page));
    for (const some of chunks(old, limits.batch)) {
      gone += await work.write(async (tx) => {
        let deleted = 0;
        for (const family of some) deleted += await deleteGenerations(tx, family);
        return deleted;
      });
    }
    from = next;
  }
  return gone;
}

async function purgeEvents(work: Work): Promise<number> {
  const { app } = work;
  const now = app.clock.now();
  const cutoff = after(now, -app.config.retention.events);
  let gone = 0;
  let from: number | undefined = 0;
  while (from !== undefined && !isStopped(work)) {
    const start: number = from;
    const { old, next } = await app.store.read((db) => findOldEvents(db, start, { cutoff, now }, limits.batch));
    if (old.length > 0) gone += await work.write((tx) => deleteEvents(tx, old));
    from = next;
  }
  return gone;
}

async function purgeFeed(work: Work): Promise<void> {
  const now = work.app.clock.now();
  let from: number | undefined = 0;
  while (from !== undefined && !isStopped(work)) {
    const start: number = from;
    const old = await work.app.store.read((db) => findOldFeedEntries(db, start, now, limits.batch));
    if (old.length > 0) await work.write((tx) => deleteFeedEntries(tx, old));
    from = old.length < limits.batch ? undefined : old.at(-1);
  }
}

async function purgeFailures(work: Work): Promise<void> {
  const { app } = work;
  const { window } = app.config.login;
  let from: string | undefined = '';
  while (from !== undefined && !isStopped(work)) {
    const start: string = from;
    const now = app.clock.now();
    const { old, next } = await app.store.read((db) => findOldFailures(db, start, { window, now }, limits.page));
    for (const some of chunks(old, limits.batch)) await work.write((tx) => deleteFailures(tx, some, window));
    from = next;
  }
}

/** Keys that nothing needs any more. Needs no master key: unlike a rotation, nothing is made. */
async function purgeKeys(work: Work): Promise<number> {
  const overAt = async (db: Reader, now: EpochMs) =>
    (await listKeys(db)).filter(
      ({ state, retiresAt }) =>
        (state === 'verify_only' || state === 'compromised') && retiresAt !== null && retiresAt <= now,
    );
  const { store, clock } = work.app;
  if ((await store.read((db) => overAt(db, clock.now()))).length === 0) return 0;
  return work.write(async (tx) => {
    await lockKeyRings(tx);
    const over = await overAt(tx, tx.now);
    for (const key of over) await deleteKey(tx, key.kid);
    return over.length;
  });
}
