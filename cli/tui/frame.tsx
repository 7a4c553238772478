/** The screen as lines of text: each is one row, cut and never wrapped. It is given everything, and knows no operation. */
import { Box, Text } from 'ink';
import type { ReactNode } from 'react';
import { printable } from '../../src/domain/printable.ts';
import type { Line, Piece, Tone } from '../paint.ts';

export interface FrameProps {
  readonly columns: number;
  readonly rows: number;
  readonly isColoured: boolean;
  readonly head: readonly Line[];
  readonly body: readonly Line[];
  readonly foot: readonly Line[];
}

const SMALLEST = { columns: 60, rows: 16 } as const;

const COLOURS: Readonly<Record<Tone, string | undefined>> = {
  alarm: 'red',
  warn: 'yellow',
  good: undefined,
  dim: undefined,
};

function Part({ piece, isColoured }: { readonly piece: Piece; readonly isColoured: boolean }): ReactNode {
  if (typeof piece === 'string') return printable(piece);
  const colour = isColoured ? COLOURS[piece.tone] : undefined;
  return (
    <Text
      bold={piece.tone === 'alarm'}
      dimColor={piece.tone === 'dim'}
      {...(colour === undefined ? {} : { color: colour })}
    >
      {printable(piece.text)}
    </Text>
  );
}

function Row({ line, isColoured }: { readonly line: Line; readonly isColoured: boolean }): ReactNode {
  const pieces = typeof line === 'string' ? [line] : line;
  return (
    <Text wrap="truncate">
      {pieces.map((piece, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: pieces of a line have no other name
        <Part key={index} piece={piece} isColoured={isColoured} />
      ))}
    </Text>
  );
}

export function Frame({ columns, rows, isColoured, head, body, foot }: FrameProps): ReactNode {
  if (columns < SMALLEST.columns || rows < SMALLEST.rows) {
    return <Text>{`${columns}x${rows} is too small: ${SMALLEST.columns}x${SMALLEST.rows} is needed. q quits.`}</Text>;
  }
  const room = rows - 1 - head.length - foot.length;
  const filled = [...body.slice(0, room), ...Array.from({ length: Math.max(0, room - body.length) }, () => ' ')];
  return (
    <Box flexDirection="column" width={columns}>
      {[...head, ...filled, ...foot].map((line, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a row of the screen is its place
        <Row key={index} line={line.length === 0 ? ' ' : line} isColoured={isColoured} />
      ))}
    </Box>
  );
}
