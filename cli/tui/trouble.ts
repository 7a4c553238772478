/** What an error means to whoever looks at the screen: a database that is away is waited for; anything else is said. */
import { Refusal } from '../../src/refusal.ts';

/** Of an unforeseen error's message: a driver may put a whole statement there. */
const LONGEST = 160;
/** Of a cause in a line that has to say more. */
const SHORT = 24;

/** Only this is waited for. */
export const isLost = (error: unknown): boolean => error instanceof Refusal && error.code === 'temporarily_unavailable';

const WORDS: readonly (readonly [RegExp, string])[] = [
  [/^SQLITE_(BUSY|LOCKED)/, 'locked'],
  [/^SQLITE_READONLY/, 'read-only'],
  [/^(SQLITE_FULL|ENOSPC|53100)/, 'disk full'],
  [/^SQLITE_(CORRUPT|NOTADB)/, 'damaged'],
  [/^ECONNREFUSED/, 'refused'],
  [/^(ETIMEDOUT|57014)/, 'timed out'],
  [/ is no longer the file /, 'file moved or replaced'],
];

const wordFor = (text: string): string | undefined => WORDS.find(([pattern]) => pattern.test(text))?.[1];

/** In one word, from the code of the driver or the system, wherever in the chain of causes it stands. */
export function whyLost(error: unknown): string {
  let last = '';
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const code = 'code' in at && typeof at.code === 'string' ? at.code : '';
    if (code !== '' && code !== 'temporarily_unavailable') return wordFor(code) ?? code;
    last = at.message;
  }
  return wordFor(last) ?? last.slice(0, SHORT);
}

/** What to say of one that is not waited for. */
export function wordsOf(error: unknown): string {
  if (error instanceof Refusal) {
    return error.remedy === undefined ? error.description : `${error.description} (${error.remedy})`;
  }
  return `this is a bug: ${error instanceof Error ? `${error.name}: ${error.message.slice(0, LONGEST)}` : 'unknown'}`;
}
