/** What a key does to what lies over the list: a question, its reason, the filter, the palette, the help. */
import { answerQuestion } from './confirm.ts';
import { DOWN, ENTER, ESC, UP } from './key-names.ts';
import { contextOf, type KeyEntry, paletteEntries } from './keys.ts';
import type { Reading } from './reading.ts';
import type { Asked, Cell, Over } from './state.ts';
import { pasteInto, typeKey } from './typing.ts';

export interface OverKeysOptions {
  readonly cell: Cell;
  readonly reading: Reading;
  /** Of a clock that never steps back, ms. */
  readonly monotonic: () => number;
  /** Runs it while keys wait. */
  readonly work: (what: () => Promise<void>) => void;
  /** Runs it when nothing has been typed for a moment. */
  readonly settle: (what: () => Promise<void>) => void;
  readonly command: (entry: KeyEntry) => void;
}

type Lying<Kind extends Over['kind']> = Extract<Over, { readonly kind: Kind }>;

/** `press` is for when something lies over the list; `paste` says so where nothing does. */
export interface OverKeys {
  readonly press: (over: Over, key: string) => void;
  readonly paste: (over: Over | undefined, text: string) => void;
}

/** Only an answered question changes anything beyond the screen. */
export function makeOverKeys(options: OverKeysOptions): OverKeys {
  const { set } = options.cell;
  return {
    press(over, key) {
      if (over.kind === 'question') answer(options, over, key);
      else if (over.kind === 'reason') giveReason(options, over, key);
      else if (over.kind === 'filter') typeFilter(options, key);
      else if (over.kind === 'palette') find(options, over, key);
      else set({ over: undefined });
    },
    paste(over, text) {
      if (over?.kind === 'filter') filterBy(options, pasteInto(options.cell.get().filter, text));
      else if (over?.kind === 'reason') set({ over: { ...over, text: pasteInto(over.text, text) } });
      else if (over?.kind === 'palette') set({ over: { ...over, text: pasteInto(over.text, text), at: 0 } });
      else if (over === undefined) set({ message: 'pasted text goes into a filter: press / first' });
    },
  };
}

function answer({ cell, reading, monotonic, work }: OverKeysOptions, asked: Asked, key: string): void {
  const { set } = cell;
  const verdict = answerQuestion(asked.question, key, monotonic());
  if (verdict.kind === 'waiting') set({ over: { ...asked, question: verdict.question } });
  else if (verdict.kind === 'edit') set({ over: { kind: 'reason', text: asked.question.reason ?? '', asked } });
  else if (verdict.kind === 'keep') set({ over: undefined, message: 'kept' });
  else {
    set({ over: undefined, message: 'working' });
    work(async () => {
      try {
        const message = await asked.run(asked.question.reason ?? '');
        set({ message, marked: new Set() });
      } catch (error) {
        // Of a database that went away in the middle nobody says more; anything else has its own words.
        set({ message: 'whether it was done is not known: look again when the database is back' });
        throw error;
      }
      void reading.turn();
    });
  }
}

/** Back at the question nobody has read it anew: what is on its way is dropped again. */
function giveReason({ cell, monotonic }: OverKeysOptions, { text, asked }: Lying<'reason'>, key: string): void {
  const typed = typeKey(text, key);
  if (key === ENTER || key === ESC) {
    const reason = key === ENTER && text.trim() !== '' ? text.trim() : asked.question.reason;
    cell.set({ over: { ...asked, question: { ...asked.question, reason, typed: '', askedAt: monotonic() } } });
  } else if (typed !== undefined) cell.set({ over: { kind: 'reason', text: typed, asked } });
}

function filterBy({ cell, reading, settle }: OverKeysOptions, filter: string): void {
  cell.set({ filter, message: '' });
  settle(reading.again);
}

function typeFilter(options: OverKeysOptions, key: string): void {
  const { get, set } = options.cell;
  const typed = typeKey(get().filter, key);
  if (key === ENTER || key === ESC) set({ over: undefined });
  if (key === ESC && get().filter !== '') filterBy(options, '');
  else if (typed !== undefined) filterBy(options, typed);
}

function find({ cell, command }: OverKeysOptions, { text, at }: Lying<'palette'>, key: string): void {
  const { get, set } = cell;
  const found = paletteEntries(contextOf(get()), text);
  const typed = typeKey(text, key);
  if (key === DOWN || key === UP) {
    const to = Math.max(0, Math.min(found.length - 1, at + (key === DOWN ? 1 : -1)));
    set({ over: { kind: 'palette', text, at: to } });
  } else if (key === ENTER || key === ESC) {
    set({ over: undefined });
    const entry = found[at];
    if (key === ENTER && entry !== undefined) command(entry);
  } else if (typed !== undefined) set({ over: { kind: 'palette', text: typed, at: 0 } });
}
