/** The longest time that a request takes, as its caller sees it: however many slow steps its answer is made of. */
import type { IncomingMessage } from 'node:http';

/** How soon to look again at a request that has not arrived: it is for the listener to refuse, ms. */
const LOOK_AGAIN = 1_000;

/**
 * What `work` gives, or `late()` when that takes longer than `limit`. The work itself goes on: what it commits after all stays,
 * and whoever repeats the request with its key gets it.
 * @param work never rejects
 * @param limit ms
 */
export function inTime<T>(incoming: IncomingMessage, work: Promise<T>, limit: number, late: () => T): Promise<T> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (incoming.complete) resolve(late());
      else timer = setTimeout(look, LOOK_AGAIN);
    };
    let timer = setTimeout(look, limit);
    void work.then((value) => {
      clearTimeout(timer);
      resolve(value);
    });
  });
}
