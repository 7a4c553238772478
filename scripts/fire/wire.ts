/**
 * HTTP/1.1 over one raw socket, one request at a time, so that it is known to the byte what was sent and what came back. A
 * connection that breaks is made anew for the next request; nothing is ever repeated here.
 */
import { connect, type Socket } from 'node:net';

export interface Answer {
  readonly status: number;
  /** The status line and the headers. */
  readonly head: string;
  readonly text: string;
}

/** One request at a time: whoever calls waits for the answer. */
export interface Wire {
  /** @param request text, or bytes that are none. @throws Unanswered */
  send(request: string | Buffer): Promise<Answer>;
  close(): void;
}

/** The connection could not be made, broke, or stayed silent before the whole answer was there. */
export class Unanswered extends Error {
  /** Bytes of an answer that had come by then. */
  readonly received: number;

  constructor(reason: string, received: number) {
    super(reason);
    this.received = received;
  }
}

const PATIENCE_MS = 30_000;

/** The body is JSON; headers are written as they are given. */
export function post(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): string {
  const text = JSON.stringify(body);
  const extra = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return (
    `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n${extra.join('')}` +
    `Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`
  );
}

/** Headers are written as they are given. */
export const get = (path: string, headers: Readonly<Record<string, string>> = {}): string => {
  const extra = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${extra.join('')}\r\n`;
};

/** @returns undefined while parts of it are missing */
function answerIn(received: string): Answer | undefined {
  const end = received.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const head = received.slice(0, end);
  const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
  const text = received.slice(end + 4);
  return text.length < length ? undefined : { status: Number(head.slice(9, 12)), head, text: text.slice(0, length) };
}

/** Connects at the first request, on 127.0.0.1, and gives an answer 30 s. */
export function openWire(port: number): Wire {
  let open: Socket | undefined;

  function socket(): Socket {
    if (open === undefined || open.destroyed) {
      open = connect({ port, host: '127.0.0.1', noDelay: true });
      open.setEncoding('latin1').setTimeout(PATIENCE_MS);
      // Between two requests nobody else listens.
      open.on('error', () => undefined);
    }
    return open;
  }

  return {
    send: (request) =>
      new Promise((resolve, reject) => {
        const current = socket();
        let received = '';
        const settle = (): void => {
          current.off('data', onData).off('close', onClose).off('timeout', onTimeout);
        };
        const fail = (reason: string): void => {
          settle();
          current.destroy();
          reject(new Unanswered(reason, received.length));
        };
        const onClose = (): void => fail('closed');
        const onTimeout = (): void => fail('silent');
        const onData = (chunk: string): void => {
          received += chunk;
          const answer = answerIn(received);
          if (answer === undefined) return;
          settle();
          if (/\r\nconnection: close/i.test(answer.head)) current.destroy();
          resolve(answer);
        };
        current.on('data', onData).on('close', onClose).on('timeout', onTimeout);
        current.write(request);
      }),
    close: () => open?.destroy(),
  };
}
