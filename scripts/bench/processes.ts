/**
 * Processes of a benchmark: started on one core, waited for, and ended by their id however the run ends. It stands alone
 * so that nothing else here can leave one behind.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { get } from 'node:http';
import os from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';

const START_LIMIT_MS = 20_000;
const END_LIMIT_MS = 20_000;

/** Where nothing can pin or nothing is left to choose, processes run wherever the system likes. */
const canPin = ((): boolean => {
  if (process.platform !== 'linux' || os.availableParallelism() < 2) return false;
  try {
    execFileSync('taskset', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

export type Command = readonly [string, ...string[]];

/** `taskset` becomes the program, so the id is the program's. */
export const pinned = (core: number, command: Command): Command =>
  canPin ? ['taskset', '-c', String(core), ...command] : command;

/** Whether each process has its core; else figures are not to be compared with those of another run. */
export const isPinned = canPin;

const started = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of started) child.kill('SIGKILL');
});
// Without a listener, a signal ends the process and no `exit` is heard.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

/** A process that has answered. */
export interface Running {
  readonly pid: number;
  /** Milliseconds from its start to its first answer. */
  readonly startMs: number;
  stop(): Promise<void>;
}

/** Keeps an eye on a process until it ends. */
export function adopt(child: ChildProcess): void {
  started.add(child);
  child.once('exit', () => started.delete(child));
}

/** SIGTERM, and SIGKILL after 20 s. One that has ended is left alone. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), END_LIMIT_MS);
  await ended;
  clearTimeout(timer);
}

/** What to start, in which folder, and where it is asked whether it is up. */
export interface ServerCommand {
  readonly command: Command;
  readonly cwd: string;
  readonly port: number;
  /** Answered with 200 once it serves. */
  readonly path: string;
}

/** A server on core 0. @throws when it does not answer in time */
export async function startServer({ command, cwd, port, path }: ServerCommand): Promise<Running> {
  const [program, ...args] = pinned(0, command);
  const before = performance.now();
  const child = spawn(program, args, { cwd, env: { PATH: process.env.PATH }, stdio: ['ignore', 'ignore', 'pipe'] });
  adopt(child);
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-4_000);
  });
  const limit = before + START_LIMIT_MS;
  while (!(await answers(port, path))) {
    if (child.exitCode !== null) throw new Error(`${command.join(' ')} ended with ${child.exitCode}:\n${said}`);
    if (performance.now() > limit) throw new Error(`${command.join(' ')} did not answer in time:\n${said}`);
    await delay(2);
  }
  if (child.pid === undefined) throw new Error('a process that answers has an id');
  return { pid: child.pid, startMs: performance.now() - before, stop: () => end(child) };
}

/** Whether there is an answer of 200. */
function answers(port: number, path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, path, agent: false }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode === 200));
    });
    request.once('error', () => resolve(false));
    request.setTimeout(1_000, () => request.destroy());
  });
}
