/** How the findings of `doctor` look to people. It stands alone because it only computes. */
import stringWidth from 'string-width';
import type { Finding } from '../src/domain/finding.ts';
import { printable } from '../src/domain/printable.ts';
import { type Line, paint, type Tone } from './paint.ts';

/** Columns for what was found, however narrow the terminal is. */
const LEAST = 20;

const TONES: Readonly<Record<Finding['status'], Tone>> = { ok: 'good', warn: 'warn', fail: 'alarm' };

/** A finding is a line where it fits; else its words go on below each other, and what to do begins a line. */
export function findingLines(checks: readonly Finding[], width: number): readonly Line[] {
  const space = Math.max(...checks.map(({ name }) => name.length));
  const margin = 6 + space + 2;
  const lines = checks.flatMap(({ name, status, message, remedy }): Line[] => {
    const word = status === 'fail' ? 'FAIL' : status;
    const head = [paint(TONES[status], word), `${' '.repeat(6 - word.length)}${name.padEnd(space)}  `];
    const next = remedy === null ? [] : [`-> ${remedy}`];
    const whole = [message, ...next].join(' ');
    const parts = margin + stringWidth(whole) <= width ? [whole] : [message, ...next];
    const [first = '', ...others] = parts.flatMap((part) => wrapWords(part, Math.max(LEAST, width - margin)));
    return [[...head, first], ...others.map((other) => `${' '.repeat(margin)}${other}`)];
  });
  return [...lines, summary(checks)];
}

function summary(checks: readonly Finding[]): string {
  const count = (status: Finding['status']): number => checks.filter((check) => check.status === status).length;
  const several = (number: number, word: string): string => `${number} ${word}${number === 1 ? '' : 's'}`;
  return `${count('ok')} ok, ${several(count('warn'), 'warning')}, ${several(count('fail'), 'failure')}`;
}

/** @returns lines of whole words, each at most so wide; a longer word has a line of its own, so that it can be copied whole */
function wrapWords(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  for (const word of printable(text).split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && stringWidth(last) + 1 + stringWidth(word) <= width)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
