/**
 * Those who wait for the revocation feed, and the one look at it that serves them all. It looks while somebody waits: at once
 * after a commit of this process, and often enough for those of others. What is new is handed out from memory, so that a
 * thousand readers cost the database no more than one. It stands apart because nobody is told that nothing has come unless a
 * look at the database has just found nothing: silence is never a guess.
 */
import type { EpochMs } from '../domain/time.ts';
import type { PostgresStore } from './postgres.ts';
import { type FeedPage, type FeedPosition, type NumberedEntry, readFeed } from './revocations.ts';
import type { SqliteStore } from './sqlite.ts';
import type { Reader } from './store.ts';

const limits = {
  /** Between two looks, ms. On SQLite a look is a pragma, on Postgres a query of one row. */
  pause: { sqlite: 50, postgres: 200 },
  /** New entries of one look; who missed more reads the database. */
  page: 1_000,
  /** Entries kept for those who are a little behind. */
  remembered: 5_000,
} as const;

/** `missed`: the feed has gone further than is remembered, or begun anew; the database knows. `over`: do not wait on. */
export type FeedNews = FeedPage | 'missed' | 'over';

export interface FeedWaiting {
  /** How far the reader is. */
  readonly place: FeedPosition;
  /** ms; when nothing has come by then, the news is a page without entries. */
  readonly patience: number;
  /** The reader has gone away. */
  readonly isGone: () => boolean;
}

export interface FeedWatch {
  /** What comes after a place, as soon as anything does. @throws Refusal temporarily_unavailable when a look fails */
  next(waiting: FeedWaiting): Promise<FeedNews>;
  /** How many wait now. */
  waiting(): number;
  /** This process has committed an entry. */
  grew(): void;
  /** From now on nobody waits: a server is about to stop. */
  end(): void;
}

interface Waiter {
  readonly place: FeedPosition;
  readonly deadline: number;
  readonly isGone: () => boolean;
  readonly resolve: (news: FeedNews) => void;
  readonly reject: (error: unknown) => void;
}

/** What the looks have found. */
interface Known {
  readonly place: FeedPosition;
  /** The entries after this number are remembered. */
  readonly since: number;
  readonly entries: readonly NumberedEntry[];
}

interface Look {
  /** @throws Refusal temporarily_unavailable */
  again(): Promise<Known>;
  last(): Known | undefined;
}

function makeLook(store: SqliteStore | PostgresStore, now: () => EpochMs): Look {
  let known: Known | undefined;
  let version = -1;

  async function catchUp(db: Reader): Promise<Known> {
    if (known !== undefined) {
      const { place, entries, isLast } = await readFeed(db, known.place.number, now(), limits.page);
      const goesOn = place.epoch === known.place.epoch && place.number >= known.place.number;
      if (goesOn && isLast) return remember(known, place, entries);
    }
    const { place } = await readFeed(db, Number.MAX_SAFE_INTEGER, now(), 1);
    return { place, since: place.number, entries: [] };
  }

  return {
    last: () => known,
    again: () =>
      store.read(async (db) => {
        const latest = store.dialect === 'sqlite' ? store.dataVersion() : undefined;
        if (known === undefined || latest === undefined || latest !== version) {
          known = await catchUp(db);
          version = latest ?? version;
        }
        return known;
      }),
  };
}

function remember(known: Known, place: FeedPosition, fresh: readonly NumberedEntry[]): Known {
  if (fresh.length === 0) return { ...known, place };
  const entries = [...known.entries, ...fresh];
  const forgotten = entries.length - limits.remembered;
  const since = forgotten > 0 ? (entries[forgotten - 1]?.number ?? known.since) : known.since;
  return { place, since, entries: entries.slice(Math.max(0, forgotten)) };
}

/** @returns undefined when there is nothing to tell yet */
function newsFor({ place, deadline }: Waiter, known: Known, isFresh: boolean): FeedNews | undefined {
  const isSame = known.place.epoch === place.epoch;
  if (isSame && place.number < known.place.number) {
    if (place.number < known.since) return 'missed';
    const first = known.entries.findLastIndex(({ number }) => number <= place.number) + 1;
    return { place: known.place, entries: known.entries.slice(first), isLast: true };
  }
  if (!isFresh) return undefined;
  if (!isSame) return 'missed';
  if (performance.now() < deadline) return undefined;
  // Ahead of what there is: the database has gone back, or this look began before the reader's own.
  return place.number > known.place.number ? 'missed' : { place, entries: [], isLast: true };
}

/** @param now what is past its time is not given out */
export function feedWatch(store: SqliteStore | PostgresStore, now: () => EpochMs): FeedWatch {
  const waiters = new Set<Waiter>();
  const look = makeLook(store, now);
  let isLooking = false;
  let isEnded = false;
  let hasGrown = false;
  let wake: (() => void) | undefined;

  function tell(known: Known): void {
    for (const waiter of waiters) {
      const news = waiter.isGone() ? 'over' : newsFor(waiter, known, true);
      if (news === undefined) continue;
      waiters.delete(waiter);
      waiter.resolve(news);
    }
  }

  function fail(error: unknown): void {
    for (const { reject } of waiters) reject(error);
    waiters.clear();
  }

  async function lookWhileWaitedFor(): Promise<void> {
    isLooking = true;
    while (waiters.size > 0) {
      hasGrown = false;
      await look.again().then(tell, fail);
      if (waiters.size > 0 && !hasGrown) await pause();
    }
    isLooking = false;
  }

  function pause(): Promise<void> {
    const at = performance.now();
    let ms: number = limits.pause[store.dialect];
    for (const { deadline } of waiters) ms = Math.min(ms, deadline - at);
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.max(0, ms));
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  return {
    next: ({ place, patience, isGone }) =>
      new Promise((resolve, reject) => {
        const waiter = { place, deadline: performance.now() + patience, isGone, resolve, reject };
        const known = look.last();
        const news = isEnded ? 'over' : known && newsFor(waiter, known, false);
        if (news !== undefined) return resolve(news);
        waiters.add(waiter);
        if (!isLooking) void lookWhileWaitedFor();
      }),
    waiting: () => waiters.size,
    grew() {
      hasGrown = true;
      wake?.();
    },
    end() {
      isEnded = true;
      for (const { resolve } of waiters) resolve('over');
      waiters.clear();
      wake?.();
    },
  };
}
