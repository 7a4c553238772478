/** One thing that `doctor` has looked at, and what to do about it: the word that all its checks share. */

export interface Finding {
  readonly name: string;
  readonly status: 'ok' | 'warn' | 'fail';
  readonly message: string;
  /** What to do; null when nothing needs to be done. */
  readonly remedy: string | null;
}

/** As promised: nothing is to be done. */
export const ok = (name: string, message: string): Finding => ({ name, status: 'ok', message, remedy: null });

/** It works, but hardly as meant. */
export const warn = (name: string, message: string, remedy: string): Finding => ({
  name,
  status: 'warn',
  message,
  remedy,
});

/** A promise of the product does not hold. */
export const fail = (name: string, message: string, remedy: string): Finding => ({
  name,
  status: 'fail',
  message,
  remedy,
});
