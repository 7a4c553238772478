/** A clock that stands still until a test moves it, both ways: times in answers and rows can then be told exactly. */
import { type Clock, durationMs, type EpochMs, epochMs } from '../../src/domain/time.ts';

export interface FakeClock extends Clock {
  /** Milliseconds; negative steps the clock back, as an operator's hand may do. */
  advance(ms: number): void;
}

/** Not on a whole second, because claims are and rows are not. */
const START = Date.UTC(2026, 2, 1, 12, 0, 0, 250);

export function fakeClock(start: number = START): FakeClock {
  let now = start;
  let monotonic = 0;
  return {
    now: (): EpochMs => epochMs(now),
    monotonic: () => durationMs(monotonic),
    advance(ms) {
      now += ms;
      monotonic += Math.max(0, ms);
    },
  };
}
