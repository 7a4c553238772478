/**
 * A way to a server on loopback that a test can spoil: cut and restored, when the server looks gone and comes back as it
 * was; slow; deaf; or half closed.
 */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export interface TcpProxy {
  readonly port: number;
  /** Ends all connections, and refuses new ones. */
  cut(): Promise<void>;
  restore(): Promise<void>;
  /** From now on answers come so much later, ms. */
  delay(ms: number): void;
  /** What is sent vanishes, and connections stay open. @returns ends that for new connections; those that lost bytes stay deaf */
  swallow(): () => void;
  /** The server's side of all connections is closed; what their client still sends goes nowhere. */
  halfClose(): void;
  /** Resets all connections (RST); new ones are welcome. */
  reset(): void;
}

interface Pair {
  /** To the client. */
  readonly near: Socket;
  /** To the server. */
  readonly far: Socket;
  isDeaf: boolean;
}

export async function openTcpProxy(target: number): Promise<TcpProxy> {
  const pairs = new Set<Pair>();
  let server: Server | undefined;
  let port = 0;
  let delayMs = 0;
  let isSwallowing = false;

  /** @returns whether bytes get through */
  function passes(pair: Pair): boolean {
    pair.isDeaf ||= isSwallowing;
    return !pair.isDeaf;
  }

  function join(near: Socket): void {
    const far = connect(target, '127.0.0.1');
    const pair: Pair = { near, far, isDeaf: false };
    pairs.add(pair);
    const end = (): void => {
      pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    for (const socket of [near, far])
      socket
        .on('error', () => undefined)
        .on('end', end)
        .on('close', end);
    near.on('data', (chunk) => {
      if (passes(pair)) far.write(chunk);
    });
    far.on('data', (chunk) => {
      if (!passes(pair)) return;
      if (delayMs === 0) near.write(chunk);
      else setTimeout(() => near.write(chunk), delayMs);
    });
  }

  async function restore(): Promise<void> {
    server = createServer({ allowHalfOpen: true }, join);
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    port = address !== null && typeof address === 'object' ? address.port : 0;
  }

  async function cut(): Promise<void> {
    const closing = server;
    server = undefined;
    if (closing === undefined) return;
    closing.close();
    for (const { near } of pairs) near.destroy();
    await once(closing, 'close');
  }

  await restore();
  onTestFinished(cut);
  return {
    port,
    cut,
    restore,
    delay(ms) {
      delayMs = ms;
    },
    swallow() {
      isSwallowing = true;
      return () => {
        isSwallowing = false;
      };
    },
    halfClose() {
      for (const pair of pairs) {
        pair.isDeaf = true;
        pair.near.end();
      }
    },
    reset() {
      for (const { near } of pairs) near.resetAndDestroy();
    },
  };
}
