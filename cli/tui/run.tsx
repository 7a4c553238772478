/** Starts the interface and ends it, so that the terminal is as it was: after `q`, signals, a crash, and around Ctrl-Z. */
import { render } from 'ink';
import type { App } from '../../src/app.ts';
import { isSchemaBehind } from '../../src/operations/schema.ts';
import { type Look, Tui } from './app.tsx';
import { makeModel } from './model.ts';
import { HEALTH, SESSIONS } from './state.ts';
import { listenWhileDrawn, onStopSignal, stopUntilContinued } from './terminal.ts';

/** Of a program that a signal ended: 128 and the signal's number. */
const EXITS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

export interface TuiOptions extends Look {
  /** The log, the newest line first. */
  readonly log: () => readonly string[];
}

/** `exit`: 0, or 128 and the number of the signal that ended it. */
export interface TuiEnd {
  readonly exit: number;
  /** The database had no schema when it was opened, and has one now: it must be opened again. */
  readonly isToReopen: boolean;
}

/** Resolves when somebody has left. @throws what a screen threw */
export async function runTui(app: App, { log, ...look }: TuiOptions): Promise<TuiEnd> {
  let exit = 0;
  let isToReopen = false;
  let isBehind = await isSchemaBehind(app);
  const leaving = { now: (): void => undefined };
  const leaveWith = (code: number): void => {
    exit = code;
    leaving.now();
  };
  const model = makeModel({
    app,
    screen: isBehind ? HEALTH : SESSIONS,
    log,
    isSchemaBehind: () => isBehind,
    onMigrated: () => {
      isBehind = false;
      if (app.instance !== '') return;
      isToReopen = true;
      leaveWith(0);
    },
    quit: (isInterrupt) => leaveWith(isInterrupt ? EXITS.SIGINT : 0),
  });
  // Read before anything is drawn: a picture costs more than what is in it, and an empty one is of no use.
  model.fit({ columns: process.stdout.columns, rows: process.stdout.rows });
  await model.turn();
  const instance = render(<Tui app={app} model={model} look={look} stop={stopUntilContinued} onStop={onStopSignal} />, {
    alternateScreen: !look.isSpoken,
    interactive: true,
    exitOnCtrlC: false,
    incrementalRendering: true,
    isScreenReaderEnabled: look.isSpoken,
    maxFps: 10,
  });
  leaving.now = () => instance.unmount();
  const stopListening = listenWhileDrawn({
    onSignal: (signal) => leaveWith(EXITS[signal]),
    onCrash: () => instance.unmount(),
  });
  try {
    await instance.waitUntilExit();
    return { exit, isToReopen };
  } finally {
    stopListening();
  }
}
