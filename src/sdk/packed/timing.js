/** Time and chance as the SDK meets them, in browsers as in Node: all that is ambient comes in here. Times are milliseconds. */
/** The wall clock, which people and time servers set: for times that others wrote. */
export const wallClock = () => Date.now();
/** Never steps back; may stand still while the machine sleeps. */
export const monotonic = () => performance.now();
/**
 * Full jitter: of any number of clients that failed together, no two need try again together.
 * @param failures since the last success, from 1
 */
export const backoff = (failures, first, most) => Math.min(most, first * 2 ** Math.min(failures - 1, 20)) * (0.5 + Math.random() / 2);
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
/** A timer that keeps no process alive. @returns ends it */
export function later(ms, work) {
    const timer = setTimeout(work, ms);
    // Node's timers are objects, those of a browser are numbers.
    const { unref } = timer;
    unref?.call(timer);
    return () => clearTimeout(timer);
}
/** A pause that keeps no process alive. */
export const quietPause = (ms) => new Promise((resolve) => later(ms, resolve));
/** Waits for work that never fails, but no longer than this. */
export async function atMost(ms, work) {
    let cancel = () => undefined;
    const over = new Promise((resolve) => {
        cancel = later(ms, resolve);
    });
    await Promise.race([work, over]);
    cancel();
}
const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** `"10s"`, `"250ms"`, as the server's configuration spells durations. @returns undefined for anything else */
export function parseDuration(text) {
    const [, digits, unit = ''] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(String(text)) ?? [];
    return digits === undefined ? undefined : Number(digits) * (UNITS[unit] ?? 1);
}
