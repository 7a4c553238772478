/** Starts the interface and ends it, so that the terminal is as it was: after `q`, signals, a crash, and around Ctrl-Z. */
import { render } from 'ink';
import type { App } from '../../src/app.ts';
import { isSchemaBehind } from '../../src/operations/schema.ts';
import type { ExitCode } from '../../src/refusal.ts';
import { onInterrupt } from '../interrupt.ts';
import { Tui } from './app.tsx';
import { HEALTH } from './model.ts';

export interface TuiOptions {
  readonly isColoured: boolean;
  readonly isSpoken: boolean;
}

/** Resolves when somebody has left. @returns the exit code */
export async function runTui(app: App, { isColoured, isSpoken }: TuiOptions): Promise<ExitCode> {
  let exit: ExitCode = 0;
  const leaving = { now: (): void => undefined };
  const screen = (await isSchemaBehind(app)) ? HEALTH : 0;
  const leaveWith = (code: ExitCode) => (): void => {
    exit = code;
    leaving.now();
  };
  const giveBack = onInterrupt((signal) => leaveWith(signal === 'SIGINT' ? 130 : 0)());
  const hangUp = leaveWith(0);
  process.on('SIGHUP', hangUp);
  const instance = render(
    <Tui app={app} isColoured={isColoured} quit={leaveWith(0)} stop={stopUntilContinued} screen={screen} />,
    {
      alternateScreen: !isSpoken,
      interactive: true,
      exitOnCtrlC: false,
      incrementalRendering: true,
      isScreenReaderEnabled: isSpoken,
      maxFps: 10,
    },
  );
  leaving.now = () => instance.unmount();
  try {
    await instance.waitUntilExit();
    return exit;
  } finally {
    giveBack();
    process.off('SIGHUP', hangUp);
  }
}

/** Ctrl-Z, while Ink has given the terminal back. The timer keeps the process, which has nothing else to wait for. */
const stopUntilContinued = (): Promise<void> =>
  new Promise((resolve) => {
    const hold = setInterval(() => undefined, 60_000);
    process.once('SIGCONT', () => {
      clearInterval(hold);
      resolve();
    });
    process.kill(process.pid, 'SIGSTOP');
  });
