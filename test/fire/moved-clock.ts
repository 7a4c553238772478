/** A time of day of its own for a process, moved while it runs. Linux with a C compiler. */
import { execFileSync } from 'node:child_process';
import { renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export interface MovedClock {
  /** Of the processes that shall have it. */
  readonly env: Readonly<Record<string, string>>;
  /** Seconds from the real time, at once in all of them. */
  set(offset: number): void;
}

/** @param folder where its files are; goes with the test */
export function makeMovedClock(folder: string): MovedClock {
  const library = path.join(folder, 'clock.so');
  execFileSync('cc', ['-O2', '-shared', '-fPIC', '-o', library, path.join(import.meta.dirname, 'clock.c'), '-ldl']);
  const file = path.join(folder, 'offset');
  const set = (offset: number): void => {
    // Whole at every moment: a server that reads half of it would see a time that nobody set.
    writeFileSync(`${file}.new`, String(offset));
    renameSync(`${file}.new`, file);
  };
  set(0);
  return { env: { LD_PRELOAD: library, CLOCK_OFFSET_FILE: file }, set };
}
