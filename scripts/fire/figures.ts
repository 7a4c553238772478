/** Figures from samples, and of processes as the system counts them. Linux only, like the tests that need them. */
import { readdirSync, readFileSync } from 'node:fs';

/** Of any order; NaN when there are none. @param share 0 to 1 */
export function quantile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** Of any order; NaN when there are none. Of two in the middle the upper one. */
export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** Of the straight line with the least squares through the points, y per x. */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const x = mean(points.map(([at]) => at));
  const y = mean(points.map(([, value]) => value));
  const up = points.reduce((sum, [at, value]) => sum + (at - x) * (value - y), 0);
  return up / points.reduce((sum, [at]) => sum + (at - x) ** 2, 0);
}

export interface ProcessFigures {
  /** Resident bytes, now and at most so far. */
  readonly resident: number;
  readonly residentPeak: number;
  readonly descriptors: number;
  readonly threads: number;
  /** How often its first thread has waited for something. */
  readonly wakeUps: number;
}

/** @throws when there is no such process */
export function processFigures(pid: number): ProcessFigures {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const number = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]);
  return {
    resident: number('VmRSS') * 1_024,
    residentPeak: number('VmHWM') * 1_024,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    threads: number('Threads'),
    wakeUps: number('voluntary_ctxt_switches'),
  };
}

/** For people. */
export const megabytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;
