/**
 * A line of text that somebody types: at its end, where filters and reasons grow. It stands alone because it only computes;
 * a component for input would hold the keys that come between two of its drawings.
 */
import { isPrintable } from '../../src/domain/printable.ts';

/** Characters; the operations have their own, smaller limits, and say so. */
const LONGEST = 300;

/** One key. @returns undefined for one that does not type */
export function typeKey(text: string, key: string): string | undefined {
  if (key === '\u007f' || key === '\b') return [...text].slice(0, -1).join('');
  // Ctrl-U and Ctrl-W, as in a shell.
  if (key === '\u0015') return '';
  if (key === '\u0017') return text.replace(/\S*\s*$/, '');
  return key !== '' && isPrintable(key) ? `${text}${key}`.slice(0, LONGEST) : undefined;
}

/** What was pasted: its first line, without what cannot be shown. */
export function pasteInto(text: string, pasted: string): string {
  const [line = ''] = pasted.trim().split(/[\r\n]/, 1);
  const kept = [...line].filter((character) => isPrintable(character)).join('');
  return `${text}${kept}`.slice(0, LONGEST);
}
