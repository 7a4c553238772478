/**
 * What the interface knows and does, without drawing: the state, what a key does to it, what each turn reads. It stands
 * alone so that quick keys, which come as one string, meet a state that has already changed.
 */
import type { App } from '../../src/app.ts';
import { type FamilyId, type KeyId, type Subject, shortKid } from '../../src/domain/ids.ts';
import { retryDead } from '../../src/operations/deliveries.ts';
import { showFamily } from '../../src/operations/families.ts';
import { declareKeyCompromised, rotateKeys } from '../../src/operations/keys.ts';
import { listKeyOutlooks, previewCompromise } from '../../src/operations/list-keys.ts';
import { previewRevocation, revoke } from '../../src/operations/revoke.ts';
import { bringSchemaUp } from '../../src/operations/schema.ts';
import { Refusal } from '../../src/refusal.ts';
import { storyLines, withNames } from '../family-text.ts';
import type { Line } from '../paint.ts';
import { answerQuestion, type Question } from './confirm.ts';
import { SCREENS } from './keys.ts';
import type { Listing } from './listing.ts';
import * as sources from './sources.ts';

export interface State {
  readonly screen: number;
  readonly listing: Listing | undefined;
  readonly cursorId: string | undefined;
  readonly marked: ReadonlySet<string>;
  readonly filter: string;
  readonly isTyping: boolean;
  readonly isFrozen: boolean;
  readonly isHelp: boolean;
  readonly onlyReuse: boolean;
  readonly arrived: number;
  readonly story: readonly Line[] | undefined;
  readonly question: Question | undefined;
  readonly message: string;
  /** Since when the database has not answered, and how often it was asked. */
  readonly lost: { readonly since: number; readonly tries: number; readonly why: string } | undefined;
  readonly readAt: number;
}

const START: State = {
  screen: 0,
  listing: undefined,
  cursorId: undefined,
  marked: new Set(),
  filter: '',
  isTyping: false,
  isFrozen: false,
  isHelp: false,
  onlyReuse: false,
  arrived: 0,
  story: undefined,
  question: undefined,
  message: '',
  lost: undefined,
  readAt: 0,
};

/** Health reads the whole file: only when asked. */
export const HEALTH = 5;
const IDLE = { after: 300_000, wait: 10_000 } as const;

export interface Model {
  readonly state: () => State;
  readonly press: (key: string) => void;
  readonly turn: () => Promise<void>;
  readonly wait: () => number;
}

/** @param quit when somebody wants to leave */
export function makeModel(app: App, screen: number, changed: () => void, quit: () => void): Model {
  let state: State = { ...START, screen };
  let isBusy = false;
  let confirmed: (() => Promise<string>) | undefined;
  let lastKey = Date.now();
  const set = (change: Partial<State>): void => {
    state = { ...state, ...change };
    changed();
  };

  const load = (): Promise<Listing> => {
    const loaders = [
      () => sources.loadSessions(app, state.filter),
      () => sources.loadKeys(app),
      () => sources.loadEvents(app, state.onlyReuse),
      () => sources.loadClients(app),
      () => sources.loadUsers(app),
      () => sources.loadHealth(app),
    ];
    return (loaders[state.screen] ?? (() => sources.loadHealth(app)))();
  };

  const show = (listing: Listing, arrived = 0): void => {
    const keeps = state.cursorId !== undefined && listing.ids.includes(state.cursorId);
    set({
      listing,
      arrived,
      lost: undefined,
      readAt: Date.now(),
      cursorId: keeps ? state.cursorId : listing.ids[0],
    });
  };

  const wordsOf = (error: unknown): string =>
    error instanceof Refusal ? error.description : error instanceof Error ? error.message : 'an unknown fault';

  async function attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const isLost = !(error instanceof Refusal) || error.code === 'temporarily_unavailable';
      if (!isLost) set({ message: wordsOf(error) });
      else
        set({
          lost: { since: state.lost?.since ?? Date.now(), tries: (state.lost?.tries ?? 0) + 1, why: wordsOf(error) },
        });
    }
  }

  const turn = (): Promise<void> =>
    attempt(async () => {
      const { screen, filter, listing } = state;
      if (listing === undefined) {
        const loaded = await load();
        if (state.screen === screen && state.filter === filter) show(loaded);
      } else if (state.isFrozen || screen === HEALTH) set({});
      else if (screen === 0) {
        const fresh = await sources.refreshSessions(app, filter, listing);
        // Whatever was opened, filtered or read on meanwhile is newer.
        if (state.listing === listing) show(fresh.listing, fresh.arrived);
      } else {
        const loaded = await load();
        if (state.listing === listing) show(loaded);
      }
    });

  const again = (): void => {
    set({ listing: undefined, arrived: 0, message: '' });
    void turn();
  };

  /** Keys are dropped until it is done. */
  function work(what: () => Promise<void>): void {
    isBusy = true;
    void attempt(what).finally(() => {
      isBusy = false;
    });
  }

  function ask(text: string, answer: string, run: () => Promise<string>): void {
    confirmed = run;
    set({ question: { text, answer, typed: '', askedAt: Date.now() }, message: '' });
  }

  const ended = async (which: Parameters<typeof revoke>[1]['which']): Promise<number> =>
    (await revoke(app, { which, reason: 'operator' })).revoked;

  function askRevoke(ids: readonly string[]): void {
    const target = ids.map((id) => state.listing?.session(id)).filter((one) => one !== undefined);
    const [only] = target;
    if (only === undefined) return;
    const runAll = async (): Promise<string> => {
      let count = 0;
      for (const { sid } of target) count += await ended({ family: sid as FamilyId });
      set({ marked: new Set() });
      return `Ended ${count}. /verify refuses now, offline verifiers within 1s.`;
    };
    if (target.length === 1) ask(`y: end it, other key: keep   End ${only.words}?`, 'y', runAll);
    else ask(`End ${target.length} sessions? Type ${target.length}, Esc: keep`, String(target.length), runAll);
  }

  function askSubject(id: string): void {
    const subject = state.listing?.session(id)?.subject as Subject | undefined;
    if (subject === undefined) return;
    work(async () => {
      const { count } = await previewRevocation(app, { which: { subject } });
      if (count === 0) {
        set({ message: 'Nothing to end: no live session of this subject.' });
        return;
      }
      const run = async (): Promise<string> => `Ended ${await ended({ subject })}.`;
      if (count === 1) ask('End the one session of the subject? y: end it, other key: keep', 'y', run);
      else ask(`End ${count} sessions of the subject? Type ${count}, Esc: keep`, String(count), run);
    });
  }

  function askKey(id: string, isCompromised: boolean): void {
    work(async () => {
      const key = (await listKeyOutlooks(app)).find((one) => one.key.kid === id)?.key;
      if (key === undefined) return;
      const kid = shortKid(key.kid);
      if (!isCompromised) {
        return ask(`Rotate the ${key.ring} ring now? No session ends. y: rotate, other key: keep`, 'y', async () => {
          await rotateKeys(app, key.ring);
          return `The ${key.ring} ring has moved on. Servers follow within 2s.`;
        });
      }
      const { sessions } = await previewCompromise(app, key.ring, key.kid as KeyId);
      ask(`Nothing accepts ${kid} again, ${sessions} sessions end. Type ${kid}, Esc: keep`, kid, async () => {
        const { revoked } = await declareKeyCompromised(app, key.ring, key.kid as KeyId);
        return `${kid} is compromised; ${revoked} sessions ended.`;
      });
    });
  }

  function open(id: string): void {
    const session = state.listing?.session(id);
    if (session === undefined) return;
    work(async () => {
      const story = await showFamily(app, session.sid);
      const [row] = await withNames(app, [story.family]);
      if (row !== undefined) set({ story: storyLines(row, story, app.clock.now(), false) });
    });
  }

  function move(by: number): void {
    const ids = state.listing?.ids ?? [];
    const at = ids.indexOf(state.cursorId ?? '');
    set({ cursorId: ids[Math.max(0, Math.min(ids.length - 1, at + by))] });
  }

  function go(screen: number): void {
    set({ ...START, filter: state.filter, lost: state.lost, screen: (screen + SCREENS.length) % SCREENS.length });
    void turn();
  }

  function act(key: string, id: string): void {
    if (state.lost !== undefined && state.screen !== HEALTH) {
      set({ message: 'not while the database does not answer' });
      return;
    }
    if (state.screen === 0 && key === 'r') askRevoke(state.marked.size > 0 ? [...state.marked] : [id]);
    else if (state.screen === 0 && key === 'S') askSubject(id);
    else if (state.screen === 1 && (key === 'R' || key === 'C')) askKey(id, key === 'C');
    else if (state.screen === 2 && key === 'D') {
      ask(
        'Try all dead letters again? y: yes, other key: keep',
        'y',
        async () => `${await retryDead(app)} are due again.`,
      );
    } else if (state.screen === HEALTH && key === 'M') {
      ask('Run the pending migrations? y: run, other key: keep', 'y', async () => {
        const { current, applied } = await bringSchemaUp(app);
        return `schema ${current}: ${applied.length === 0 ? 'nothing was pending' : `applied ${applied.join(', ')}`}`;
      });
    }
  }

  const toEnd = (): void => move(1e9);
  const commands: Readonly<Record<string, (id: string) => void>> = {
    q: quit,
    j: () => move(1),
    k: () => move(-1),
    '\u0004': () => move(10),
    '\u0015': () => move(-10),
    G: toEnd,
    g: () => (state.arrived > 0 ? again() : move(-1e9)),
    u: again,
    f: () => set({ isFrozen: !state.isFrozen }),
    '?': () => set({ isHelp: true }),
    ':': () => set({ isHelp: true }),
    '\t': () => go(state.screen + 1),
    '/': () => state.screen === 0 && set({ isTyping: true }),
    '\r': open,
    '\u001b': () => {
      if (state.filter !== '') {
        set({ filter: '' });
        again();
      }
    },
    t: () => {
      if (state.screen !== 2) return;
      set({ onlyReuse: !state.onlyReuse });
      again();
    },
    ' ': (id) => {
      if (state.screen !== 0) return;
      const marked = new Set(state.marked);
      if (!marked.delete(id)) marked.add(id);
      set({ marked });
    },
    '.': () => {
      const { listing } = state;
      if (state.screen !== 0 || listing === undefined || listing.nextCursor === null) return;
      work(async () => show(await sources.loadSessions(app, state.filter, listing)));
    },
  };

  function answer(question: Question, key: string): void {
    const verdict = answerQuestion(question, key, Date.now());
    if (verdict.kind === 'waiting') {
      set({ question: verdict.question });
      return;
    }
    const run = confirmed;
    confirmed = undefined;
    set({ question: undefined, message: verdict.kind === 'keep' ? 'kept' : 'working' });
    if (verdict.kind === 'yes' && run !== undefined) {
      work(async () => {
        const message = await run();
        if (state.screen !== 0) set({ listing: undefined });
        await turn();
        set({ message });
      });
    }
  }

  function type(key: string): void {
    if (key === '\u001b') set({ isTyping: false });
    else if (key === '\u007f' || key === '\b') set({ filter: state.filter.slice(0, -1) });
    else if (key === '\r') {
      set({ isTyping: false });
      again();
    } else if (/^[\x20-\x7e]$/.test(key)) set({ filter: `${state.filter}${key}`.slice(0, 200) });
  }

  function press(key: string): void {
    lastKey = Date.now();
    if (key === '\u0003') {
      quit();
      return;
    }
    if (isBusy) return;
    if (state.question !== undefined) {
      answer(state.question, key);
      return;
    }
    if (state.isTyping) {
      type(key);
      return;
    }
    if (state.isHelp || state.story !== undefined) {
      if (key === 'q') {
        quit();
        return;
      }
      set({ isHelp: false, story: undefined });
      return;
    }
    const command = Object.hasOwn(commands, key) ? commands[key] : undefined;
    if (command !== undefined) command(state.cursorId ?? '');
    else if (/^[1-6]$/.test(key)) go(Number(key) - 1);
    else act(key, state.cursorId ?? '');
  }

  const wait = (): number => {
    if (state.lost !== undefined) return Math.min(15_000, 1_000 * 2 ** Math.min(4, state.lost.tries - 1));
    return Date.now() - lastKey > IDLE.after ? IDLE.wait : 1_000;
  };
  return { state: () => state, press, turn, wait };
}
