/**
 * What a key does, without drawing: it goes to what lies on top, else to the list. It stands alone so that quick keys, which
 * come as one string, meet a state that has already changed.
 */
import type { App } from '../../src/app.ts';
import { type Commands, makeCommands } from './commands.ts';
import { CTRL_C, PREVIOUS } from './key-names.ts';
import { contextOf, entryOf, type KeyEntry, whyNot } from './keys.ts';
import { isAtEnd, moved, refitted, stepOf } from './moving.ts';
import { makeOverKeys } from './over-keys.ts';
import { lastTop } from './overlays.ts';
import { makeReading, type Reading } from './reading.ts';
import { bodyRows, type Cell, type Size, type State, startState } from './state.ts';

export interface ModelOptions {
  readonly app: App;
  /** The screen it opens on. */
  readonly screen: number;
  /** The log, the newest line first. */
  readonly log: () => readonly string[];
  readonly isSchemaBehind: () => boolean;
  readonly onMigrated: () => void;
  /** Somebody wants to leave. @param isInterrupt Ctrl-C */
  readonly quit: (isInterrupt: boolean) => void;
}

/** `press` and `paste` never throw: what goes wrong is a message on the screen. */
export interface Model {
  readonly state: () => State;
  /** From now on something is to be drawn whenever this is called. */
  readonly onChange: (listener: () => void) => void;
  readonly press: (key: string) => void;
  readonly paste: (text: string) => void;
  /** Leaves, whatever lies over the list. */
  readonly leave: () => void;
  /** What the terminal has room for now. */
  readonly fit: (size: Size) => void;
  /** Reads what is due. */
  readonly turn: () => Promise<void>;
  /** Until the next turn, ms. */
  readonly wait: () => number;
}

/** Ms: between two turns, after how long without a key they become rare, and how rare. */
const PACE = { turn: 1_000, idleAfter: 300_000, idle: 10_000 } as const;
/** How long a filter or a cursor stands still before anything is read for it, ms. */
const SETTLED = 150;

/** Runs the last of what comes in quick succession. Filter and cursor have one each: neither takes the other's reading away. */
function makeSettle(): (what: () => Promise<void>) => void {
  let settling: NodeJS.Timeout | undefined;
  return (what) => {
    clearTimeout(settling);
    settling = setTimeout(() => void what(), SETTLED);
  };
}

/** It has no beat of its own: whoever draws calls `turn`. */
export function makeModel(options: ModelOptions): Model {
  const { app, quit } = options;
  let changed = (): void => undefined;
  let state = startState(options.screen, app.clock.now());
  let size: Size = { columns: 80, rows: 24 };
  let isBusy = false;
  const monotonic = (): number => app.clock.monotonic();
  let lastKey = monotonic();

  const cell: Cell = {
    get: () => state,
    set: (change) => {
      state = { ...state, ...change };
      changed();
    },
  };
  const reading = makeReading({ ...options, cell, size: () => size });
  const work = (what: () => Promise<void>): void => {
    isBusy = true;
    void reading.attempt(what).finally(() => {
      isBusy = false;
    });
  };
  const commands = makeCommands({ ...options, quit: () => quit(false), cell, reading, work });
  const onList: OnList = { app, cell, reading, commands, settle: makeSettle(), size: () => size };
  const command = (entry: KeyEntry): void => run(onList, entry);
  const over = makeOverKeys({ cell, reading, monotonic, work, settle: makeSettle(), command });

  return {
    state: () => state,
    onChange: (listener) => {
      changed = listener;
    },
    press(key) {
      lastKey = monotonic();
      if (key === CTRL_C) quit(true);
      // What is under way has to end before anybody can mean the next thing.
      else if (isBusy) return;
      else if (state.over !== undefined) over.press(state.over, key);
      else pressOnList(onList, key);
    },
    paste: (text) => over.paste(state.over, text),
    leave: () => quit(false),
    fit(room) {
      if (room.columns === size.columns && room.rows === size.rows) return;
      size = room;
      state = refitted(state, size);
    },
    turn: reading.turn,
    wait: () => (monotonic() - lastKey > PACE.idleAfter ? PACE.idle : PACE.turn),
  };
}

interface OnList {
  readonly app: App;
  readonly cell: Cell;
  readonly reading: Reading;
  readonly commands: Commands;
  readonly settle: (what: () => Promise<void>) => void;
  readonly size: () => Size;
}

/** What cannot be done says why. */
function run({ cell, commands }: OnList, entry: KeyEntry): void {
  const why = whyNot(entry.id, cell.get());
  if (why === undefined) commands.run(entry.id);
  else cell.set({ message: `${entry.shown} (${entry.footer ?? entry.id}): ${why}` });
}

function pressOnList(on: OnList, key: string): void {
  const { cell, commands, size } = on;
  const state = cell.get();
  const step = stepOf(key, size());
  const entry = entryOf(contextOf(state), key);
  if (step !== undefined) move(on, step);
  else if (/^[1-6]$/.test(key)) commands.go(Number(key) - 1);
  else if (key === PREVIOUS) commands.go(state.screen - 1);
  else if (entry !== undefined) run(on, entry);
}

/** Far beyond any list: Home and End. */
const FAR = 1e8;

function move({ app, cell, reading, commands, settle, size }: OnList, by: number): void {
  const state = cell.get();
  const { opened, arrived, listing } = state;
  if (opened !== undefined) {
    const last = lastTop(state, bodyRows(size()), app.clock.now());
    cell.set({ opened: { ...opened, top: Math.max(0, Math.min(last, opened.top + by)) } });
  } else if (by < -FAR && arrived > 0) commands.run('again');
  else if (by > 0 && isAtEnd(state) && listing?.more !== undefined) commands.run('more');
  else {
    cell.set({ ...moved(state, by, size()), message: '' });
    settle(reading.story);
  }
}
