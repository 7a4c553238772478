/**
 * The revocation feed of one process: those who read it, those who wait for it, and the one look at the database that serves
 * all who wait. It looks while somebody waits: at once after a commit of this process, and often enough for those of others.
 * What is new is handed out from memory, so that a thousand readers cost the database no more than one. Nobody is told that
 * nothing has come unless a look has just found nothing: silence is never a guess.
 */
import type { EpochMs } from '../domain/time.ts';
import { makeBatch } from './batch.ts';
import type { PostgresStore } from './postgres.ts';
import { type FeedPage, type FeedPosition, readFeed } from './revocations.ts';
import type { SqliteStore } from './sqlite.ts';
import type { Reader, Store } from './store.ts';

const limits = {
  /** Between two looks, ms. On SQLite a look is a pragma, on Postgres a query of one row. */
  pause: { sqlite: 50, postgres: 200 },
  /** Also when somebody's patience ends earlier: that of thousands ends all the time. */
  shortestPause: 50,
  /** Entries read at once: of a million, no more are in memory for one reader. */
  page: 1_000,
  /** Entries kept for those who are a little behind; who missed more reads the database. */
  remembered: 5_000,
  /** Readings under way at once, and pages in one of them: the other requests need the database too. */
  readings: { atOnce: 2, size: 8 },
  /**
   * Readers told in one turn of the event loop. Measured, with 20,000 ends by the command line and 200 streams: the slowest
   * `/verify` meanwhile took 52 to 59 ms, 89 to 155 when all were told at once, and 11 without a reader.
   */
  turn: 50,
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

export interface Feed {
  /** What is live after a number, as of now; who asks for the same at once shares it. @throws Refusal temporarily_unavailable */
  read(after: number): Promise<FeedPage>;
  /** What comes after a place, as soon as anything does. @throws Refusal temporarily_unavailable when a look fails */
  next(waiting: FeedWaiting): Promise<FeedNews>;
  /** How many wait now. */
  waiting(): number;
  /** This process has committed an entry. */
  grew(): void;
  /** From now on nobody waits: the server stops. */
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
interface Known extends FeedPage {
  /** The entries after this number are remembered. */
  readonly since: number;
}

interface Look {
  /** @throws Refusal temporarily_unavailable */
  again(): Promise<Known>;
  /** Undefined while nobody looks. */
  known(): Known | undefined;
  forget(): void;
}

function makeLook(store: SqliteStore | PostgresStore, now: () => EpochMs): Look {
  let known: Known | undefined;
  let version = -1;

  async function goOn(db: Reader): Promise<Known> {
    if (known !== undefined) {
      const page = await readFeed(db, known.place.number, now(), limits.page);
      if (page.place.epoch === known.place.epoch && page.place.number >= known.place.number) return added(known, page);
    }
    const end = await readFeed(db, Number.MAX_SAFE_INTEGER, now(), 1);
    return { ...end, since: end.place.number };
  }

  return {
    known: () => known,
    forget() {
      known = undefined;
    },
    again: () =>
      store.read(async (db) => {
        const latest = store.dialect === 'sqlite' ? store.dataVersion() : undefined;
        if (known === undefined || !known.isLast || latest === undefined || latest !== version) {
          known = await goOn(db);
          version = latest ?? version;
        }
        return known;
      }),
  };
}

function added(known: Known, { place, entries: fresh, isLast }: FeedPage): Known {
  if (fresh.length === 0) return { ...known, place, isLast };
  const entries = [...known.entries, ...fresh];
  const excess = Math.max(0, entries.length - limits.remembered);
  return { place, isLast, entries: entries.slice(excess), since: entries[excess - 1]?.number ?? known.since };
}

/** @returns what is known behind a place, or undefined when there is nothing; those at one place get the same page */
function makeFinder(known: Known): (place: FeedPosition) => FeedPage | 'missed' | undefined {
  const pages = new Map<number, FeedPage>();
  return ({ epoch, number }) => {
    if (epoch !== known.place.epoch || number >= known.place.number) return undefined;
    if (number < known.since) return 'missed';
    const page = pages.get(number) ?? pageBehind(known, number);
    pages.set(number, page);
    return page;
  };
}

function pageBehind(known: Known, number: number): FeedPage {
  const first = known.entries.findLastIndex((entry) => entry.number <= number) + 1;
  const entries = known.entries.slice(first, first + limits.page);
  if (first + entries.length === known.entries.length) return { place: known.place, entries, isLast: known.isLast };
  return { place: { ...known.place, number: entries.at(-1)?.number ?? number }, entries, isLast: false };
}

/** When nothing is known behind its place. @returns undefined to wait on */
function silenceFor({ place, deadline }: Waiter, known: Known): FeedNews | undefined {
  if (place.epoch !== known.place.epoch) return 'missed';
  if (!known.isLast || performance.now() < deadline) return undefined;
  // Ahead of what there is: the database has gone back, or the look began before the reader's own.
  return place.number > known.place.number ? 'missed' : { place, entries: [], isLast: true };
}

/** Who asks for the same at once shares a page. */
function makeReader(store: Store, now: () => EpochMs): Feed['read'] {
  const readPages = (numbers: readonly number[]): Promise<readonly FeedPage[]> =>
    store.read(async (db) => {
      const read = new Map<number, FeedPage>();
      const pages: FeedPage[] = [];
      for (const number of numbers) {
        const page = read.get(number) ?? (await readFeed(db, number, now(), limits.page));
        read.set(number, page);
        pages.push(page);
      }
      return pages;
    });
  return makeBatch(readPages, limits.readings);
}

/** @param now what is past its time is not given out */
export function makeFeed(store: SqliteStore | PostgresStore, now: () => EpochMs): Feed {
  const waiters = new Set<Waiter>();
  const look = makeLook(store, now);
  let isLooking = false;
  let isEnded = false;
  let hasGrown = false;
  let wake: (() => void) | undefined;

  async function tell(known: Known): Promise<void> {
    const find = makeFinder(known);
    let told = 0;
    // Not those who come meanwhile: the look was before them.
    for (const waiter of [...waiters]) {
      if (!waiters.has(waiter)) continue;
      const news = waiter.isGone() ? 'over' : (find(waiter.place) ?? silenceFor(waiter, known));
      if (news === undefined) continue;
      waiters.delete(waiter);
      waiter.resolve(news);
      told += 1;
      if (told % limits.turn === 0) await new Promise((resolve) => setImmediate(resolve));
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
      const isBehind = hasGrown || look.known()?.isLast === false;
      // Even then the others have their turn.
      if (waiters.size > 0) await pause(isBehind ? 0 : untilNextLook());
    }
    look.forget();
    isLooking = false;
  }

  function untilNextLook(): number {
    const at = performance.now();
    let ms: number = limits.pause[store.dialect];
    for (const { deadline } of waiters) ms = Math.min(ms, deadline - at);
    return Math.max(ms, limits.shortestPause);
  }

  /** Ends early when this process commits an entry. */
  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  return {
    read: makeReader(store, now),
    next: ({ place, patience, isGone }) =>
      new Promise((resolve, reject) => {
        if (isEnded) return resolve('over');
        const known = look.known();
        const news = known && makeFinder(known)(place);
        if (news !== undefined) return resolve(news);
        waiters.add({ place, deadline: performance.now() + patience, isGone, resolve, reject });
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
