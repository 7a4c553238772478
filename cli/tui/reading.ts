/**
 * What is read, and when: a list when it is opened, its visible rows each second, the story of the session under the cursor,
 * the rates. Whatever comes back late, after the screen has moved on, is dropped.
 */
import type { App } from '../../src/app.ts';
import { after } from '../../src/domain/time.ts';
import { type Activity, watchActivity } from '../../src/operations/activity.ts';
import { showFamily } from '../../src/operations/families.ts';
import { withNames } from '../family-text.ts';
import { loadEvents } from './events.ts';
import { loadHealth } from './health.ts';
import { firstShown, type Listing, type SessionRef } from './listing.ts';
import { makeRateCounter } from './rates.ts';
import { loadClients, loadKeys, loadUsers } from './screens.ts';
import { loadSessions } from './sessions.ts';
import {
  type Cell,
  CLIENTS,
  EVENTS,
  HEALTH,
  isBeside,
  KEYS,
  listRows,
  SESSIONS,
  type Size,
  type State,
  USERS,
  visibleIds,
} from './state.ts';
import { isLost, whyLost, wordsOf } from './trouble.ts';

/** How long until a lost database is asked again, ms: 1 s, doubled each time. */
const RETRY = { first: 1_000, most: 15_000 } as const;

/** Of every screen but Health, which is there to mend it. */
const BEHIND = 'the schema is behind: 6 shows what is pending, M there runs it';

export interface ReadingOptions {
  readonly app: App;
  readonly cell: Cell;
  readonly size: () => Size;
  readonly log: () => readonly string[];
  /** Whether there are tables to ask; until then only Health shows anything. */
  readonly isSchemaBehind: () => boolean;
}

export interface Reading {
  /** What is due now; never fails. */
  readonly turn: () => Promise<void>;
  /** The list from its beginning. */
  readonly again: () => Promise<void>;
  /** What follows the list. */
  readonly more: () => Promise<void>;
  /** The story of what is under the cursor, or open. */
  readonly story: () => Promise<void>;
  /** Runs something, and says on screen what went wrong. */
  readonly attempt: (work: () => Promise<void>) => Promise<void>;
}

/** Each part of it ends in the state; nothing is thrown, and a database that does not answer is asked less and less. */
export function makeReading(options: ReadingOptions): Reading {
  const { app, cell, size, log, isSchemaBehind } = options;
  const { get, set } = cell;
  const rates = makeRateReading(options);
  let asked = 0;

  async function attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (isLost(error)) set(lose(get(), app, whyLost(error)));
      else set({ message: wordsOf(error) });
    }
  }

  /** Whether a list that is being read is still wanted. Its rows may have been read again meanwhile: that changes nothing. */
  function wanting(): () => boolean {
    const [before, turn] = [get(), asked];
    return () => {
      const { screen, filter, events } = get();
      return turn === asked && screen === before.screen && filter === before.filter && events === before.events;
    };
  }

  async function open(): Promise<void> {
    asked += 1;
    if (isSchemaBehind() && get().screen !== HEALTH) return set({ message: BEHIND });
    const isWanted = wanting();
    const loaded = await load(app, get(), log);
    if (isWanted()) show(options, loaded, 0);
  }

  async function refresh(listing: Listing): Promise<void> {
    const fresh = await listing.refresh(visibleIds(get(), size()));
    if (get().listing === listing) show(options, fresh.listing, fresh.arrived);
  }

  /** @returns the session whose story is to be seen, and what changes when it does */
  function seen(state: State): Pick<SessionRef, 'sid' | 'version'> | undefined {
    const ref = state.listing?.session(state.cursorId ?? '');
    if (state.opened !== undefined) return { sid: state.opened.sid, version: ref?.version ?? '' };
    return isBeside(state, size()) ? ref : undefined;
  }

  async function story(): Promise<void> {
    const before = get();
    const wanted = seen(before);
    if (wanted === undefined) return;
    const { sid, version } = wanted;
    const isKnown = before.story?.row.sid === sid && before.story.version === version;
    // An event does not change with the session that is opened from it: there the story is read each time.
    if (isKnown && before.screen === SESSIONS) return;
    const found = await showFamily(app, sid);
    const [row] = await withNames(app, [found.family]);
    if (row !== undefined && seen(get())?.sid === sid) set({ story: { version, row, story: found } });
  }

  return {
    attempt,
    story: () => attempt(story),
    again: () => attempt(open),
    more: () =>
      attempt(async () => {
        const isWanted = wanting();
        const longer = await get().listing?.more?.();
        if (longer !== undefined && isWanted()) show(options, longer, get().arrived);
      }),
    turn: async () => {
      const { lost } = get();
      // Drawn again all the same: it counts the seconds.
      if (lost !== undefined && app.clock.now() < lost.retryAt) return set({});
      await attempt(async () => {
        const { listing, isFrozen } = get();
        if (listing === undefined) await open();
        else if (!isFrozen) await refresh(listing);
        await story();
        await rates();
        set({ lost: undefined, readAt: app.clock.now() });
      });
    },
  };
}

/** What goes on since the last call, counted. */
function makeRateReading({ app, cell, isSchemaBehind }: ReadingOptions): () => Promise<void> {
  const counter = makeRateCounter();
  let watch: (() => Promise<Activity>) | undefined;
  let isReading = false;
  return async () => {
    // Two turns at once would count the same events twice.
    if (isSchemaBehind() || isReading) return;
    isReading = true;
    try {
      watch ??= await watchActivity(app);
      counter.add(await watch(), app.clock.now());
    } finally {
      isReading = false;
    }
    cell.set({ rates: counter.rates(app.clock.now()) });
  };
}

type Load = (app: App, state: State) => Promise<Listing>;

const LOADS: Readonly<Record<number, Load>> = {
  [SESSIONS]: (app, { filter }) => loadSessions(app, filter),
  [KEYS]: loadKeys,
  [EVENTS]: (app, { events }) => loadEvents(app, events),
  [CLIENTS]: loadClients,
  [USERS]: loadUsers,
};

const load = (app: App, state: State, log: () => readonly string[]): Promise<Listing> =>
  LOADS[state.screen]?.(app, state) ?? loadHealth(app, log);

/** The cursor stays on its row while that is there, and in sight. */
function show({ cell, size }: ReadingOptions, listing: Listing, arrived: number): void {
  const { cursorId, marked, start } = cell.get();
  const at = listing.ids.indexOf(cursorId ?? '');
  const ids = new Set(listing.ids);
  cell.set({
    listing,
    arrived,
    marked: new Set([...marked].filter((id) => ids.has(id))),
    cursorId: at === -1 ? listing.ids[0] : cursorId,
    start: at === -1 ? 0 : firstShown(at, start, listRows(size())),
  });
}

function lose({ lost }: State, app: App, why: string): Partial<State> {
  const now = app.clock.now();
  const tries = (lost?.tries ?? 0) + 1;
  const wait = Math.min(RETRY.most, RETRY.first * 2 ** (tries - 1));
  return { lost: { since: lost?.since ?? now, tries, retryAt: after(now, wait), why } };
}
