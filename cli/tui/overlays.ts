/** What takes the place of the list: the help, the palette, a session that is open. */
import type { EpochMs } from '../../src/domain/time.ts';
import { storyLines } from '../family-story.ts';
import { contextOf, entriesOn, type KeyEntry, MOVES, paletteEntries, whyNot } from './keys.ts';
import { inverse, type Row, rowOf } from './rows.ts';
import { type Opened, type Over, openStory, type State, type Story } from './state.ts';

/** A key and what it does; dim, with the reason, when it cannot. */
function entryRow(entry: KeyEntry, state: State): Row {
  const why = whyNot(entry.id, state);
  const text = ` ${entry.shown.padEnd(8)} ${entry.does}`;
  return why === undefined ? [{ text }] : [{ text: `${text}  (${why})`, tone: 'dim' }];
}

/** Moves on a row of their own, or several where one has no room. */
export const helpRows = (state: State, columns: number): readonly Row[] => [
  ...entriesOn(contextOf(state)).map((entry) => entryRow(entry, state)),
  ...(columns < MOVES.length + 2 ? MOVES.split('; ') : [MOVES]).map((line) => rowOf(` ${line}`)),
];

/** @param rows that there is room for */
export function paletteRows(
  state: State,
  { text, at }: Extract<Over, { kind: 'palette' }>,
  rows: number,
): readonly Row[] {
  const found = paletteEntries(contextOf(state), text);
  const shown = Math.max(1, rows - 2);
  const start = Math.max(0, at - shown + 1);
  return [
    rowOf(` : ${text}_`),
    ...found.slice(start, start + shown).map((entry, index) => {
      const isCursor = start + index === at;
      const row: Row = [{ text: isCursor ? '>' : ' ' }, ...entryRow(entry, state)];
      return isCursor ? inverse(row) : row;
    }),
    rowOf(found.length === 0 ? '  nothing is called so' : ' Enter does it, Esc leaves'),
  ];
}

const linesOf = (story: Story, isWhole: boolean, now: EpochMs) =>
  storyLines(story.row, story.story, now, { isWhole, all: 'a' });

/** How far an open session can be scrolled. @param rows of the body */
export function lastTop(state: State, rows: number, now: EpochMs): number {
  const story = openStory(state);
  return story === undefined ? 0 : Math.max(0, linesOf(story, state.opened?.isWhole === true, now).length - rows);
}

/** From `top` on. */
export function storyRows(
  state: State,
  { top, isWhole }: Opened,
  { now, rows }: { readonly now: EpochMs; readonly rows: number },
): readonly Row[] {
  const story = openStory(state);
  if (story === undefined) return [rowOf(' reading')];
  const lines = linesOf(story, isWhole, now).slice(top, top + rows);
  return lines.map((line) => [{ text: ' ' }, ...rowOf(line)]);
}
