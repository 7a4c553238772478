/** Times as people read them: relative at a glance, exact in UTC beside it. Machines get RFC 3339 and no function of these. */
import { DAY, type EpochMs, HOUR, MINUTE, parseRfc3339, SECOND, toRfc3339 } from '../src/domain/time.ts';

/** `3m ago`, `in 22h`, `now`. */
export function relative(time: EpochMs, now: EpochMs): string {
  const distance = now - time;
  if (Math.abs(distance) < SECOND) return 'now';
  const span = roughly(Math.abs(distance));
  return distance > 0 ? `${span} ago` : `in ${span}`;
}

/** A duration in its largest whole unit: `3m`, `22h`, `61d`. Hours go up to two days, because `1d` says too little. */
export function roughly(duration: number): string {
  if (duration < MINUTE) return `${Math.floor(duration / SECOND)}s`;
  if (duration < HOUR) return `${Math.floor(duration / MINUTE)}m`;
  return duration < 2 * DAY ? `${Math.floor(duration / HOUR)}h` : `${Math.floor(duration / DAY)}d`;
}

/** `2026-11-23 09:14:07 UTC` */
const exact = (time: EpochMs): string => `${toRfc3339(time).slice(0, 19).replace('T', ' ')} UTC`;

/** `1d ago, 2026-11-23 09:14:07 UTC`, of a time as the views have it; empty for none. */
export function relativeAndExact(time: string | null, now: EpochMs): string {
  const read = time === null ? undefined : parseRfc3339(time);
  return read === undefined ? '' : `${relative(read, now)}, ${exact(read)}`;
}
