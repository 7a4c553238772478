/**
 * Ctrl-C. Most commands end at once, because nothing of theirs can be half done; one that has something to put away, or
 * a server that drains, takes the signal over for as long as it needs.
 */

let taken: ((signal: 'SIGINT' | 'SIGTERM') => void) | undefined;

/** Takes the signals over. @returns a function that gives them back */
export function onInterrupt(handle: (signal: 'SIGINT' | 'SIGTERM') => void): () => void {
  const outer = taken;
  taken = handle;
  return () => {
    taken = outer;
  };
}

/** Once, at the start of the program. @param end what happens when nobody has taken the signals over */
export function listenForInterrupts(end: (signal: 'SIGINT' | 'SIGTERM') => void): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => (taken ?? end)(signal));
}
