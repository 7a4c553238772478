/** A list of any kind, as the interface moves in it: ids, and the rows around the cursor laid out like the command line's. */
import type { EpochMs } from '../../src/domain/time.ts';
import type { Line, Piece } from '../paint.ts';
import { type Column, layoutTable } from '../table.ts';

export interface Listing {
  readonly ids: readonly string[];
  /** What a row is about, where it is a session: so that it can be opened and ended. */
  readonly session: (id: string) => SessionRef | undefined;
  readonly isAlarm: (id: string) => boolean;
  /** A header, then the rows from `start` on. */
  readonly lines: (view: View) => readonly Line[];
  readonly nextCursor: string | null;
  readonly note: string;
}

export interface SessionRef {
  readonly sid: string;
  readonly subject: string;
  readonly words: string;
}

export interface View {
  readonly start: number;
  readonly count: number;
  readonly width: number;
  readonly now: EpochMs;
}

export interface ListingOf<Row> {
  readonly rows: readonly Row[];
  readonly id: (row: Row) => string;
  readonly columns: (now: EpochMs) => readonly Column<Row>[];
  readonly isAlarm?: (row: Row) => boolean;
  readonly session?: (row: Row) => SessionRef | undefined;
  readonly nextCursor?: string | null;
  readonly note?: string;
}

export function makeListing<Row>(given: ListingOf<Row>): Listing {
  const { rows, id, columns, isAlarm = () => false, session = () => undefined, nextCursor = null, note = '' } = given;
  const byId = new Map(rows.map((row) => [id(row), row]));
  const ask = <T>(key: string, question: (row: Row) => T, none: T): T => {
    const row = byId.get(key);
    return row === undefined ? none : question(row);
  };
  return {
    ids: rows.map(id),
    nextCursor,
    note,
    isAlarm: (key) => ask(key, isAlarm, false),
    session: (key) => ask<SessionRef | undefined>(key, session, undefined),
    lines: ({ start, count, width, now }) => layoutTable(rows.slice(start, start + count), columns(now), width).lines,
  };
}

export interface Cursor {
  readonly id: string | undefined;
  readonly marked: ReadonlySet<string>;
}

/** The first row to show, so that the cursor is among them. */
export const firstShown = (at: number, before: number, count: number): number =>
  Math.max(0, Math.min(at, Math.max(before, at - count + 1)));

/** The rows with their marks: `>` the cursor, `*` marked, `!` to look at. */
export function listLines(listing: Listing, view: View, cursor: Cursor): readonly Line[] {
  const [header = '', ...rows] = listing.lines({ ...view, width: view.width - 3 });
  const piecesOf = (line: Line): readonly Piece[] => (typeof line === 'string' ? [line] : line);
  return [
    ['   ', ...piecesOf(header)],
    ...rows.map((line, index): Line => {
      const id = listing.ids[view.start + index] ?? '';
      const mark = cursor.marked.has(id) ? '*' : listing.isAlarm(id) ? '!' : ' ';
      return [`${id === cursor.id ? '>' : ' '}${mark} `, ...piecesOf(line)];
    }),
  ];
}
