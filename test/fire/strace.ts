/** Faults at system calls, from outside (strace): which calls a program makes, and how one of them fails or is the last. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { onTestFinished } from 'vitest';

/** The calls by which SQLite changes its files. */
export const CALLS = ['pwrite64', 'fsync', 'fdatasync', 'ftruncate'] as const;

/** The calls by which files get and lose their names. */
export const NAMING = ['link', 'linkat', 'rename', 'renameat', 'renameat2', 'unlink', 'unlinkat'] as const;

export type Call = (typeof CALLS)[number] | (typeof NAMING)[number];

export interface Point {
  readonly call: Call;
  /** Which of them, from 1. */
  readonly nth: number;
}

export const nameOf = ({ call, nth }: Point): string => `${call} ${nth}`;

/** Options of strace that note all of these. */
export const noting = (log: string, calls: readonly Call[]): readonly string[] => [
  '-o',
  log,
  '-e',
  `trace=${calls.join(',')}`,
];

/** Options of strace that make one call fail, or kill: `signal=SIGKILL`, `error=EIO`. */
export const spoiling = ({ call, nth }: Point, fault: string): readonly string[] => [
  '-o',
  '/dev/null',
  '-e',
  `trace=${call}`,
  '-e',
  `inject=${call}:${fault}:when=${nth}`,
];

/** To be put before a program: follows it from its start, all of its threads. */
export const before = (options: readonly string[]): readonly string[] => ['strace', '-f', '-qq', ...options];

/** What was noted, as the points to put faults at: strace counts the calls of each thread for itself. */
export function pointsIn(log: string, calls: readonly Call[]): readonly Point[] {
  const lines = readFileSync(log, 'utf8').split('\n');
  return calls.flatMap((call) => {
    const threads = lines.filter((line) => line.includes(` ${call}(`)).map((line) => line.split(' ', 1)[0] ?? '');
    const counts = threads.map((thread) => threads.filter((other) => other === thread).length);
    return Array.from({ length: Math.max(0, ...counts) }, (_, index): Point => ({ call, nth: index + 1 }));
  });
}

/** Follows a process that runs, all of its threads. @returns when it does */
export async function attach(pid: number, options: readonly string[]): Promise<ChildProcess> {
  const child = spawn('strace', ['-f', ...options, '-p', String(pid)], { stdio: ['ignore', 'ignore', 'pipe'] });
  onTestFinished(() => detach(child));
  let said = '';
  await new Promise<void>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', () => reject(new Error(`strace ended:\n${said}`)));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (said.includes('attached')) resolve();
    });
  });
  return child;
}

export async function detach(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGINT');
  await ended;
}
