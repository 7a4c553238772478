/** What each command of the key table does. The compiler sees to it that none is missing. */
import type { App } from '../../src/app.ts';
import { askCompromise, askMigration, askOwner, askRetry, askRotation, askSessions } from './asking.ts';
import { EVENT_VIEWS } from './events.ts';
import type { CommandId } from './keys.ts';
import type { Reading } from './reading.ts';
import { type Asked, type Cell, FRESH, openStory, SCREENS, SESSIONS } from './state.ts';

export interface CommandsOptions {
  readonly app: App;
  readonly cell: Cell;
  readonly reading: Reading;
  /** Runs it while keys wait. */
  readonly work: (what: () => Promise<void>) => void;
  readonly quit: () => void;
  readonly onMigrated: () => void;
}

/** `run` does it, or asks first; whether it can be done now is `whyNot`'s question. */
export interface Commands {
  readonly run: (id: CommandId) => void;
  /** @param screen any whole number */
  readonly go: (screen: number, filter?: string) => void;
}

/** A question now, or a message instead. */
function ask({ cell }: CommandsOptions, question: Asked | string | undefined): void {
  if (typeof question === 'string') cell.set({ message: question });
  else if (question !== undefined) cell.set({ over: question, message: '' });
}

/** The same for a question that needs to know more first. */
const askLater = (options: CommandsOptions, question: () => Promise<Asked | string | undefined>): void =>
  options.work(async () => ask(options, await question()));

function open({ cell, reading }: CommandsOptions, go: Commands['go']): void {
  const { listing, cursorId = '', screen } = cell.get();
  const session = listing?.session(cursorId);
  const owner = listing?.owner(cursorId);
  if (session !== undefined) {
    cell.set({ opened: { sid: session.sid, top: 0, isWhole: false } });
    void reading.story();
  } else if (screen !== SESSIONS && owner !== undefined) go(SESSIONS, owner.filter);
}

function revoke(options: CommandsOptions): void {
  const state = options.cell.get();
  const { listing, marked, cursorId = '' } = state;
  const story = openStory(state);
  if (story !== undefined) {
    const { row } = story;
    const words = `${row.name ?? row.subject}? session ${row.sid}`;
    ask(options, askSessions(options.app, [{ sid: row.sid, words, isLive: true, version: '' }]));
    return;
  }
  const ids = marked.size > 0 ? [...marked] : [cursorId];
  const targets = ids.map((id) => listing?.session(id)).filter((one) => one !== undefined);
  ask(
    options,
    askSessions(
      options.app,
      targets.filter(({ isLive }) => isLive),
    ),
  );
}

function mark({ cell }: CommandsOptions): void {
  const { cursorId = '', marked } = cell.get();
  const next = new Set(marked);
  if (!next.delete(cursorId)) next.add(cursorId);
  cell.set({ marked: next });
}

function back({ cell, reading }: CommandsOptions): void {
  const { opened, filter } = cell.get();
  if (opened !== undefined) cell.set({ opened: undefined });
  else if (filter !== '') {
    cell.set({ filter: '', message: '' });
    void reading.again();
  }
}

/** Of a session that is open, the session: the list behind it stays where it is. */
function again({ cell, reading }: CommandsOptions): void {
  if (cell.get().opened === undefined) {
    cell.set({ message: '', start: 0, cursorId: undefined });
    void reading.again();
  } else {
    cell.set({ message: '', story: undefined });
    void reading.story();
  }
}

function revokeAll(options: CommandsOptions): void {
  const { listing, cursorId = '' } = options.cell.get();
  const owner = listing?.owner(cursorId);
  if (owner !== undefined) askLater(options, () => askOwner(options.app, owner));
}

/** Nothing here waits: what has to ask the database goes through `work`. */
export function makeCommands(options: CommandsOptions): Commands {
  const { app, cell, reading, work, quit, onMigrated } = options;
  const { get, set } = cell;

  function go(screen: number, filter = get().filter): void {
    set({ ...FRESH, filter, screen: (screen + SCREENS.length) % SCREENS.length });
    void reading.turn();
  }
  const key = (): string => get().cursorId ?? '';
  const all: Readonly<Record<CommandId, () => void>> = {
    open: () => open(options, go),
    revoke: () => revoke(options),
    revokeAll: () => revokeAll(options),
    filter: () => set({ over: { kind: 'filter' } }),
    mark: () => mark(options),
    more: () => work(reading.more),
    whole: () => {
      const { opened } = get();
      if (opened !== undefined) set({ opened: { ...opened, isWhole: !opened.isWhole, top: 0 } });
    },
    freeze: () => set({ isFrozen: !get().isFrozen }),
    rotate: () => askLater(options, () => askRotation(app, key())),
    compromised: () => askLater(options, () => askCompromise(app, key())),
    view: () => {
      const next = EVENT_VIEWS[(EVENT_VIEWS.indexOf(get().events) + 1) % EVENT_VIEWS.length] ?? 'all';
      set({ events: next });
      void reading.again();
    },
    retry: () => ask(options, askRetry(app)),
    migrate: () => ask(options, askMigration(app, onMigrated)),
    again: () => again(options),
    help: () => set({ over: { kind: 'help', top: 0 } }),
    palette: () => set({ over: { kind: 'palette', text: '', at: 0 } }),
    nextScreen: () => go(get().screen + 1),
    back: () => back(options),
    quit,
  };
  return { run: (id) => all[id](), go };
}
