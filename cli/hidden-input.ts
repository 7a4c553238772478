/**
 * One line from a terminal, with a `*` for each character instead of it. It stands alone because it holds the terminal in
 * raw mode, and must give it back however it ends.
 */
import type { ReadStream } from 'node:tty';

const KEYS = {
  interrupt: 0x03,
  end: 0x04,
  backspace: 0x08,
  lineFeed: 0x0a,
  enter: 0x0d,
  clear: 0x15,
  escape: 0x1b,
  del: 0x7f,
} as const;

/** Bytes of a line; what is typed beyond is refused by whoever asked. */
const LIMIT = 4_096;

/** Takes signals over while the terminal is raw; see interrupt.ts. */
type TakeSignals = (handle: () => void) => () => void;

/** @returns undefined after Ctrl-C, or Ctrl-D on an empty line */
export function typeHidden(input: ReadStream, takeSignals: TakeSignals): Promise<Uint8Array | undefined> {
  return new Promise((resolve) => {
    const line: number[] = [];
    const finish = (result: Uint8Array | undefined): void => {
      input.off('data', onData);
      input.off('end', giveUp);
      input.setRawMode(false);
      input.pause();
      giveBack();
      resolve(result);
    };
    const giveUp = (): void => finish(undefined);
    const onData = (chunk: Buffer): void => {
      const ending = typeChunk(line, chunk);
      if (ending === undefined) return;
      finish(ending.isGivenUp ? undefined : Uint8Array.from(line));
      // What was typed ahead belongs to the next question. Only now: a stream that flows would hand it back to us.
      if (ending.rest.length > 0) input.unshift(ending.rest);
    };
    const giveBack = takeSignals(giveUp);
    input.setRawMode(true);
    input.on('data', onData);
    input.once('end', giveUp);
    input.resume();
  });
}

interface Ending {
  readonly isGivenUp: boolean;
  readonly rest: Buffer;
}

/** Adds to the line what was typed. @returns how the line ended, or undefined while it goes on */
function typeChunk(line: number[], chunk: Buffer): Ending | undefined {
  // An arrow key and its like: a sequence that nobody means to be part of a password.
  if (chunk[0] === KEYS.escape) return undefined;
  for (const [index, byte] of chunk.entries()) {
    const rest = chunk.subarray(index + 1);
    if (byte === KEYS.enter || byte === KEYS.lineFeed) return { isGivenUp: false, rest };
    if (byte === KEYS.interrupt || (byte === KEYS.end && line.length === 0)) return { isGivenUp: true, rest };
    press(line, byte);
  }
  return undefined;
}

function press(bytes: number[], byte: number): void {
  if (byte === KEYS.backspace || byte === KEYS.del) {
    // A character is a byte and those that continue it (10xxxxxx).
    let removed = bytes.pop();
    if (removed !== undefined) process.stderr.write('\b \b');
    while (removed !== undefined && (removed & 0xc0) === 0x80) removed = bytes.pop();
  } else if (byte === KEYS.clear) {
    while (bytes.length > 0) press(bytes, KEYS.backspace);
  } else if (byte >= 0x20 && bytes.length < LIMIT) {
    bytes.push(byte);
    if ((byte & 0xc0) !== 0x80) process.stderr.write('*');
  }
}
