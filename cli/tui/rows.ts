/**
 * A row of the screen: pieces of text, cut and padded to their width by us, so that the terminal has nothing to wrap. What
 * was stored by others comes out printable here, and nowhere later.
 */
import stringWidth from 'string-width';
import { printable } from '../../src/domain/printable.ts';
import type { Line, Tone } from '../paint.ts';
import { cut } from '../table.ts';

/** A piece of a row; its text is printable. */
export interface Span {
  readonly text: string;
  readonly tone?: Tone | undefined;
  /** The cursor. */
  readonly isInverse?: boolean;
}

export type Row = readonly Span[];

/** The gate: what others have stored comes out printable. */
export const rowOf = (line: Line): Row => {
  const pieces = typeof line === 'string' ? [line] : line;
  return pieces.map((piece) =>
    typeof piece === 'string' ? { text: printable(piece) } : { ...piece, text: printable(piece.text) },
  );
};

/** Columns that it takes. */
export const widthOf = (row: Row): number => row.reduce((width, { text }) => width + stringWidth(text), 0);

/** As wide as the room: cut with `..`, or filled with spaces. */
export function fitted(row: Row, width: number): Row {
  const excess = widthOf(row) - width;
  if (excess <= 0) return excess === 0 ? row : [...row, { text: ' '.repeat(-excess) }];
  const spans: Span[] = [];
  let room = width;
  for (const span of row) {
    const own = stringWidth(span.text);
    // Something follows, and is lost: it leaves two dots.
    if (own > room - 2) {
      const text = dotted(span.text, own, room);
      // Half of a wide character leaves a blank.
      return [...spans, { ...span, text: text.padEnd(text.length + room - stringWidth(text)) }];
    }
    spans.push(span);
    room -= own;
  }
  return spans;
}

const dotted = (text: string, own: number, room: number): string => {
  if (room < 3) return '.'.repeat(room);
  return own > room ? cut(text, room) : cut(`${text}...`, room);
};

/** Left and right of one row; where both have no room, the right one goes. */
export function apart(left: Row, right: Row, width: number): Row {
  const space = width - widthOf(left) - widthOf(right);
  return fitted(space < 1 ? left : [...left, { text: ' '.repeat(space) }, ...right], width);
}

/** Over, or not possible now. */
export const dimmed = (row: Row): Row => row.map((span) => ({ ...span, tone: span.tone ?? 'dim' }));

/** Under the cursor. */
export const inverse = (row: Row): Row => row.map((span) => ({ ...span, isInverse: true }));

/** The text alone. */
export const plain = (row: Row): string =>
  row
    .map(({ text }) => text)
    .join('')
    .trimEnd();
