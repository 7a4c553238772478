/**
 * Time, kept apart by unit: tables and decisions are in milliseconds, token claims in seconds, the wire in RFC 3339.
 * These are the only conversions between them.
 */
import type { Brand } from './ids.ts';

/** Milliseconds since 1970 UTC. */
export type EpochMs = Brand<number, 'EpochMs'>;
/** Whole seconds since 1970 UTC: a NumericDate (RFC 7519 §2). */
export type EpochSeconds = Brand<number, 'EpochSeconds'>;
/** Milliseconds; those of a monotonic clock have fractions. */
export type DurationMs = Brand<number, 'DurationMs'>;

/** Where the time comes from; passed in, so that tests can move it. */
export interface Clock {
  now(): EpochMs;
  /** Milliseconds that never step back, from an arbitrary start: for ages and time-outs. */
  monotonic(): DurationMs;
}

/** The caller says that it is milliseconds since 1970 UTC; nothing is checked. */
export const epochMs = (value: number): EpochMs => value as EpochMs;
/** The caller says that it is milliseconds; nothing is checked. */
export const durationMs = (value: number): DurationMs => value as DurationMs;

/** Lengths in milliseconds, none of the calendar: a day is 24 hours. */
export const SECOND = durationMs(1_000);
export const MINUTE = durationMs(60_000);
export const HOUR = durationMs(3_600_000);
export const DAY = durationMs(86_400_000);

/** Before this nothing of this program existed: a clock that says so was never set. */
export const EARLIEST = epochMs(1_767_225_600_000);

/** @param duration milliseconds; a negative one goes back */
export const after = (start: EpochMs, duration: number): EpochMs => epochMs(start + duration);
/** The second that it lies in: rounded down, never into the future. */
export const toSeconds = (time: EpochMs): EpochSeconds => Math.floor(time / 1_000) as EpochSeconds;
/** The beginning of that second. */
export const toMs = (time: EpochSeconds): EpochMs => epochMs(time * 1_000);

/** For a library that wants one; nothing of ours does. */
export const toDate = (time: EpochMs): Date => new Date(time);

/** RFC 3339 in UTC with milliseconds. */
export const toRfc3339 = (time: EpochMs): string => new Date(time).toISOString();

const RFC3339 = /^(\d{4}-\d\d-\d\d)[Tt]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/;

/** `Date.parse` makes the 30th of February the 1st of March: a slip of the keyboard would be another time. */
const isDay = (day: string): boolean => {
  const start = Date.parse(`${day}T00:00:00Z`);
  return !Number.isNaN(start) && toRfc3339(epochMs(start)).startsWith(day);
};

/** @returns undefined for anything that is not an RFC 3339 time */
export function parseRfc3339(text: string): EpochMs | undefined {
  const day = RFC3339.exec(text)?.[1];
  const time = day === undefined || !isDay(day) ? Number.NaN : Date.parse(text);
  return Number.isNaN(time) ? undefined : epochMs(time);
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: SECOND, m: MINUTE, h: HOUR, d: DAY };

/** `"90d"`, `"5m"`, `"10s"`, `"250ms"`. @returns undefined for anything else */
export function parseDuration(text: string): DurationMs | undefined {
  const match = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text);
  const unit = match?.[2] === undefined ? undefined : UNITS[match[2]];
  if (match === null || unit === undefined) return undefined;
  const value = Number(match[1]) * unit;
  return Number.isSafeInteger(value) ? durationMs(value) : undefined;
}

/** The shortest spelling that `parseDuration` reads back: 300000 → `5m`. */
export function formatDuration(duration: DurationMs): string {
  if (duration === 0) return '0s';
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    const size = UNITS[unit] ?? 1;
    if (duration % size === 0) return `${duration / size}${unit}`;
  }
  return `${duration}ms`;
}
