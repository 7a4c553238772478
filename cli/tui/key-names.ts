/** Keys that are no visible characters, by what the model knows them as. */

/** Control characters, as a terminal sends them: for Enter, Esc, Ctrl-C, Ctrl-D and Ctrl-U. */
export const ENTER = '\r';
export const ESC = '\u001b';
export const CTRL_C = '\u0003';
export const PAGE_DOWN = '\u0004';
export const PAGE_UP = '\u0015';

/** Under names that nobody can type. */
export const DOWN = '\u0000down';
export const UP = '\u0000up';
export const PREVIOUS = '\u0000previous';

/** Whether it is one key, however long its name is. */
export const isNamed = (key: string): boolean => key.startsWith('\u0000');
