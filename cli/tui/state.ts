/** What the screen knows: plain data, changed in one place (`model.ts`) and drawn in another (`view.ts`). */
import type { EpochMs } from '../../src/domain/time.ts';
import type { FamilyStory } from '../../src/operations/families.ts';
import type { FamilyRow } from '../family-text.ts';
import type { Question } from './confirm.ts';
import type { EventView } from './events.ts';
import type { Listing } from './listing.ts';
import type { Rates } from './rates.ts';

/** Their names, in the order of the keys 1 to 6; the numbers below are places in here. */
export const SCREENS = ['Sessions', 'Keys', 'Events', 'Clients', 'Users', 'Health'] as const;
export const SESSIONS = 0;
export const KEYS = 1;
export const EVENTS = 2;
export const CLIENTS = 3;
export const USERS = 4;
export const HEALTH = 5;
/** Where keys mean what they mean on no list: a session that is open. */
export const STORY = 6;

/** A question and what follows a yes. `run` may throw: then the screen says why. */
export interface Asked {
  readonly kind: 'question';
  readonly question: Question;
  /** @returns what to say when it is done */
  readonly run: (reason: string) => Promise<string>;
}

/** What lies over the list and takes the keys. */
export type Over =
  | Asked
  | { readonly kind: 'reason'; readonly text: string; readonly asked: Asked }
  | { readonly kind: 'filter' }
  | { readonly kind: 'help'; readonly top: number }
  | { readonly kind: 'palette'; readonly text: string; readonly at: number };

export interface Story {
  readonly version: string;
  readonly row: FamilyRow;
  readonly story: FamilyStory;
}

/** A session that fills the screen. */
export interface Opened {
  readonly sid: string;
  /** The first line shown. */
  readonly top: number;
  readonly isWhole: boolean;
}

/** The story of the session that is open; undefined while that is being read, and another may still be there. */
export const openStory = ({ story, opened }: Pick<State, 'story' | 'opened'>): Story | undefined =>
  story !== undefined && story.row.sid === opened?.sid ? story : undefined;

/** A database that does not answer. */
export interface Lost {
  readonly since: EpochMs;
  readonly tries: number;
  readonly retryAt: EpochMs;
  readonly why: string;
}

/** Replaced, never changed. */
export interface State {
  readonly screen: number;
  readonly listing: Listing | undefined;
  /** The row, by its id: whatever comes and goes, it stays on this one. */
  readonly cursorId: string | undefined;
  /** The first row shown. */
  readonly start: number;
  readonly marked: ReadonlySet<string>;
  readonly filter: string;
  readonly events: EventView;
  readonly isFrozen: boolean;
  readonly arrived: number;
  /** Of the session under the cursor, or of the one that is open. */
  readonly story: Story | undefined;
  readonly opened: Opened | undefined;
  readonly over: Over | undefined;
  readonly message: string;
  readonly lost: Lost | undefined;
  /** When the database last answered. */
  readonly readAt: EpochMs;
  readonly rates: Rates | undefined;
}

/** What a screen begins with. */
export const FRESH = {
  listing: undefined,
  cursorId: undefined,
  start: 0,
  marked: new Set<string>(),
  arrived: 0,
  story: undefined,
  opened: undefined,
  over: undefined,
  message: '',
} as const;

/** Nothing is read yet. @param screen a place in `SCREENS` */
export const startState = (screen: number, now: EpochMs): State => ({
  ...FRESH,
  screen,
  filter: '',
  events: 'all',
  isFrozen: false,
  lost: undefined,
  readAt: now,
  rates: undefined,
});

/** Holds the state for those who change it. */
export interface Cell {
  readonly get: () => State;
  readonly set: (change: Partial<State>) => void;
}

/** What the terminal has room for. */
export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** The smallest that anything can be read in. */
export const SMALLEST: Size = { columns: 60, rows: 16 };
/** Then the screen says so, and shows nothing else. */
export const isTooSmall = ({ columns, rows }: Size): boolean => columns < SMALLEST.columns || rows < SMALLEST.rows;
/** From here on a list keeps the story of the session beside it. */
const BESIDE = 110;

/** Rows above the body, and below it. */
const HEAD = 3;
const FOOT = 2;

/** Rows of the body; Ink clears the whole screen for a picture that fills it, so the last row stays empty. */
export const bodyRows = ({ rows }: Size): number => Math.max(2, rows - 1 - HEAD - FOOT);

/** Rows of a list without its header. */
export const listRows = (size: Size): number => bodyRows(size) - 1;

/** Whether the story of the session under the cursor is drawn, and so has to be read. */
export const isBeside = ({ screen, opened }: State, { columns }: Size): boolean =>
  columns >= BESIDE && opened === undefined && screen === SESSIONS;

/** The ids on screen. */
export const visibleIds = ({ listing, start }: State, size: Size): readonly string[] =>
  listing?.ids.slice(start, start + listRows(size)) ?? [];
