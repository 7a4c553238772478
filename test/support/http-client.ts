/**
 * Requests to a server under test as they are, over real sockets: headers may be doubled, bodies may be bytes. Every answer
 * is held against what the contract says of all answers, so no test has to.
 */
import http from 'node:http';
import { expect } from 'vitest';
import { checkDocumented, checkGranted } from './openapi.ts';

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
  /** Empty where the body is not a JSON object. */
  readonly body: Readonly<Record<string, unknown>>;
}

export type Headers = Readonly<Record<string, string | readonly string[]>>;

export interface Sending {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Headers;
  readonly body?: string | Buffer;
  /** Sends the body in chunks, without announcing its length. */
  readonly isChunked?: boolean;
  /** Ends the connection when this fires; what comes back is an error. */
  readonly signal?: AbortSignal;
}

export interface HttpClient {
  send(sending: Sending): Promise<Answer>;
  close(): void;
}

const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/;
/** What tells of the inside: a stack, a file, SQL, a driver. */
const INSIDE =
  /\bat [^ ]+ \(|node_modules|\.ts\b|\.js\b|\/(home|work|tmp|dev|usr)\/|\b(select|insert|update|delete) .*\b(from|into|set)\b|sqlite|postgres|kysely|zod/i;

export function makeHttpClient(port: number): HttpClient {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 256 });
  return {
    send: (sending) => send(agent, port, sending),
    close: () => agent.destroy(),
  };
}

async function send(agent: http.Agent, port: number, sending: Sending): Promise<Answer> {
  const { method = 'GET', path, headers = {}, body, signal } = sending;
  const pairs = Object.entries(headers).flatMap(([name, value]) =>
    typeof value === 'string' ? [name, value] : value.flatMap((one) => [name, one]),
  );
  const framing =
    sending.isChunked === true
      ? ['Transfer-Encoding', 'chunked']
      : ['Content-Length', String(Buffer.byteLength(body ?? ''))];
  const length = body === undefined ? [] : framing;
  const answer = await new Promise<Answer>((resolve, reject) => {
    const outgoing = http.request(
      {
        agent,
        host: '127.0.0.1',
        port,
        method,
        path,
        headers: ['Host', `127.0.0.1:${port}`, ...length, ...pairs],
        ...(signal === undefined ? {} : { signal }),
      },
      (incoming) => collect(incoming).then(resolve, reject),
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
  checkAnswer(answer, method);
  if (method !== 'HEAD') checkDocumented(method, path, answer);
  if (answer.status < 300) checkGranted(method, path, body);
  return answer;
}

async function collect(incoming: http.IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString('utf8');
  const isJson = /^application\/(json|jwk-set\+json)/.test(incoming.headers['content-type'] ?? '') && text !== '';
  const value: unknown = isJson ? JSON.parse(text) : {};
  const body = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  return { status: incoming.statusCode ?? 0, headers: incoming.headers, text, body };
}

/** Contract §3: of every answer, and of every error on every path. */
function checkAnswer(answer: Answer, method: string): void {
  const { status, headers, body, text } = answer;
  expect(headers['x-request-id'], 'X-Request-Id').toMatch(REQUEST_ID);
  if (status === 401)
    expect(headers['www-authenticate'], 'WWW-Authenticate').toMatch(/^(Basic|Bearer) realm="auth-server"/);
  if (status === 429 || status === 503) expect(headers['retry-after'], 'Retry-After').toMatch(/^[1-9]\d*$/);
  if (status < 400) return;
  expect(headers['cache-control'], 'Cache-Control').toBe('no-store');
  expect(text).not.toMatch(INSIDE);
  if (method === 'HEAD') return;
  expect(headers['content-type']).toBe('application/json; charset=utf-8');
  expect(Object.keys(body).filter((name) => !['error', 'reason', 'error_description'].includes(name))).toEqual([]);
  expect(body.error).toMatch(/^[a-z_]+$/);
  // RFC 6749 §5.2 allows printable ASCII without quotes; a sentence begins and ends like one.
  expect(body.error_description).toMatch(/^[A-Za-z][\x20\x21\x23-\x5b\x5d-\x7e]+\.$/);
}
