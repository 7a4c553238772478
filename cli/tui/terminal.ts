/** The process around the picture: signals that end it, a crash that must give the screen back first, and a stop with its return. */
import { onInterrupt } from '../interrupt.ts';

/** What is to happen while the picture is up. */
export interface WhileDrawn {
  readonly onSignal: (signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP') => void;
  /** Before anything is said about it: what is written on the alternate screen goes with it. */
  readonly onCrash: () => void;
}

/** A signal somebody listens to is no longer Ink's. @returns what stops listening */
export function listenWhileDrawn({ onSignal, onCrash }: WhileDrawn): () => void {
  const giveBack = onInterrupt(onSignal);
  const hangUp = (): void => onSignal('SIGHUP');
  process.on('SIGHUP', hangUp);
  process.prependListener('uncaughtException', onCrash);
  return () => {
    giveBack();
    process.off('SIGHUP', hangUp);
    process.off('uncaughtException', onCrash);
  };
}

/** `kill -TSTP` means what Ctrl-Z does. @returns what stops listening */
export function onStopSignal(listener: () => void): () => void {
  process.on('SIGTSTP', listener);
  return () => process.off('SIGTSTP', listener);
}

/** While Ink has given the terminal back. The timer keeps the process, which has nothing else to wait for. */
export const stopUntilContinued = (): Promise<void> =>
  new Promise((resolve) => {
    const hold = setInterval(() => undefined, 60_000);
    process.once('SIGCONT', () => {
      clearInterval(hold);
      resolve();
    });
    process.kill(process.pid, 'SIGSTOP');
  });
