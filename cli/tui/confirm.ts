/**
 * What it takes to confirm: for one session `y`, for several their number, for a key its id. Never Enter, and never the
 * key that asked: held keys must end nothing. It stands alone because it only decides.
 */

/** A question as it stands, with what has been typed so far. */
export interface Question {
  readonly text: string;
  /** What must be typed, and nothing else: `y`, `214`, a kid. */
  readonly answer: string;
  readonly typed: string;
  /** Of a clock that never steps back, ms. */
  readonly askedAt: number;
  /** What is kept with the sessions that end; undefined where nothing keeps one. `e` edits it. */
  readonly reason: string | undefined;
}

/** `keep`: nothing is to be done. `edit`: the reason is to be typed first. */
export type Verdict =
  | { readonly kind: 'waiting'; readonly question: Question }
  | { readonly kind: 'yes' | 'keep' | 'edit' };

/** Keys that were on their way before anybody could have read the question, ms. */
const UNREAD = 300;

const isOneKey = ({ answer }: Question): boolean => answer.length === 1 && !/[0-9]/.test(answer);

/** @param input what the terminal sent, @param now of the clock of `askedAt`, ms */
export function answerQuestion(question: Question, input: string, now: number): Verdict {
  const waiting = (typed: string): Verdict => ({ kind: 'waiting', question: { ...question, typed } });
  // Ink hands over quick keys as one string: nobody has read a question between them.
  if (input.length !== 1 || now - question.askedAt < UNREAD) return waiting(question.typed);
  if (input === '\u001b') return { kind: 'keep' };
  if (input === '\u007f' || input === '\b') return waiting(question.typed.slice(0, -1));
  // A reason goes with numbers and with `y` alone: no answer has an `e`.
  if (input === 'e' && question.reason !== undefined) return { kind: 'edit' };
  if (isOneKey(question)) return { kind: input === question.answer ? 'yes' : 'keep' };
  if (!/^[\x21-\x7e]$/.test(input)) return waiting(question.typed);
  const typed = `${question.typed}${input}`.slice(0, 64);
  return typed === question.answer ? { kind: 'yes' } : waiting(typed);
}

/** What may be pressed, for the row below the question. */
export function choices(question: Question): string {
  const reason = question.reason === undefined ? '' : `reason: ${question.reason} (e edits)    `;
  if (isOneKey(question)) return `${reason}${question.answer}: do it    other key: keep`;
  return `${reason}Type ${question.answer}: ${question.typed}_    Esc: keep`;
}
