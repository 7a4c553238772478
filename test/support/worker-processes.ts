/** Real workers as processes of their own, which a test may kill without a word. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

const root = path.dirname(path.dirname(import.meta.dirname));

export interface WorkerProcess {
  /** Until it says that it works; fails when it ends instead. */
  ready(): Promise<void>;
  /** @returns its exit code; null for one that was killed */
  stop(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null>;
  said(): string;
}

/** @param folder its working directory, with the configuration. The caller stops it */
export function startWorkerProcess(folder: string): WorkerProcess {
  const program = [path.join(root, 'node_modules/.bin/node'), path.join(root, 'cli/main.ts'), 'worker'] as const;
  const child: ChildProcess = spawn(program[0], program.slice(1), {
    cwd: folder,
    env: {},
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  let isHeard: () => void = () => undefined;
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = `${said}${text}`.slice(-20_000);
    isHeard();
  });
  child.on('exit', () => isHeard());
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  return {
    said: () => said,
    async ready() {
      while (!said.includes('"working"')) {
        if (hasEnded()) throw new Error(`the worker ended:\n${said}`);
        await new Promise<void>((resolve) => {
          isHeard = resolve;
        });
      }
    },
    async stop(signal) {
      if (hasEnded()) return child.exitCode;
      const ended = once(child, 'exit');
      child.kill(signal);
      await ended;
      return child.exitCode;
    },
  };
}
