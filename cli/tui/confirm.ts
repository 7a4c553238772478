/**
 * What it takes to confirm: for one session `y`, for several their number, for a key its id. Never Enter, and never the
 * key that asked: held keys must end nothing. It stands alone because it only decides.
 */

export interface Question {
  readonly text: string;
  /** What must be typed, and nothing else: `y`, `214`, a kid. */
  readonly answer: string;
  readonly typed: string;
  /** When it came up, ms. */
  readonly askedAt: number;
}

export type Verdict = { readonly kind: 'waiting'; readonly question: Question } | { readonly kind: 'yes' | 'keep' };

/** Keys that were on their way before anybody could have read the question, ms. */
const UNREAD = 300;

export function answerQuestion(question: Question, input: string, now: number): Verdict {
  const waiting = (typed: string): Verdict => ({ kind: 'waiting', question: { ...question, typed } });
  // Ink hands over quick keys as one string: nobody has read a question between them.
  if (input.length !== 1 || now - question.askedAt < UNREAD) return waiting(question.typed);
  if (input === '\u001b') return { kind: 'keep' };
  if (input === '\u007f' || input === '\b') return waiting(question.typed.slice(0, -1));
  if (question.answer.length === 1 && !/[0-9]/.test(question.answer)) {
    return { kind: input === question.answer ? 'yes' : 'keep' };
  }
  if (!/^[\x21-\x7e]$/.test(input)) return waiting(question.typed);
  const typed = `${question.typed}${input}`.slice(0, 64);
  return typed === question.answer ? { kind: 'yes' } : waiting(typed);
}
