/** Libraries in C that change what a program is told of its machine, and the clock that is one of them. */
import { execFileSync } from 'node:child_process';
import { renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Ground } from './ground.ts';

/** Compiles it. @returns the environment that loads it */
export function preloaded(ground: Ground, name: 'clock' | 'statfs'): Readonly<Record<string, string>> {
  const library = path.join(ground.folder, `${name}.so`);
  const source = path.join(import.meta.dirname, `${name}.c`);
  execFileSync('cc', ['-O2', '-shared', '-fPIC', '-o', library, source, '-ldl']);
  return { LD_PRELOAD: library };
}

export interface Clock {
  readonly env: Readonly<Record<string, string>>;
  /** Seconds from the real time, at once in every process that has the environment. */
  set(offset: number): void;
}

export function makeClock(ground: Ground): Clock {
  const env = preloaded(ground, 'clock');
  const file = path.join(ground.folder, 'offset');
  const set = (offset: number): void => {
    // Whole at every moment: a server that reads half of it would see a time that nobody set.
    writeFileSync(`${file}.new`, String(offset));
    renameSync(`${file}.new`, file);
  };
  set(0);
  return { env: { ...env, CLOCK_OFFSET_FILE: file }, set };
}
