/** The terminal interface without a terminal: keys in, frames out, in a window of any size. */
import { render } from 'ink-testing-library';
import { onTestFinished } from 'vitest';
import { type Look, Tui } from '../../cli/tui/app.tsx';
import { makeModel } from '../../cli/tui/model.ts';
import type { App } from '../../src/app.ts';
import { until } from './until.ts';

export interface TuiOptions {
  readonly screen?: number;
  readonly columns?: number;
  readonly rows?: number;
  readonly look?: Partial<Look>;
  readonly log?: readonly string[];
  readonly isSchemaBehind?: boolean;
}

export interface RunningTui {
  /** One key, or several as quick typing sends them. */
  press(keys: string): void;
  paste(text: string): void;
  /** The last picture. */
  frame(): string;
  /** Waits until the picture holds the text. */
  shows(text: string): Promise<void>;
  resize(columns: number, rows: number): void;
  /** What it asked of its process, in order. */
  readonly asked: string[];
}

/** It ends with its test. */
export function startTui(app: App, options: TuiOptions = {}): RunningTui {
  const { screen = 0, columns = 80, rows = 24, look = {}, log = [], isSchemaBehind = false } = options;
  const asked: string[] = [];
  let isBehind = isSchemaBehind;
  const model = makeModel({
    app,
    screen,
    log: () => log,
    isSchemaBehind: () => isBehind,
    onMigrated: () => {
      isBehind = false;
      asked.push('migrated');
    },
    quit: (isInterrupt) => asked.push(isInterrupt ? 'interrupt' : 'quit'),
  });
  const tui = render(
    <Tui
      app={app}
      model={model}
      look={{ isColoured: false, isSpoken: false, isUtf8: false, ...look }}
      stop={async () => {
        asked.push('stop');
      }}
      onStop={() => () => undefined}
    />,
  );
  onTestFinished(() => tui.unmount());
  const resize = (width: number, height: number): void => {
    // The library's window is 100 wide, and as high as the terminal that runs the tests.
    Object.defineProperties(tui.stdout, {
      columns: { value: width, configurable: true },
      rows: { value: height, configurable: true },
    });
    tui.stdout.emit('resize');
  };
  resize(columns, rows);
  const frame = (): string => tui.lastFrame() ?? '';
  return {
    press: (keys) => tui.stdin.write(keys),
    paste: (text) => tui.stdin.write(`\u001b[200~${text}\u001b[201~`),
    frame,
    shows: async (text) => {
      await until(() => frame().includes(text), `the screen shows ${text}`).catch((error: unknown) => {
        throw new Error(`${error}:\n${frame()}`);
      });
    },
    resize,
    asked,
  };
}
