/**
 * The same state for a screen reader: sentences instead of columns, and of a list the row under the cursor, because a reader
 * says again whatever has changed. Nothing here tells of seconds that pass.
 */
import { storyLines } from '../family-story.ts';
import { choices } from './confirm.ts';
import { contextOf, entriesOn, paletteEntries, whyNot } from './keys.ts';
import { plain, type Row, rowOf } from './rows.ts';
import { openStory, SCREENS, SESSIONS, type State } from './state.ts';
import type { View } from './view.ts';

/** @param view whose time is that of the last reading */
export function sentencesOf(state: State, view: View): readonly Row[] {
  return [head(state), ...body(state, view), state.message, foot(state)]
    .filter((line) => line !== '')
    .map((line) => rowOf(line));
}

function head({ screen, lost, filter, listing, arrived }: State): string {
  const name = SCREENS[screen] ?? '';
  if (lost !== undefined) return `${name}. The database does not answer (${lost.why}); u tries again.`;
  const count = listing === undefined ? 'reading' : counted(listing.ids.length, 'row');
  const narrowed = screen === SESSIONS && filter !== '' ? `, filter ${filter}` : '';
  const newer = arrived === 0 ? '' : `, ${arrived} new above`;
  return `${name}: ${count}${narrowed}${newer}. ${listing?.note ?? ''}`.trimEnd();
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

function rates({ rates: known }: State): string {
  if (known === undefined) return '';
  const refreshes = known.rotations === null ? '' : `${counted(known.rotations, 'rotation')} and `;
  return `${refreshes}${counted(known.logins, 'login')} in the last minute, ${counted(known.reuses, 'reuse')} in the last hour.`;
}

function body(state: State, { now }: View): readonly string[] {
  const { over, opened, listing, cursorId = '', marked } = state;
  if (over?.kind === 'question') return [over.question.text];
  if (over?.kind === 'reason') return [`Reason: ${over.text}`];
  if (over?.kind === 'filter') return [`Filter: ${state.filter}`];
  if (over?.kind === 'palette') {
    const entry = paletteEntries(contextOf(state), over.text)[over.at];
    return [
      `Find a command: ${over.text}`,
      entry === undefined ? 'nothing is called so' : `${entry.does}, ${entry.shown}`,
    ];
  }
  if (over?.kind === 'help') return keysOf(state);
  if (opened !== undefined) {
    const story = openStory(state);
    if (story === undefined) return ['reading'];
    return storyLines(story.row, story.story, now, { isWhole: opened.isWhole, all: 'a' }).map((line) =>
      plain(rowOf(line)),
    );
  }
  const at = listing?.ids.indexOf(cursorId) ?? -1;
  if (listing === undefined || at === -1) return [rates(state)];
  const mark = `${marked.has(cursorId) ? 'marked, ' : ''}${listing.isAlarm(cursorId) ? 'attention, ' : ''}`;
  return [rates(state), `Row ${at + 1} of ${listing.ids.length}: ${mark}${listing.words(cursorId, now)}`];
}

const keysOf = (state: State): readonly string[] =>
  entriesOn(contextOf(state)).map((entry) => {
    const why = whyNot(entry.id, state);
    return `${entry.shown}: ${entry.does}${why === undefined ? '' : `, not now: ${why}`}`;
  });

function foot({ over }: State): string {
  if (over?.kind === 'question') return choices(over.question);
  return over === undefined ? 'Question mark says the keys, u reads again, q quits.' : 'Enter is done, Escape leaves.';
}
