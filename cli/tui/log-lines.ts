/** The log while the screen is up: kept for Health, because whatever is written to stderr would go through the picture. */
import type { EpochMs } from '../../src/domain/time.ts';
import { type Log, type LogLevel, makeLog } from '../../src/log.ts';

/** Lines that are kept. */
const KEPT = 100;

export interface LogLines {
  readonly log: (level: LogLevel) => Log;
  /** The newest first, each without its line break. */
  readonly lines: () => readonly string[];
}

/** Keeps 100 lines, whatever their level; which are written is the level's business. */
export function makeLogLines(now: () => EpochMs): LogLines {
  let kept: readonly string[] = [];
  const write = (line: string): void => {
    kept = [line.trimEnd(), ...kept].slice(0, KEPT);
  };
  return { log: (level) => makeLog({ level, format: 'pretty', now, write }), lines: () => kept };
}
