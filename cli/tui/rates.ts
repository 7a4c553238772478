/** How much goes on: logins and rotations a minute, reuse an hour, and a small curve of it. It only counts what it is given. */
import type { SecurityEventType } from '../../src/domain/security-event.ts';
import type { EpochMs } from '../../src/domain/time.ts';
import { HOUR, MINUTE } from '../../src/domain/time.ts';
import type { Activity } from '../../src/operations/activity.ts';

/** Of the time before now, in slices of 10 s. */
export interface Rates {
  /** A minute. */
  readonly logins: number;
  /** An hour. */
  readonly reuses: number;
  /** A minute; null where the database does not count them. */
  readonly rotations: number | null;
  /** Rotations of the last slices of 10 s, or logins where rotations are not counted; the newest last. */
  readonly curve: readonly number[];
}

/** `add` is given what one call of `watchActivity` brought. */
export interface RateCounter {
  add(activity: Activity, now: EpochMs): void;
  rates(now: EpochMs): Rates;
}

/** Ms of one bucket, and points of the curve. */
const SLICE = 10_000;
const POINTS = 8;

interface Bucket {
  logins: number;
  reuses: number;
  rotations: number;
}

const COUNTED: Partial<Record<SecurityEventType, keyof Bucket>> = {
  'login.succeeded': 'logins',
  'token.reuse_detected': 'reuses',
};

/** Forgets what is older than an hour. Rotations need two readings: the first only says where they stand. */
export function makeRateCounter(): RateCounter {
  const buckets = new Map<number, Bucket>();
  let counted: number | null = null;
  const bucketAt = (time: number): Bucket => {
    const slice = Math.floor(time / SLICE);
    const bucket = buckets.get(slice) ?? { logins: 0, reuses: 0, rotations: 0 };
    buckets.set(slice, bucket);
    return bucket;
  };
  const sum = (now: number, span: number, what: keyof Bucket): number => {
    let total = 0;
    for (const [slice, bucket] of buckets) if (slice > Math.floor((now - span) / SLICE)) total += bucket[what];
    return total;
  };
  return {
    add({ events, rotations }, now) {
      for (const { type, at } of events) {
        const what = COUNTED[type];
        if (what !== undefined) bucketAt(at)[what] += 1;
      }
      // Statistics can be reset, and begin anew.
      if (rotations !== null && counted !== null) bucketAt(now).rotations += Math.max(0, rotations - counted);
      counted = rotations;
      const oldest = Math.floor((now - HOUR) / SLICE);
      for (const slice of buckets.keys()) if (slice < oldest) buckets.delete(slice);
    },
    rates(now) {
      const what = counted === null ? 'logins' : 'rotations';
      const newest = Math.floor(now / SLICE);
      return {
        logins: sum(now, MINUTE, 'logins'),
        reuses: sum(now, HOUR, 'reuses'),
        rotations: counted === null ? null : sum(now, MINUTE, 'rotations'),
        curve: Array.from({ length: POINTS }, (_, point) => buckets.get(newest - POINTS + 1 + point)?.[what] ?? 0),
      };
    },
  };
}

const BLOCKS = '▁▂▃▄▅▆▇█';
const PLAIN = '._-=+*#@';

/** A point a character; nothing at all is a blank. @param isUtf8 whether the terminal has blocks */
export function sparkline(curve: readonly number[], isUtf8: boolean): string {
  const levels = isUtf8 ? BLOCKS : PLAIN;
  const most = Math.max(1, ...curve);
  return curve
    .map((value) => (value === 0 ? ' ' : (levels[Math.ceil((value / most) * levels.length) - 1] ?? '')))
    .join('');
}

/** `[######..............]` @param part from 0 to 1 */
export function bar(part: number, width: number): string {
  const full = Math.round(Math.max(0, Math.min(1, part)) * width);
  return `[${'#'.repeat(full)}${'.'.repeat(width - full)}]`;
}
