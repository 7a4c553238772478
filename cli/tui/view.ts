/** The picture of a state: rows of text, head, body and foot. It is given everything, computes, and asks nobody. */
import { type EpochMs, toRfc3339 } from '../../src/domain/time.ts';
import { storyBeside } from '../family-story.ts';
import { choices } from './confirm.ts';
import { contextOf, footerEntries, whyNot } from './keys.ts';
import { helpRows, paletteRows, storyRows } from './overlays.ts';
import { sparkline } from './rates.ts';
import { apart, dimmed, fitted, inverse, type Row, rowOf, widthOf } from './rows.ts';
import {
  bodyRows,
  isBeside,
  isTooSmall,
  listRows,
  SCREENS,
  SESSIONS,
  type Size,
  SMALLEST,
  type State,
} from './state.ts';

/** What a picture is made for, besides the state. */
export interface View extends Size {
  readonly now: EpochMs;
  /** Where the data is: `sqlite:auth.db`. */
  readonly label: string;
  /** Whether the terminal has blocks for curves. */
  readonly isUtf8: boolean;
}

const clockText = (time: EpochMs): string => toRfc3339(time).slice(11, 19);

/** Every row of the screen, each as wide as it is. */
export function pictureOf(state: State, view: View): readonly Row[] {
  const { columns, rows } = view;
  if (isTooSmall(view)) {
    return [
      [
        {
          text: `${columns}x${rows} is too small: ${SMALLEST.columns}x${SMALLEST.rows} is needed. q quits.`.slice(
            0,
            columns,
          ),
        },
      ],
    ];
  }
  const room = bodyRows(view);
  const body = bodyOf(state, view).slice(0, room);
  const filled = [...body, ...Array.from({ length: room - body.length }, (): Row => [])];
  const shown = state.lost === undefined ? filled : filled.map(dimmed);
  return [...headOf(state, view), ...shown, ...footOf(state, view)].map((row) => fitted(row, columns));
}

/** `DATABASE UNREACHABLE 12s (locked), retry in 4s, data of 14:02:10` */
function lostText({ lost, readAt }: State, now: EpochMs): string {
  if (lost === undefined) return '';
  const seconds = (ms: number): string => `${Math.max(0, Math.round(ms / 1_000))}s`;
  return `DATABASE UNREACHABLE ${seconds(now - lost.since)} (${lost.why}), retry in ${seconds(lost.retryAt - now)}, data of ${clockText(readAt)}`;
}

function ratesOf({ rates }: State, isUtf8: boolean): Row {
  if (rates === undefined) return [];
  const { rotations, logins, reuses, curve } = rates;
  const drawn = sparkline(curve, isUtf8);
  const refresh = rotations === null ? '' : `refresh ${rotations}/min ${drawn}  `;
  const login = `login ${logins}/min ${rotations === null ? `${drawn} ` : ''} `;
  return [
    { text: `${refresh}${login}` },
    { text: `${reuses > 0 ? 'REUSE' : 'reuse'} ${reuses}/h `, tone: reuses > 0 ? 'alarm' : undefined },
  ];
}

/** Of the program's name and the beginning of its database. */
const LEAST = 26;

/** The rates, and as much of the database's name as they leave room for. */
function firstRow(label: string, rates: Row, columns: number): Row {
  const name = rowOf(` auth-server  ${label} `);
  const room = columns - widthOf(rates) - 1;
  return room < LEAST ? name : apart(widthOf(name) > room ? fitted(name, room) : name, rates, columns);
}

function headOf(state: State, { now, label, columns, isUtf8 }: View): readonly Row[] {
  const { screen, lost, isFrozen, filter, over, listing, arrived } = state;
  const first: Row =
    lost === undefined
      ? firstRow(label, ratesOf(state, isUtf8), columns)
      : [{ text: ` ${lostText(state, now)}`, tone: 'alarm' }];
  const tabs = SCREENS.map((name, at) => (at === screen ? `[${at + 1} ${name}]` : ` ${at + 1} ${name} `)).join('');
  const time: Row = [isFrozen ? { text: 'FROZEN ', tone: 'warn' } : { text: 'live ' }, { text: `${clockText(now)} ` }];
  const typed = screen === SESSIONS ? ` / ${filter}${over?.kind === 'filter' ? '_' : ''}` : ` ${listing?.note ?? ''}`;
  const newer: Row = arrived === 0 ? [] : [{ text: `${arrived >= 100 ? '100 or more' : arrived} new above (g) ` }];
  return [first, apart([{ text: tabs }], time, columns), apart(rowOf(typed), newer, columns)];
}

function footOf(state: State, { columns }: View): readonly Row[] {
  const { over, message, marked, listing } = state;
  if (over?.kind === 'question') {
    const { question } = over;
    return [
      [{ text: '   ' }, ...rowOf([{ text: question.text, tone: 'warn' }])],
      [{ text: '   ' }, ...rowOf(choices(question))],
    ];
  }
  if (over?.kind === 'reason') {
    return [rowOf(`   reason: ${over.text}_`), rowOf('   Enter: back to the question    Esc: as before')];
  }
  const count: Row = marked.size === 0 ? [] : [{ text: `${marked.size} marked ` }];
  const said = message === '' ? (listing?.reach ?? '') : message;
  return [apart(rowOf(` ${said}`), count, columns), footerRow(state, columns)];
}

function footerRow(state: State, width: number): Row {
  const context = contextOf(state);
  return footerEntries(context, width).flatMap((entry, index): Row => {
    const tone = whyNot(entry.id, state) === undefined ? undefined : 'dim';
    const text = `${entry.shown} ${entry.footer}`;
    return [{ text: index === 0 ? ' ' : '  ' }, { text, tone }];
  });
}

function bodyOf(state: State, view: View): readonly Row[] {
  const { screen, over, opened, listing } = state;
  if (over?.kind === 'help') return helpRows(state, view.columns);
  if (over?.kind === 'palette') return paletteRows(state, over, bodyRows(view));
  if (opened !== undefined) return storyRows(state, opened, { now: view.now, rows: bodyRows(view) });
  if (listing === undefined) return [rowOf(' reading')];
  // The other screens have their note above.
  if (listing.ids.length === 0) return [rowOf(` ${screen === SESSIONS ? listing.note : 'nothing here yet'}`)];
  if (isBeside(state, view)) return besideRows(state, view, leftOf(view));
  return listingRows(state, view, view.columns);
}

/** A header, and the rows with their marks: `>` the cursor, `*` marked, `!` to look at. */
function listingRows(state: State, view: View, width: number): readonly Row[] {
  const { listing, start, cursorId, marked } = state;
  if (listing === undefined) return [];
  const room = { start, count: listRows(view), width: width - 4, now: view.now };
  const [header = '', ...rows] = listing.lines(room);
  return [
    [{ text: '   ' }, ...rowOf(header)],
    ...rows.map((line, index): Row => {
      const id = listing.ids[start + index] ?? '';
      const mark = marked.has(id) ? '*' : listing.isAlarm(id) ? '!' : ' ';
      const isCursor = id === cursorId;
      const row = fitted([{ text: `${isCursor ? '>' : ' '}${mark} ` }, ...rowOf(line)], width);
      return isCursor ? inverse(row) : row;
    }),
  ];
}

/** Columns of the list: what the story beside it does not need, and never less than its ids and states do. */
const leftOf = ({ columns }: Size): number => Math.max(56, columns - 67);

/** The list, and beside it what the session under the cursor has been through. */
function besideRows(state: State, view: View, left: number): readonly Row[] {
  const rows = listingRows(state, view, left);
  const { story, listing, cursorId = '' } = state;
  const isOfCursor = story !== undefined && listing?.session(cursorId)?.sid === story.row.sid;
  const beside = isOfCursor ? storyBeside(story.row, story.story, view.now, bodyRows(view)) : [];
  return Array.from({ length: bodyRows(view) }, (_, index): Row => {
    const own = fitted(rows[index] ?? [], left);
    return [...own, { text: ' | ' }, ...fitted(rowOf(beside[index] ?? ''), view.columns - left - 3)];
  });
}
