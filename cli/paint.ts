/**
 * Text on its way to a terminal: pieces, some of them marked. Colour marks only exceptions, and a word says the same. It
 * stands alone because it is the gate: what is not our own escape sequence comes out printable.
 */
import { printable } from '../src/domain/printable.ts';

/** `alarm`: reuse, a failure. `warn`: will need attention. `dim`: over. `good`: a check that holds. */
export type Tone = 'alarm' | 'warn' | 'dim' | 'good';

export interface Painted {
  readonly text: string;
  readonly tone: Tone;
}

export type Piece = string | Painted;
/** One line; a line break inside of it is shown as an escape, so that no stored text can forge a line. */
export type Line = string | readonly Piece[];

// The names of the colours, not their values: the user's theme decides.
const SEQUENCES: Readonly<Record<Tone, string>> = { alarm: '1;31', warn: '33', dim: '2', good: '32' };

/** @param tone undefined leaves the text as it is */
export const paint = (tone: Tone | undefined, text: string): Piece => (tone === undefined ? text : { text, tone });

/** Unpainted where there is no colour: each tone stands beside a word that says the same. */
export function renderLine(line: Line, isColoured: boolean): string {
  if (typeof line === 'string') return printable(line);
  return line
    .map((piece) => renderPiece(piece, isColoured))
    .join('')
    .trimEnd();
}

function renderPiece(piece: Piece, isColoured: boolean): string {
  if (typeof piece === 'string') return printable(piece);
  const text = printable(piece.text);
  return isColoured && text !== '' ? `\u001b[${SEQUENCES[piece.tone]}m${text}\u001b[0m` : text;
}

/** Whether a stream takes colour. NO_COLOR: https://no-color.org */
export function takesColour(stream: { readonly isTTY?: boolean }, wanted: boolean): boolean {
  const { NO_COLOR = '', TERM = '' } = process.env;
  return wanted && stream.isTTY === true && NO_COLOR === '' && TERM !== 'dumb';
}
