/**
 * The one table of keys: the footer, the help and the palette are read from it, so that they agree with each other and with
 * what a key does. What cannot be done now is dim everywhere, and says why.
 */
import { CLIENTS, EVENTS, HEALTH, KEYS, openStory, SESSIONS, STORY, type State, USERS } from './state.ts';

export type CommandId =
  | 'open'
  | 'revoke'
  | 'revokeAll'
  | 'filter'
  | 'mark'
  | 'more'
  | 'whole'
  | 'freeze'
  | 'rotate'
  | 'compromised'
  | 'view'
  | 'retry'
  | 'migrate'
  | 'again'
  | 'help'
  | 'palette'
  | 'nextScreen'
  | 'back'
  | 'quit';

/** One thing to do: its keys, and the words for it in the footer, the help and the palette. */
export interface KeyEntry {
  readonly id: CommandId;
  /** The characters that the terminal sends. */
  readonly keys: readonly string[];
  readonly shown: string;
  readonly does: string;
  /** Where it works; everywhere without. */
  readonly on?: readonly number[];
  /** Shown in the footer, by this short word. */
  readonly footer?: string;
}

const LISTS = [SESSIONS, KEYS, EVENTS, CLIENTS, USERS, HEALTH];

/** In the order in which the footer gives them room. */
const ENTRIES: readonly KeyEntry[] = [
  { id: 'open', keys: ['\r'], shown: 'Enter', does: 'opens the session', on: [SESSIONS, EVENTS], footer: 'open' },
  { id: 'open', keys: ['\r'], shown: 'Enter', does: 'shows the sessions', on: [CLIENTS, USERS], footer: 'sessions' },
  { id: 'revoke', keys: ['r'], shown: 'r', does: 'ends the session', on: [STORY], footer: 'revoke' },
  {
    id: 'revoke',
    keys: ['r'],
    shown: 'r',
    does: 'ends the session, or the marked ones',
    on: [SESSIONS],
    footer: 'revoke',
  },
  { id: 'rotate', keys: ['R'], shown: 'R', does: 'rotates the ring of the key', on: [KEYS], footer: 'rotate' },
  {
    id: 'compromised',
    keys: ['C'],
    shown: 'C',
    does: 'declares the key compromised',
    on: [KEYS],
    footer: 'compromised',
  },
  {
    id: 'view',
    keys: ['t'],
    shown: 't',
    does: 'shows all events, reuse alone, or dead letters',
    on: [EVENTS],
    footer: 'view',
  },
  { id: 'retry', keys: ['D'], shown: 'D', does: 'tries all dead letters again', on: [EVENTS], footer: 'retry dead' },
  {
    id: 'migrate',
    keys: ['M'],
    shown: 'M',
    does: 'runs the migrations that are pending',
    on: [HEALTH],
    footer: 'migrate',
  },
  { id: 'whole', keys: ['a'], shown: 'a', does: 'shows each rotation, or folds them', on: [STORY], footer: 'all' },
  {
    id: 'filter',
    keys: ['/'],
    shown: '/',
    does: 'filters: client: state: cause: ip: since: subject:, a name, an id',
    on: [SESSIONS],
    footer: 'filter',
  },
  { id: 'mark', keys: [' '], shown: 'Space', does: 'marks the session', on: [SESSIONS], footer: 'mark' },
  { id: 'freeze', keys: ['f'], shown: 'f', does: 'freezes the list, or lets it go on', on: LISTS, footer: 'freeze' },
  {
    id: 'revokeAll',
    keys: ['S'],
    shown: 'S',
    does: 'ends all sessions of the subject, or of the client',
    on: [SESSIONS, CLIENTS, USERS],
  },
  { id: 'more', keys: ['.'], shown: '.', does: 'reads on', on: [SESSIONS, USERS] },
  { id: 'again', keys: ['u'], shown: 'u', does: 'reads again' },
  { id: 'nextScreen', keys: ['\t'], shown: 'Tab 1-6', does: 'changes the screen' },
  { id: 'back', keys: ['\u001b'], shown: 'Esc', does: 'clears the filter, then goes back; never quits' },
  { id: 'help', keys: ['?'], shown: '?', does: 'shows the keys', footer: 'keys' },
  { id: 'palette', keys: [':'], shown: ':', does: 'finds a command; Ctrl-P too', footer: 'palette' },
  { id: 'quit', keys: ['q'], shown: 'q', does: 'quits; Ctrl-C too', footer: 'quit' },
];

/** For the help alone: they move, and do nothing. */
export const MOVES = 'j k g G, arrows, PgUp PgDn (ctrl-u ctrl-d), Home End move the cursor; Ctrl-Z stops, fg goes on';

/** What keys mean now. */
export const contextOf = ({ screen, opened }: State): number => (opened === undefined ? screen : STORY);

/** The commands of a screen, in order. */
export const entriesOn = (context: number): readonly KeyEntry[] =>
  ENTRIES.filter(({ on }) => on === undefined || on.includes(context));

/** @param context of `contextOf`. @returns undefined where the key does nothing */
export const entryOf = (context: number, key: string): KeyEntry | undefined =>
  entriesOn(context).find(({ keys }) => keys.includes(key));

const session = ({ listing, cursorId }: State) => listing?.session(cursorId ?? '');
const NO_SESSION = 'there is no session under the cursor';

/** Ends, changes or makes something. */
const CHANGES: ReadonlySet<CommandId> = new Set<CommandId>([
  'revoke',
  'revokeAll',
  'rotate',
  'compromised',
  'retry',
  'migrate',
]);

const noKey = ({ cursorId }: State) => (cursorId === undefined ? 'there is no key' : undefined);

const REASONS: Partial<Record<CommandId, (state: State) => string | undefined>> = {
  open: (state) =>
    session(state) === undefined && state.listing?.owner(state.cursorId ?? '') === undefined ? NO_SESSION : undefined,
  revoke: (state) => {
    if (state.opened !== undefined) {
      const story = openStory(state);
      if (story === undefined) return 'it is being read';
      return story.row.state === 'live' ? undefined : 'it has ended';
    }
    const ids = state.marked.size > 0 ? [...state.marked] : [state.cursorId ?? ''];
    const found = ids.map((id) => state.listing?.session(id)).filter((one) => one !== undefined);
    if (found.length === 0) return NO_SESSION;
    return found.some(({ isLive }) => isLive) ? undefined : 'it has ended';
  },
  revokeAll: (state) =>
    state.listing?.owner(state.cursorId ?? '') === undefined ? 'nothing here has sessions' : undefined,
  mark: (state) => (session(state) === undefined ? NO_SESSION : undefined),
  more: ({ listing }) => (listing?.more === undefined ? 'that is all' : undefined),
  rotate: noKey,
  compromised: noKey,
  migrate: ({ listing }) => (/ 0 pending/.test(listing?.note ?? '') ? 'nothing is pending' : undefined),
  back: ({ filter, opened, screen }) =>
    opened === undefined && (filter === '' || screen !== SESSIONS) ? 'there is nothing to go back from' : undefined,
};

/** Why it cannot be done now; undefined when it can. */
export function whyNot(id: CommandId, state: State): string | undefined {
  if (state.lost !== undefined && CHANGES.has(id)) return 'the database does not answer';
  return REASONS[id]?.(state);
}

/** The entries that fit one row, those at the end (`?`, `:`, `q`) first of all. */
export function footerEntries(context: number, width: number): readonly KeyEntry[] {
  const all = entriesOn(context).filter(({ footer }) => footer !== undefined);
  const widthOf = ({ shown, footer = '' }: KeyEntry): number => shown.length + footer.length + 3;
  let room = width + 1;
  const kept = new Set<KeyEntry>();
  for (const entry of [...all.slice(-3), ...all.slice(0, -3)]) {
    room -= widthOf(entry);
    if (room < 0) break;
    kept.add(entry);
  }
  return all.filter((entry) => kept.has(entry));
}

/** What the palette offers for a text: where each word of it occurs. */
export function paletteEntries(context: number, text: string): readonly KeyEntry[] {
  const words = text.toLowerCase().split(/\s+/);
  return entriesOn(context).filter(({ id, does, footer = '' }) => {
    const said = `${id} ${footer} ${does}`.toLowerCase();
    return id !== 'palette' && words.every((word) => said.includes(word));
  });
}
