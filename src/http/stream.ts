/**
 * An answer in parts, as they come. It stands apart from `send` because it lasts: a reader that is slower than the parts is
 * waited for, never ahead of, and one that reads nothing any more is let go.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';

/** How long a reader may take to make room for more, ms. What is held for it meanwhile is one part and Node's buffer. */
const PATIENCE = 10_000;

/** @returns when the last part is on its way, or the reader has gone. @throws what a part throws: the answer is then cut off */
export async function sendParts(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  parts: AsyncIterable<string>,
): Promise<void> {
  // Of a HEAD the headers are all.
  if (incoming.method !== 'HEAD') {
    for await (const part of parts) {
      if (outgoing.destroyed) return;
      if (!outgoing.write(part) && !(await drained(outgoing))) {
        outgoing.destroy();
        return;
      }
    }
  }
  outgoing.end();
}

/** @returns false when the reader has gone, or reads nothing */
function drained(outgoing: ServerResponse): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (hasRoom: boolean): void => {
      clearTimeout(timer);
      outgoing.off('drain', onDrain).off('close', onClose);
      resolve(hasRoom);
    };
    const onDrain = (): void => settle(true);
    const onClose = (): void => settle(false);
    const timer = setTimeout(onClose, PATIENCE);
    outgoing.once('drain', onDrain).once('close', onClose);
  });
}
