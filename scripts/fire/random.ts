/** Chance that can be had again: the same seed gives the same numbers. */

export interface Chance {
  /** 0 up to, not including, 1. */
  next(): number;
  /** A whole number, 0 up to, not including, `below`. */
  below(below: number): number;
  hex(digits: number): string;
}

/** mulberry32: 32 bits of state, which is enough to choose moments. */
export function makeChance(seed: number): Chance {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number): number => Math.floor(next() * limit);
  return { next, below, hex: (digits) => Array.from({ length: digits }, () => below(16).toString(16)).join('') };
}
