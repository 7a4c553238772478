/** A user service on loopback that answers what a test tells it to, well or badly, and remembers what it was asked. */
import { once } from 'node:events';
import http, { type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import https from 'node:https';
import { onTestFinished } from 'vitest';
import type { Certificate } from './certificates.ts';

export interface Question {
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Answers one question; it may never end. */
export type Behaviour = (outgoing: ServerResponse, question: Question, incoming: IncomingMessage) => void;

export interface StubUserService {
  readonly origin: string;
  /** Since the last look. */
  questions(): readonly Question[];
  /** From now on. */
  behave(behaviour: Behaviour): void;
}

/** Answers with a status and a body as they are. */
export const says =
  (status: number, body: unknown = '', headers: Readonly<Record<string, string>> = {}): Behaviour =>
  (outgoing) => {
    outgoing.writeHead(status, { 'content-type': 'application/json', ...headers });
    outgoing.end(typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body));
  };

export async function startStubUserService(tls?: Certificate): Promise<StubUserService> {
  let behaviour: Behaviour = says(200, { sub: 'user-1' });
  const asked: Question[] = [];
  const listener = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    outgoing.on('error', () => undefined);
    read(incoming).then(
      (question) => {
        asked.push(question);
        behaviour(outgoing, question, incoming);
      },
      () => outgoing.destroy(),
    );
  };
  const server =
    tls === undefined
      ? http.createServer(listener)
      : https.createServer({ cert: tls.certificate, key: tls.key }, listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('A TCP server has an address with a port.');
  return {
    origin: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${address.port}`,
    questions: () => asked.splice(0),
    behave(next) {
      behaviour = next;
    },
  };
}

async function read(incoming: IncomingMessage): Promise<Question> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString('utf8');
  return { url: incoming.url ?? '', headers: incoming.headers, text, body: JSON.parse(text) as Question['body'] };
}
