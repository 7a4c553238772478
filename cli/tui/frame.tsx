/** Rows of text on their way to the terminal. It is given everything, and knows no operation. */
import { Box, Text } from 'ink';
import type { ReactNode } from 'react';
import type { Tone } from '../paint.ts';
import type { Row, Span } from './rows.ts';

export interface FrameProps {
  readonly rows: readonly Row[];
  readonly isColoured: boolean;
  /** Sentences go on in the next row; rows of a picture never do. */
  readonly wraps: boolean;
}

// Names, not values: the user's theme decides. Each has a word or a mark that says the same.
const COLOURS: Readonly<Record<Tone, string | undefined>> = {
  alarm: 'red',
  warn: 'yellow',
  good: undefined,
  dim: undefined,
};

function Piece({ span, isColoured }: { readonly span: Span; readonly isColoured: boolean }): ReactNode {
  const { text, tone, isInverse = false } = span;
  if (tone === undefined && !isInverse) return text;
  const colour = isColoured && tone !== undefined ? COLOURS[tone] : undefined;
  return (
    <Text
      bold={tone === 'alarm'}
      dimColor={tone === 'dim'}
      inverse={isInverse}
      {...(colour === undefined ? {} : { color: colour })}
    >
      {text}
    </Text>
  );
}

/** One `Text` a row: a box for each cell costs three times as much. */
export function Frame({ rows, isColoured, wraps }: FrameProps): ReactNode {
  return (
    <Box flexDirection="column">
      {rows.map((row, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a row of the screen is its place
        <Text key={index} wrap={wraps ? 'wrap' : 'truncate'}>
          {row.map((span, place) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: pieces of a row have no other name
            <Piece key={place} span={span} isColoured={isColoured} />
          ))}
        </Text>
      ))}
    </Box>
  );
}
