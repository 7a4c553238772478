/** The whole interface: gives keys to the model, and draws what it knows: head, list or story, and foot. */
import { useApp, useInput, useWindowSize } from 'ink';
import { type ReactNode, useRef, useState } from 'react';
import type { App } from '../../src/app.ts';
import { epochMs, toRfc3339 } from '../../src/domain/time.ts';
import type { Line } from '../paint.ts';
import { Frame } from './frame.tsx';
import { footerOf, keysOn, SCREENS } from './keys.ts';
import { firstShown, listLines } from './listing.ts';
import { type Model, makeModel, type State } from './model.ts';
import { useOperation } from './use-operation.ts';

export interface TuiProps {
  readonly app: App;
  readonly isColoured: boolean;
  readonly quit: () => void;
  /** Resolves when the process goes on after a stop. */
  readonly stop: () => Promise<void>;
  /** The screen it opens on. */
  readonly screen: number;
}

/** Keys that Ink names, as the characters the model knows them by. */
const NAMED = [
  ['return', '\r'],
  ['escape', '\u001b'],
  ['tab', '\t'],
  ['backspace', '\u007f'],
  ['delete', '\u007f'],
  ['downArrow', 'j'],
  ['upArrow', 'k'],
  ['pageDown', '\u0004'],
  ['pageUp', '\u0015'],
  ['home', 'g'],
  ['end', 'G'],
] as const;

export function Tui({ app, isColoured, quit, stop, screen }: TuiProps): ReactNode {
  const { columns, rows } = useWindowSize();
  const { suspendTerminal } = useApp();
  const [, redraw] = useState(0);
  const kept = useRef<Model | undefined>(undefined);
  kept.current ??= makeModel(app, screen, () => redraw((count) => count + 1), quit);
  const model = kept.current;
  const start = useRef(0);
  useOperation(model.turn, model.wait, '');
  useInput((input, key) => {
    if (key.ctrl && input === 'z') {
      void suspendTerminal(stop);
      return;
    }
    if (key.ctrl && input === 'c') {
      model.press('\u0003');
      return;
    }
    if (key.ctrl && input === 'd') {
      model.press('\u0004');
      return;
    }
    if (key.ctrl && input === 'u') {
      model.press('\u0015');
      return;
    }
    if (key.ctrl && input === 'p') {
      model.press(':');
      return;
    }
    const named = NAMED.find(([name]) => key[name]);
    if (named !== undefined) {
      model.press(named[1]);
      return;
    }
    // A question ignores what came as one string; a list walks it.
    if (model.state().question === undefined) for (const one of input) model.press(one);
    else model.press(input);
  });
  const state = model.state();
  const now = epochMs(Date.now());
  const head = headOf(app, state, now);
  const foot = footOf(state);
  const room = rows - 1 - head.length - foot.length;
  const ids = state.listing?.ids ?? [];
  start.current = firstShown(Math.max(0, ids.indexOf(state.cursorId ?? '')), start.current, Math.max(1, room - 1));
  const body = bodyOf(state, { start: start.current, count: Math.max(1, room - 1), width: columns, now });
  return <Frame columns={columns} rows={rows} isColoured={isColoured} head={head} body={body} foot={foot} />;
}

const clockText = (time: number): string => toRfc3339(epochMs(time)).slice(11, 19);

function headOf(app: App, state: State, now: number): readonly Line[] {
  const tabs = SCREENS.map((name, index) =>
    index === state.screen ? `[${index + 1} ${name}]` : ` ${index + 1} ${name} `,
  );
  const { lost } = state;
  const status: Line =
    lost === undefined
      ? [` auth-server  ${app.store.label}   ${state.isFrozen ? 'FROZEN' : 'live'} ${clockText(now)}`]
      : [
          ' ',
          {
            text: `DATABASE UNREACHABLE ${Math.round((now - lost.since) / 1_000)}s, retrying, data of ${clockText(state.readAt)}`,
            tone: 'alarm',
          },
        ];
  const filter =
    state.screen === 0 ? ` / ${state.filter}${state.isTyping ? '_' : ''}` : ` ${state.listing?.note ?? ''}`;
  const arrived = state.arrived > 0 ? `   ${state.arrived} new above (g)` : '';
  return [status, tabs.join(''), `${filter}${arrived}`];
}

function footOf({ screen, question, message, marked, listing }: State): readonly Line[] {
  if (question !== undefined) return [[' ', { text: question.text, tone: 'warn' }], ` ${question.typed}_`];
  const more = screen === 0 && listing?.nextCursor != null ? 'more below (.)  ' : '';
  const count = marked.size === 0 ? '' : `${marked.size} marked  `;
  return [` ${more}${count}${message}`, footerOf(screen)];
}

function bodyOf(state: State, view: Parameters<typeof listLines>[1]): readonly Line[] {
  if (state.isHelp) return keysOn(state.screen).map(({ keys, does }) => ` ${keys.padEnd(10)} ${does}`);
  if (state.story !== undefined) return state.story;
  if (state.listing === undefined) return [' reading'];
  if (state.listing.ids.length === 0)
    return [` ${state.listing.note === '' ? 'nothing here yet' : state.listing.note}`];
  return listLines(state.listing, view, { id: state.cursorId, marked: state.marked });
}
