/**
 * The layout of a table in a terminal of a certain width: columns stand by worth and drop from the right, no line wraps,
 * cuts end in `..`, and a narrow terminal gets one block a record. It stands alone because it only computes.
 */
import stringWidth from 'string-width';
import { printable } from '../src/domain/printable.ts';
import { type Line, type Piece, paint, type Tone } from './paint.ts';

/** As a pipe gets it; null is empty. */
export type Cell = string | number | boolean | null;

/** A column; the first is never dropped, so it should tell the records apart. */
export interface Column<Row> {
  readonly title: string;
  /** The whole value, as a pipe gets it. */
  readonly value: (row: Row) => Cell;
  /** The same for people: a short id, a relative time. */
  readonly text?: (row: Row) => string;
  /** Only for what is an exception. */
  readonly tone?: (row: Row) => Tone | undefined;
  /** Numbers, which are compared by their last digit. */
  readonly right?: boolean;
}

/** What there was room for, and what not. */
export interface Layout {
  readonly lines: readonly Line[];
  /** Titles of the columns that had no room. */
  readonly dropped: readonly string[];
}

const limits = {
  /** Below this many columns of a terminal, records are blocks. */
  narrow: 60,
  gap: 2,
  /** A wider column gives its room to others first. */
  generous: 30,
  /** A column that would be cut below this is dropped instead. */
  useful: 8,
} as const;

interface Shown {
  readonly text: string;
  readonly tone: Tone | undefined;
}

/** Null is nothing, not the word. */
export const cellText = (cell: Cell): string => (cell === null ? '' : String(cell));

/** @param narrow the width below which records are blocks; 0: never, for what is a list whatever its room */
export function layoutTable<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  width: number,
  narrow: number = limits.narrow,
): Layout {
  const cells = rows.map((row) => columns.map((column) => show(row, column)));
  if (width < narrow) return { lines: blocks(cells, columns, width), dropped: [] };

  const natural = columns.map(({ title }, index) =>
    Math.max(title.length, ...cells.map((row) => stringWidth(row[index]?.text ?? ''))),
  );
  const widths = distribute(natural, width);
  const line = (row: readonly Shown[]): Piece[] =>
    widths.flatMap((space, index) => {
      const { text, tone } = row[index] ?? { text: '', tone: undefined };
      const shown = cut(text, space);
      const padding = ' '.repeat(space - stringWidth(shown));
      const painted = paint(tone, shown);
      const isLast = index === widths.length - 1;
      const cell = columns[index]?.right === true ? [padding, painted] : [painted, isLast ? '' : padding];
      return index === 0 ? cell : [' '.repeat(limits.gap), ...cell];
    });
  const header = columns.map(({ title }) => ({ text: title, tone: undefined }));
  return {
    lines: [header, ...cells].map(line),
    dropped: columns.slice(widths.length).map(({ title }) => title),
  };
}

function show<Row>(row: Row, column: Column<Row>): Shown {
  const text = printable(column.text === undefined ? cellText(column.value(row)) : column.text(row));
  return { text, tone: column.tone?.(row) };
}

/** Widths of the columns that fit, from the left. */
function distribute(natural: readonly number[], width: number): number[] {
  const widths: number[] = [];
  let room = width;
  for (const wanted of natural) {
    const gap = widths.length === 0 ? 0 : limits.gap;
    const modest = Math.min(wanted, limits.generous);
    const given = Math.min(modest, room - gap);
    if (widths.length > 0 && given < modest && given < limits.useful) break;
    widths.push(given);
    room -= gap + given;
    if (given < modest) break;
  }
  // What is left goes to those that held back.
  return widths.map((given, index) => {
    const more = Math.min(room, (natural[index] ?? 0) - given);
    room -= more;
    return given + more;
  });
}

function blocks<Row>(cells: readonly (readonly Shown[])[], columns: readonly Column<Row>[], width: number): Piece[][] {
  const titles = Math.max(0, ...columns.map(({ title }) => title.length));
  return cells.flatMap((row, index) => {
    const lines = row.map(({ text, tone }, column): Piece[] => {
      const title = `${(columns[column]?.title ?? '').padEnd(titles)}  `;
      const shown = cut(text, Math.max(limits.useful, width - title.length));
      return [title, paint(tone, shown)];
    });
    return index === 0 ? lines : [[''], ...lines];
  });
}

const graphemes = new Intl.Segmenter();

/** The text, or as much of it as fits before `..`. */
export function cut(text: string, width: number): string {
  // Of a very long text, what cannot be shown need not be measured.
  const looked = text.slice(0, width * 16);
  if (looked.length === text.length && stringWidth(text) <= width) return text;
  let kept = '';
  let room = width - 2;
  for (const { segment } of graphemes.segment(looked)) {
    room -= stringWidth(segment);
    if (room < 0) break;
    kept += segment;
  }
  return `${kept}..`;
}
