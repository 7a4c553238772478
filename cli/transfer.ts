/** A copy of many megabytes under way: a bar on the terminal, and Ctrl-C that leaves nothing behind. */
import { Refusal } from '../src/refusal.ts';
import { onInterrupt } from './interrupt.ts';
import { startProgress } from './progress.ts';
import { roughly } from './when.ts';

export interface Transfer {
  /** Fires at Ctrl-C, with a refusal as its reason. */
  readonly signal: AbortSignal;
  /** `[##########----------]  52%  214 of 412 MB  1s left` */
  show(bytes: number, total: number): void;
  /** Instead of a bar: `ended 500 sessions` */
  say(text: string): void;
}

const BAR = 20;

/** Runs it; the signals are its own until it ends. */
export async function withTransfer<T>(run: (transfer: Transfer) => Promise<T>): Promise<T> {
  const abort = new AbortController();
  const progress = startProgress();
  const giveBack = onInterrupt(() =>
    abort.abort(
      new Refusal('interrupted', 'Interrupted; nothing was changed or kept.', { remedy: 'the same command again' }),
    ),
  );
  const start = performance.now();
  try {
    return await run({
      signal: abort.signal,
      show: (bytes, total) => progress.show(barText(bytes, total, performance.now() - start)),
      say: (text) => progress.show(text),
    });
  } finally {
    giveBack();
    progress.clear();
  }
}

function barText(bytes: number, total: number, took: number): string {
  const part = total === 0 ? 1 : bytes / total;
  const filled = Math.round(part * BAR);
  const bar = `[${'#'.repeat(filled)}${'-'.repeat(BAR - filled)}]`;
  const left = part === 0 ? '' : `  ${roughly((took / part) * (1 - part))} left`;
  return `${bar} ${String(Math.floor(part * 100)).padStart(3)}%  ${megabytes(bytes)} of ${megabytes(total)} MB${left}`;
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);

/** `412 MB`, `1.4 MB` */
export const sizeText = (bytes: number): string => `${megabytes(bytes)} MB`;
