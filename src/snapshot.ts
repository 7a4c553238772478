/**
 * A value that is read from the database and may be a moment old: the key rings, the clients. It stands alone because what
 * it promises, how old the value can be, is a promise of the product: a change is seen by every server within two seconds.
 */

/** Never caches a failure: whoever asks next loads again. */
export interface Snapshot<T> {
  /**
   * The value, at most `maxAge` milliseconds old (by default the age given when it was made). Those who wait for it share
   * one load. @throws whatever the load throws: a value that is too old is not given out
   */
  current(maxAge?: number): T | Promise<T>;
  /**
   * What a load gives that begins after this call: after a change of one's own, or when the value lacks what somebody else
   * must have added. It begins at least `spacing` milliseconds (0 unless told) after the load before; those who wait for it
   * share it. @throws whatever the load throws
   */
  reload(spacing?: number): Promise<T>;
}

/** @param monotonic milliseconds that never step back */
export function makeSnapshot<T>(
  load: (previous: T | undefined) => Promise<T>,
  maxAge: number,
  monotonic: () => number,
): Snapshot<T> {
  let held: { readonly value: T; readonly at: number } | undefined;
  let loading: Promise<T> | undefined;
  let latest: Promise<T> | undefined;
  let begun = { count: 0, at: -Infinity };

  async function loadOnce(): Promise<T> {
    // Taken before the load: a change that comes while it runs may be missed by it.
    const at = monotonic();
    begun = { count: begun.count + 1, at };
    try {
      const value = await load(held?.value);
      held = { value, at };
      return value;
    } finally {
      loading = undefined;
    }
  }

  const startLoad = (): Promise<T> => {
    if (loading === undefined) {
      loading = loadOnce();
      latest = loading;
    }
    return loading;
  };

  return {
    current(age = maxAge) {
      return held !== undefined && monotonic() - held.at < age ? held.value : startLoad();
    },
    async reload(spacing = 0) {
      const { count, at } = begun;
      const wait = at + spacing - monotonic();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      if (begun.count > count && latest !== undefined) return latest;
      // One that is under way may have begun before the change.
      await loading?.catch(() => undefined);
      return startLoad();
    },
  };
}
