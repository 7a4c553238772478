/** Bytes on a socket, and what comes back: for what no HTTP client would send. */
import { connect, type Socket } from 'node:net';
import { expect } from 'vitest';
import type { TestServer } from '../support/test-server.ts';

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Exchange {
  /** All that came back, as bytes in latin1. */
  readonly text: string;
  /** Final answers, without `100 Continue`. */
  readonly answers: readonly RawAnswer[];
  readonly isContinued: boolean;
  /** Whether the server ended the connection. */
  readonly isClosed: boolean;
  /** Milliseconds from the last byte sent to the end, or to the last answer waited for. */
  readonly ms: number;
}

export interface RawOptions {
  /** Done after so many answers; without it, when the server closes. */
  readonly answers?: number;
  /** For what the server does not end: done when this has passed, ms. */
  readonly patience?: number;
  /** Sends these, one for each interval, after the first bytes. */
  readonly drip?: { readonly bytes: readonly string[]; readonly everyMs: number };
  /** Ends or resets our side after sending. */
  readonly then?: 'end' | 'reset';
}

const LIMIT_MS = 12_000;

/** Takes whole answers off the front; what is left is the beginning of another, or nothing. */
function parse(text: string, method: string): { answers: RawAnswer[]; isContinued: boolean } {
  const answers: RawAnswer[] = [];
  let isContinued = false;
  let rest = text;
  for (let round = 0; round < 50; round += 1) {
    const end = rest.indexOf('\r\n\r\n');
    if (end === -1) break;
    const [statusLine = '', ...lines] = rest.slice(0, end).split('\r\n');
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(statusLine)?.[1] ?? Number.NaN);
    const headers = Object.fromEntries(
      lines.map((line): [string, string] => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      }),
    );
    if (status === 100) {
      isContinued = true;
      rest = rest.slice(end + 4);
      continue;
    }
    const hasBody = method !== 'HEAD' && status !== 204 && status !== 304;
    const length = hasBody ? Number(headers['content-length'] ?? 0) : 0;
    if (rest.length < end + 4 + length) break;
    answers.push({ status, headers, body: rest.slice(end + 4, end + 4 + length) });
    rest = rest.slice(end + 4 + length);
  }
  return { answers, isContinued };
}

/** Sends the bytes and collects what comes back until the server closes, or as the options say. */
export function exchange(port: number, bytes: string | Buffer, options: RawOptions = {}): Promise<Exchange> {
  const { drip, then, answers: wanted, patience = LIMIT_MS } = options;
  const text = typeof bytes === 'string' ? bytes : bytes.toString('latin1');
  const method = /^[A-Z]+/.exec(text)?.[0] ?? '';
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(port, '127.0.0.1');
    let received = '';
    let sentAt = performance.now();
    let dripping: NodeJS.Timeout | undefined;
    const finish = (isClosed: boolean): void => {
      clearInterval(dripping);
      clearTimeout(limit);
      socket.destroy();
      resolve({ text: received, ...parse(received, method), isClosed, ms: performance.now() - sentAt });
    };
    const limit = setTimeout(() => {
      if (patience < LIMIT_MS) finish(false);
      else reject(new Error(`no end after ${LIMIT_MS} ms; so far: ${received.slice(0, 300)}`));
    }, patience);
    socket.setEncoding('latin1');
    socket.on('connect', () => {
      socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
      sentAt = performance.now();
      if (then === 'end') socket.end();
      if (then === 'reset') socket.resetAndDestroy();
      if (drip === undefined) return;
      const left = [...drip.bytes];
      dripping = setInterval(() => {
        const next = left.shift();
        if (next !== undefined && socket.writable) socket.write(next);
      }, drip.everyMs);
    });
    socket.on('data', (chunk: string) => {
      received += chunk;
      if (wanted !== undefined && parse(received, method).answers.length >= wanted) finish(false);
    });
    // A reset is an end, too: the server may close while we are still sending.
    socket.on('error', () => undefined);
    socket.on('close', () => finish(true));
  });
}

const INSIDE =
  /\bat [^ ]+ \(|node_modules|\.[jt]s\b|\/(home|work|tmp|dev|usr)\/|\b(select|insert|update|delete) .*\b(from|into|set)\b|sqlite|postgres|kysely|zod|hono|llhttp|HPE_/i;

/** What every refusal shows and hides (security §3). */
export function expectContractError(answer: RawAnswer | undefined, status: number, error?: string): void {
  if (answer === undefined) throw new Error(`no answer, where ${status} was due`);
  expect(answer.status).toBe(status);
  expect(answer.headers['x-request-id']).toMatch(/^[A-Za-z0-9._-]{1,128}$/);
  expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
  expect(answer.body).not.toMatch(INSIDE);
  const body = JSON.parse(answer.body) as Record<string, unknown>;
  expect(Object.keys(body).filter((name) => !['error', 'error_description', 'reason'].includes(name))).toEqual([]);
  expect(body.error).toMatch(/^[a-z_]+$/);
  if (error !== undefined) expect(body.error).toBe(error);
  expect(body.error_description).toMatch(/^[A-Za-z][\x20\x21\x23-\x5b\x5d-\x7e]+\.$/);
}

/** Sent, answered with this error, and closed. */
export async function expectRefusedAndClosed(server: TestServer, bytes: string | Buffer, status = 400): Promise<void> {
  const { answers, isClosed, text } = await exchange(server.port, bytes);
  expect(answers.length, text.slice(0, 500)).toBe(1);
  expectContractError(answers[0], status);
  expect(isClosed).toBe(true);
  await expectAlive(server);
}

/** The same process still answers. */
export async function expectAlive(server: TestServer): Promise<void> {
  const { answers } = await exchange(server.port, 'GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n', { answers: 1 });
  expect(answers[0]).toMatchObject({ status: 200, body: '{"status":"ok"}' });
}

export interface RawRequest {
  readonly method?: string;
  readonly path?: string;
  readonly version?: string;
  /** Whole lines, without line ends. */
  readonly lines?: readonly string[];
  readonly body?: string;
}

/** A request as bytes; `Host` unless the lines have one. */
export function rawRequest({
  method = 'GET',
  path = '/healthz',
  version = 'HTTP/1.1',
  lines = [],
  body = '',
}: RawRequest): string {
  const host = lines.some((line) => /^host/i.test(line)) ? [] : ['Host: localhost'];
  return [`${method} ${path} ${version}`, ...host, ...lines, '', body].join('\r\n');
}

/** The lines and the body of a JSON request. */
export const jsonRequest = (path: string, body: string, lines: readonly string[] = []): string =>
  rawRequest({
    method: 'POST',
    path,
    lines: ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body, 'latin1')}`, ...lines],
    body,
  });
