/** Progress of long work, on stderr and only where somebody watches: one line that is rewritten, and gone at the end. */

export interface Progress {
  /** `ended 500 of 12,000` */
  show(text: string): void;
  /** Before anything else is printed. */
  clear(): void;
}

/** From the first column to the end of the line (ECMA-48 EL). */
const ERASE = '\r\u001b[K';

/** Writes nothing where stderr is no terminal. */
export function startProgress(): Progress {
  const isWatched = process.stderr.isTTY && process.env.TERM !== 'dumb';
  let isShown = false;
  return {
    show(text) {
      if (!isWatched) return;
      isShown = true;
      process.stderr.write(`${ERASE}${text}`);
    },
    clear() {
      if (isShown) process.stderr.write(ERASE);
      isShown = false;
    },
  };
}
