/** A real server on loopback that takes webhooks and answers as a test wants: also badly, late or not at all. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { onTestFinished } from 'vitest';

export interface Received {
  readonly id: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly event: {
    readonly id: string;
    readonly type: string;
    readonly timestamp: string;
    readonly data: Readonly<Record<string, unknown>>;
  };
}

export type Behaviour = (received: Received, response: ServerResponse) => void;

export interface WebhookReceiver {
  readonly url: string;
  /** All requests, whatever was answered. */
  readonly received: Received[];
  /** Those that were answered 2xx. */
  readonly accepted: Received[];
  behave(behaviour: Behaviour): void;
  /** Ends it, as a crash does. */
  stop(): Promise<void>;
  /** Comes back on the same port. */
  start(): Promise<void>;
}

export const answer =
  (status: number, headers: Readonly<Record<string, string>> = {}): Behaviour =>
  (_, response) => {
    response.writeHead(status, headers).end();
  };

/** @param path of its URL */
export async function openWebhookReceiver(path = '/hook'): Promise<WebhookReceiver> {
  const received: Received[] = [];
  const accepted: Received[] = [];
  let behaviour: Behaviour = answer(204);
  let server: Server | undefined;
  let port = 0;

  async function onRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    const headers = request.headers as Record<string, string>;
    const one = { id: headers['webhook-id'] ?? '', headers, body, event: JSON.parse(body) };
    received.push(one);
    response.on('error', () => undefined);
    response.on('finish', () => {
      if (response.statusCode < 300) accepted.push(one);
    });
    behaviour(one, response);
  }

  async function start(): Promise<void> {
    server = createServer((request, response) => {
      // A worker that is killed hangs up in the middle of its request.
      onRequest(request, response).catch(() => response.destroy());
    });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('A TCP server has an address with a port.');
    port = address.port;
  }

  async function stop(): Promise<void> {
    const closing = server;
    server = undefined;
    if (closing === undefined) return;
    closing.closeAllConnections();
    closing.close();
    await once(closing, 'close');
  }

  await start();
  onTestFinished(stop);
  return {
    url: `http://127.0.0.1:${port}${path}`,
    received,
    accepted,
    behave: (next) => {
      behaviour = next;
    },
    stop,
    start,
  };
}
