/**
 * What a command says: results on stdout, remarks on stderr. People at a terminal get tables and short forms, a pipe gets
 * whole values between tabs, `--json` gets one document; so a command states what it found once, and never how it looks.
 */
import { once } from 'node:events';
import { printable } from '../src/domain/printable.ts';
import { type EpochMs, epochMs, parseRfc3339 } from '../src/domain/time.ts';
import type { GlobalFlags } from './command.ts';
import { type Line, renderLine, takesColour } from './paint.ts';
import { type Column, cellText, layoutTable } from './table.ts';
import { relative } from './when.ts';

/** Records as a command found them. What they look like is `Out`'s business. */
export interface Listing<Row> {
  /** For `--json`, whole. */
  readonly document: unknown;
  readonly rows: readonly Row[];
  readonly columns: readonly Column<Row>[];
  /** When there are no rows: what to do about it. */
  readonly empty: string;
  /** On a terminal, when there are more rows than these: how to see them. */
  readonly more?: string | undefined;
}

/** Where a command says what it found. Everything that leaves here is printable. */
export interface Out {
  /** `--json`: one document on stdout. */
  readonly json: boolean;
  /** Whether people read stdout; else a pipe does. */
  readonly isTerminal: boolean;
  /** Columns that a line on stdout may take: of a pipe, any number. */
  readonly width: number;
  /** When this command began: all its relative times are told from here. */
  readonly now: EpochMs;
  /** One answer: the document, or these lines. */
  result(document: unknown, text: string | readonly Line[]): void;
  /** Records: the document, a table, or lines of tab-separated values. In a pipe it may be called page by page. */
  list<Row>(listing: Listing<Row>): void;
  /** Lines on stdout, now: for what arrives over time. With `--json`, use `record`. */
  print(...lines: readonly Line[]): void;
  /** One document a line, for what arrives over time. */
  record(document: unknown): void;
  /** A remark on stderr for people: a hint, a warning. With `--json` there is none: stderr is the one error, or empty. */
  note(line: Line): void;
  /** A time as the views have it: relative for people, as it is for a pipe. */
  when(time: string | null): string;
}

/** The streams and the terminal, so that tests can stand in for them. */
export interface OutOptions {
  readonly json: boolean;
  readonly isTerminal: boolean;
  readonly isColoured: boolean;
  /** Of stderr. */
  readonly notesColoured: boolean;
  readonly width: number;
  readonly now: EpochMs;
  readonly write: (text: string) => void;
  readonly writeNote: (text: string) => void;
}

/** @param options `width` in columns; colours are taken as given, whatever the environment says */
export function makeOut(options: OutOptions): Out {
  const { json, isTerminal, isColoured, width, now, write, writeNote } = options;
  const print = (...lines: readonly Line[]): void =>
    write(lines.map((line) => `${renderLine(line, isColoured)}\n`).join(''));
  const note = (line: Line): void => {
    if (!json) writeNote(`${renderLine(line, options.notesColoured)}\n`);
  };
  const document = (value: unknown): void => write(jsonText(value, isTerminal ? 2 : 0));

  const table = <Row>({ rows, columns, more }: Listing<Row>): void => {
    const { lines, dropped } = layoutTable(rows, columns, width);
    print(...lines);
    const remarks = [more ?? '', dropped.length === 0 ? '' : `(wider: ${dropped.join(', ')})`].filter(
      (text) => text !== '',
    );
    const oneLine = remarks.join('  ');
    for (const remark of oneLine.length <= width ? [oneLine] : remarks) if (remark !== '') note(remark);
  };

  return {
    json,
    isTerminal,
    width: isTerminal ? width : Number.POSITIVE_INFINITY,
    now,
    print,
    note,
    record: (value) => write(jsonText(value, 0)),
    result(value, text) {
      if (json) document(value);
      else print(...(typeof text === 'string' ? [text] : text));
    },
    list(listing) {
      if (json) document(listing.document);
      else if (listing.rows.length === 0) note(listing.empty);
      else if (isTerminal) table(listing);
      else write(listing.rows.map((row) => tabbed(row, listing.columns)).join(''));
    },
    when: (time) => whenText(time, isTerminal, now),
  };
}

/** Out of this process's streams and environment. */
export function outFor({ json = false, color }: GlobalFlags): Out {
  const { stdout, stderr } = process;
  return makeOut({
    json,
    isTerminal: stdout.isTTY,
    isColoured: takesColour(stdout, color),
    notesColoured: takesColour(stderr, color),
    width: widthOf(stdout),
    now: epochMs(Date.now()),
    write: (text) => stdout.write(text),
    writeNote: (text) => stderr.write(text),
  });
}

/** A terminal that nobody has told its size says 0: such are those of containers and of `script`. */
const widthOf = ({ columns }: { readonly columns?: number }): number =>
  columns === undefined || columns === 0 ? 80 : columns;

/** Waits until whoever reads stdout has taken what was written: of a list of a million rows, a page is in memory. */
export async function untilTaken(): Promise<void> {
  if (process.stdout.writableNeedDrain) await once(process.stdout, 'drain');
}

/** JSON whose strings cannot steer a terminal either: `\u009b` means the same to whoever parses it. */
function jsonText(value: unknown, indent: number): string {
  return `${JSON.stringify(value, null, indent).split('\n').map(printable).join('\n')}\n`;
}

const tabbed = <Row>(row: Row, columns: readonly Column<Row>[]): string =>
  `${columns.map((column) => printable(cellText(column.value(row)))).join('\t')}\n`;

function whenText(time: string | null, isTerminal: boolean, now: EpochMs): string {
  if (time === null) return '';
  const read = isTerminal ? parseRfc3339(time) : undefined;
  return read === undefined ? time : relative(read, now);
}

/** A column of times as the views have them. */
export const timeColumn = <Row>(title: string, now: EpochMs, time: (row: Row) => string | null): Column<Row> => ({
  title,
  value: time,
  text: (row) => whenText(time(row), true, now),
});
