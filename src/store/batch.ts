/** Questions of one turn of the event loop, asked together: many requests that wait cost one round trip. */

/** `size`: items of one batch at most. */
export interface BatchOptions {
  /** Batches under way at once; while none is free, questions gather for the next. */
  readonly atOnce: number;
  readonly size: number;
}

interface Waiting<I, O> {
  readonly item: I;
  readonly resolve: (answer: O) => void;
  readonly reject: (error: unknown) => void;
}

/** @param run answers in the order of its items, or throws for them all */
export function makeBatch<I, O>(
  run: (items: readonly I[]) => Promise<readonly O[]>,
  options: BatchOptions,
): (item: I) => Promise<O> {
  let waiting: Waiting<I, O>[] = [];
  let running = 0;
  let isScheduled = false;

  function schedule(): void {
    if (isScheduled || running >= options.atOnce) return;
    isScheduled = true;
    // After the events of this turn, so that all of them are in.
    setImmediate(flush);
  }

  function flush(): void {
    isScheduled = false;
    if (waiting.length === 0) return;
    const batch = waiting.slice(0, options.size);
    waiting = waiting.slice(options.size);
    running += 1;
    run(batch.map(({ item }) => item))
      .then(
        (answers) => {
          for (const [index, { resolve }] of batch.entries()) resolve(answers[index] as O);
        },
        (error: unknown) => {
          for (const { reject } of batch) reject(error);
        },
      )
      .finally(() => {
        running -= 1;
        if (waiting.length > 0) schedule();
      });
    if (waiting.length > 0) schedule();
  }

  return (item) =>
    new Promise<O>((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      schedule();
    });
}
