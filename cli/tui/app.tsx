/** The whole interface: gives keys to the model, and draws what it knows. */
import { useApp, useInput, usePaste, useWindowSize } from 'ink';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import type { App } from '../../src/app.ts';
import { Frame } from './frame.tsx';
import { CTRL_C, DOWN, ENTER, ESC, isNamed, PAGE_DOWN, PAGE_UP, PREVIOUS, UP } from './key-names.ts';
import type { Model } from './model.ts';
import { sentencesOf } from './spoken.ts';
import { isTooSmall } from './state.ts';
import { useRepeated } from './use-repeated.ts';
import { pictureOf } from './view.ts';

/** What is drawn comes from the model alone; `app` is asked for the time and the name of its database. */
export interface TuiProps {
  readonly app: App;
  readonly model: Model;
  readonly look: Look;
  /** Stops the process. Resolves when it goes on. */
  readonly stop: () => Promise<void>;
  /** Tells of a stop that comes from outside. @returns what takes the listener off */
  readonly onStop: (listener: () => void) => () => void;
}

/** What the terminal and its user can see. */
export interface Look {
  readonly isColoured: boolean;
  /** For a screen reader. */
  readonly isSpoken: boolean;
  readonly isUtf8: boolean;
}

type InkKey = Parameters<Parameters<typeof useInput>[0]>[1];

/** Keys that Ink names, as the characters the model knows them by. */
const NAMED = [
  ['return', ENTER],
  ['escape', ESC],
  ['backspace', '\u007f'],
  ['delete', '\u007f'],
  ['downArrow', DOWN],
  ['upArrow', UP],
  ['pageDown', PAGE_DOWN],
  ['pageUp', PAGE_UP],
  ['home', 'g'],
  ['end', 'G'],
] as const;

const CONTROLS: Readonly<Record<string, string>> = { c: CTRL_C, d: PAGE_DOWN, u: PAGE_UP, w: '\u0017', p: ':' };

/** What the model is given for a key; undefined for one that means nothing here. */
function keyOf(input: string, key: InkKey): string | undefined {
  if (key.tab) return key.shift ? PREVIOUS : '\t';
  const named = NAMED.find(([name]) => key[name]);
  if (named !== undefined) return named[1];
  return key.ctrl ? CONTROLS[input] : input;
}

/** Names are one key; of what was typed so quickly that it comes as one string, a question gets the whole, and drops it. */
function give(model: Model, key: string): void {
  if (isNamed(key) || model.state().over?.kind === 'question') model.press(key);
  else for (const one of key) model.press(one);
}

/** Changes of one turn are drawn once: a picture costs more than all that was read for it. */
function useRedraw(): () => void {
  const [, redraw] = useState(0);
  const isDue = useRef(false);
  return () => {
    if (isDue.current) return;
    isDue.current = true;
    setImmediate(() => {
      isDue.current = false;
      redraw((count) => count + 1);
    });
  };
}

/** Draws again when the model has changed, and lets it read when its turn has come. */
export function Tui({ app, model, look, stop, onStop }: TuiProps): ReactNode {
  const size = useWindowSize();
  const { suspendTerminal } = useApp();
  const redrawSoon = useRedraw();
  model.onChange(redrawSoon);
  model.fit(size);
  useRepeated(model.turn, () => (look.isSpoken ? null : model.wait()));
  const suspend = useRef(() => undefined as undefined);
  suspend.current = () => void suspendTerminal(stop) as undefined;
  useEffect(() => onStop(() => suspend.current()), [onStop]);
  useInput((input, key) => {
    if (key.ctrl && input === 'z') return suspend.current();
    const pressed = keyOf(input, key);
    // Nobody sees a question, or what a key would be about.
    if (isTooSmall(size) && !look.isSpoken && pressed !== CTRL_C) {
      if (pressed === 'q') model.leave();
      return;
    }
    if (pressed !== undefined) give(model, pressed);
    // Nothing reads by itself while somebody listens: the keys that ask for something new do.
    if (look.isSpoken && pressed === 'u') void model.turn();
  });
  usePaste((text) => model.paste(text));

  const state = model.state();
  const now = look.isSpoken ? state.readAt : app.clock.now();
  const view = { ...size, now, label: app.store.label, isUtf8: look.isUtf8 };
  const rows = look.isSpoken ? sentencesOf(state, view) : pictureOf(state, view);
  return <Frame rows={rows} isColoured={look.isColoured} wraps={look.isSpoken} />;
}
