/** A list of any kind, as the screen moves in it: ids, and the rows around the cursor laid out like the command line's. */
import type { EpochMs } from '../../src/domain/time.ts';
import type { RevocationRequest } from '../../src/operations/revoke.ts';
import type { Line } from '../paint.ts';
import { type Column, cellText, layoutTable } from '../table.ts';

/** Rows are known by their ids; what is not in the list answers undefined, false or nothing. */
export interface Listing {
  readonly ids: readonly string[];
  readonly isAlarm: (id: string) => boolean;
  /** A header, then the rows from `start` on. */
  readonly lines: (view: View) => readonly Line[];
  /** One row in words, for whoever does not see columns. */
  readonly words: (id: string, now: EpochMs) => string;
  /** What a row is about, where it is a session: so that it can be opened and ended. */
  readonly session: (id: string) => SessionRef | undefined;
  /** Whose sessions a row stands for: so that all of them can be ended, and looked at. */
  readonly owner: (id: string) => Owner | undefined;
  /** Above the list. */
  readonly note: string;
  /** Below it: how far it goes. */
  readonly reach: string;
  /** The same list as it is now: rows that are on screen read again, in their places. */
  readonly refresh: (visible: readonly string[]) => Promise<Refreshed>;
  /** The same list and what follows it; undefined at the end. */
  readonly more: (() => Promise<Listing>) | undefined;
}

export interface Refreshed {
  readonly listing: Listing;
  /** How many have come above the first row. */
  readonly arrived: number;
}

export interface SessionRef {
  readonly sid: string;
  readonly words: string;
  readonly isLive: boolean;
  /** Changes when its story does. */
  readonly version: string;
}

export interface Owner {
  readonly which: RevocationRequest['which'];
  /** `subject alice`, `client spa` */
  readonly words: string;
  readonly filter: string;
}

/** Which rows, and how many columns there are for them. */
export interface View {
  readonly start: number;
  readonly count: number;
  readonly width: number;
  readonly now: EpochMs;
}

/** What a kind of list has of its own. Left out: no row is an alarm, a session or anybody's. */
export interface ListingOf<Row> {
  readonly rows: readonly Row[];
  readonly id: (row: Row) => string;
  readonly columns: (now: EpochMs) => readonly Column<Row>[];
  readonly isAlarm?: (row: Row) => boolean;
  readonly session?: (row: Row) => SessionRef | undefined;
  readonly owner?: (row: Row) => Owner | undefined;
  readonly note?: string;
  readonly reach?: string;
  readonly refresh: Listing['refresh'];
  readonly more?: Listing['more'];
}

/** A value that stands still: `refresh` and `more` give another one. */
export function makeListing<Row>(given: ListingOf<Row>): Listing {
  const { rows, id, columns, isAlarm = () => false, session, owner, note = '', reach = '', refresh, more } = given;
  const byId = new Map(rows.map((row) => [id(row), row]));
  const ask = <T>(key: string, question: ((row: Row) => T) | undefined): T | undefined => {
    const row = byId.get(key);
    return row === undefined ? undefined : question?.(row);
  };
  return {
    ids: rows.map(id),
    note,
    reach,
    refresh,
    more,
    isAlarm: (key) => ask(key, isAlarm) ?? false,
    session: (key) => ask(key, session),
    owner: (key) => ask(key, owner),
    lines: ({ start, count, width, now }) =>
      layoutTable(rows.slice(start, start + count), columns(now), width, 0).lines,
    words: (key, now) => ask(key, (row) => inWords(row, columns(now))) ?? '',
  };
}

function inWords<Row>(row: Row, columns: readonly Column<Row>[]): string {
  return columns
    .map(({ title, value, text }) => [title, text === undefined ? cellText(value(row)) : text(row)] as const)
    .filter(([, text]) => text !== '')
    .map(([title, text]) => `${title.toLowerCase()} ${text}`)
    .join(', ');
}

/** The first row to show, so that the cursor is among them. */
export const firstShown = (at: number, before: number, count: number): number =>
  Math.max(0, Math.min(at, Math.max(before, at - count + 1)));
