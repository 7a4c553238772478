/** The one table of keys: the footer, the help and the palette are read from it, so that they agree. */

export interface KeyEntry {
  readonly keys: string;
  readonly does: string;
  /** The screens it works on; everywhere without. */
  readonly on?: readonly number[];
  /** Shown in the footer, by this short word. */
  readonly footer?: string;
}

export const SCREENS = ['Sessions', 'Keys', 'Events', 'Clients', 'Users', 'Health'] as const;

const KEYS: readonly KeyEntry[] = [
  { keys: 'Enter', does: 'opens the session', on: [0, 2], footer: 'open' },
  { keys: 'r', does: 'ends the session under the cursor, or the marked ones', on: [0], footer: 'revoke' },
  { keys: 'S', does: 'ends all sessions of the subject', on: [0] },
  { keys: '/', does: 'filters: client: state: ip: since:, a subject or an id', on: [0], footer: 'filter' },
  { keys: 'Space', does: 'marks the session', on: [0], footer: 'mark' },
  { keys: '.', does: 'reads on', on: [0] },
  { keys: 'f', does: 'freezes the list, or lets it go on', footer: 'freeze' },
  { keys: 'R', does: 'rotates the ring of the key', on: [1], footer: 'rotate' },
  { keys: 'C', does: 'declares the key compromised', on: [1], footer: 'compromised' },
  { keys: 't', does: 'shows all events, or reuse alone', on: [2], footer: 'all/reuse' },
  { keys: 'D', does: 'tries all dead letters again', on: [2], footer: 'dead letters' },
  { keys: 'M', does: 'runs the migrations that are pending', on: [5], footer: 'migrate' },
  { keys: 'u', does: 'reads again', footer: 'again' },
  { keys: 'j k g G', does: 'move the cursor; so do the arrows, PgUp, PgDn, Home, End' },
  { keys: '1-6 Tab', does: 'change the screen' },
  { keys: 'Esc', does: 'goes back; clears the filter' },
  { keys: '?', does: 'shows the keys', footer: 'keys' },
  { keys: 'q', does: 'quits; so does Ctrl-C', footer: 'quit' },
];

export const keysOn = (screen: number): readonly KeyEntry[] =>
  KEYS.filter(({ on }) => on === undefined || on.includes(screen));

export const footerOf = (screen: number): string =>
  ` ${keysOn(screen)
    .flatMap(({ keys, footer }) => (footer === undefined ? [] : [`${keys} ${footer}`]))
    .join('  ')}`;
