/** An answer in parts: never ahead of its reader, and not for ever behind one that does not read. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import { sendParts } from '../../src/http/stream.ts';

afterEach(() => {
  vi.useRealTimers();
});

const PART = 'x'.repeat(100_000);

interface Endless {
  readonly parts: AsyncGenerator<string>;
  made(): number;
  isClosed(): boolean;
}

function endless(): Endless {
  let made = 0;
  let isClosed = false;
  async function* parts(): AsyncGenerator<string> {
    try {
      for (;;) {
        made += 1;
        yield PART;
      }
    } finally {
      isClosed = true;
    }
  }
  return { parts: parts(), made: () => made, isClosed: () => isClosed };
}

/** A server that answers everything with these parts. */
async function serve(
  parts: AsyncIterable<string>,
): Promise<{ readonly socket: net.Socket; readonly done: Promise<void> }> {
  const { promise: done, resolve } = Promise.withResolvers<void>();
  const server = createServer((incoming: IncomingMessage, outgoing: ServerResponse) => {
    outgoing.writeHead(200);
    void sendParts(incoming, outgoing, parts).then(resolve);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const socket = net.connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.on('error', () => undefined);
  onTestFinished(() => {
    socket.destroy();
    server.close();
  });
  socket.pause().write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  return { socket, done };
}

/** Until it makes no more, for many turns. */
async function settled(made: () => number): Promise<number> {
  for (let before = -1, still = 0; still < 200; still = made() === before ? still + 1 : 0) {
    before = made();
    await new Promise((resolve) => setImmediate(resolve));
    if (before === 0) still = -1;
  }
  return made();
}

test('a reader that does not read holds no more than its sockets do, and is let go', async () => {
  const stream = endless();
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const { done } = await serve(stream.parts);
  const made = await settled(stream.made);
  expect(made).toBeLessThan(200);
  expect(stream.isClosed()).toBe(false);
  await vi.advanceTimersByTimeAsync(10_000);
  await done;
  expect(stream.isClosed()).toBe(true);
  expect(stream.made()).toBe(made);
});

test('a slow reader is waited for; once it has gone, no more is made', async () => {
  const stream = endless();
  const { socket, done } = await serve(stream.parts);
  const made = await settled(stream.made);
  let received = 0;
  socket.on('data', (chunk: Buffer) => {
    received += chunk.length;
    if (received > (made + 50) * PART.length) socket.destroy();
  });
  socket.resume();
  await done;
  expect(received).toBeGreaterThan(made * PART.length);
  expect(stream.isClosed()).toBe(true);
});
