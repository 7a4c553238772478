/**
 * Answers as values, and the tables that turn an outcome into one. A reason without a status and a sentence does not
 * compile. Only `send` writes to a socket.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { RefreshRejection } from '../operations/rotate.ts';
import type { HolderRejection } from '../operations/sessions.ts';
import { REFUSALS, type Refusal, type RefusalCode } from '../refusal.ts';
import { sendParts } from './stream.ts';

export interface Answer {
  readonly status: number;
  readonly body?: string;
  /** Instead of a body: its parts as they come, each asked for when the one before has left. */
  readonly stream?: AsyncIterable<string>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Of every answer that carries a token or speaks of one (RFC 6749 §5.1). */
export const NO_STORE = { 'Cache-Control': 'no-store' } as const;

export const JSON_TYPE = { 'Content-Type': 'application/json; charset=utf-8' } as const;

/** @param headers besides the content type; token answers add `NO_STORE` */
export const json = (status: number, value: unknown, headers: Readonly<Record<string, string>> = NO_STORE): Answer => ({
  status,
  body: JSON.stringify(value),
  headers: { ...JSON_TYPE, ...headers },
});

export const noContent = (headers: Readonly<Record<string, string>> = NO_STORE): Answer => ({ status: 204, headers });

/** `Basic` where clients authenticate; never for a user or a browser, whose user agent would ask for a password. */
const challengeOf = (code: RefusalCode): string =>
  code === 'invalid_client' ? 'Basic realm="auth-server", charset="UTF-8"' : 'Bearer realm="auth-server"';

/** Whole seconds, never 0: a caller that waits no time at all would only add to the trouble (RFC 9110 §10.2.3). */
export const retryAfter = (durationMs: number): string => String(Math.max(1, Math.ceil(durationMs / 1_000)));

interface ErrorDetails {
  readonly status?: number;
  readonly reason?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export function errorAnswer(code: RefusalCode, description: string, details: ErrorDetails = {}): Answer {
  const status = details.status ?? REFUSALS[code].http;
  const challenge = status === 401 ? { 'WWW-Authenticate': challengeOf(code) } : {};
  const body = details.reason === undefined ? { error: code } : { error: code, reason: details.reason };
  return json(status, { ...body, error_description: description }, { ...NO_STORE, ...challenge, ...details.headers });
}

export function refusalAnswer(refusal: Refusal): Answer {
  const wait = refusal.retryAfter ?? (REFUSALS[refusal.code].http === 503 ? 1_000 : undefined);
  const headers = wait === undefined ? {} : { 'Retry-After': retryAfter(wait) };
  return errorAnswer(refusal.code, refusal.description, { headers });
}

/** One sentence for each reason, telling the caller what to do. */
export const GRANT_REJECTIONS: Readonly<Record<RefreshRejection | HolderRejection, string>> = {
  malformed: 'This is not a refresh token of this server; send the newest one as it was received, or log in again.',
  expired: 'The session has expired; log in again.',
  unknown: 'There is no such session any more; log in again.',
  revoked: 'The session was ended; log in again.',
  reused: 'Token used before: its session was ended. Log in again.',
  mismatch: 'The access token is missing or not of this session; send the one that came with any refresh of it.',
  spent: 'This refresh token was used before; send the newest one of the session.',
};

export const invalidGrant = (reason: RefreshRejection | HolderRejection): Answer =>
  errorAnswer('invalid_grant', GRANT_REJECTIONS[reason], { reason });

/** @param common headers of every answer, besides its own @returns for a stream, when it has left. @throws what its parts throw */
export function send(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  answer: Answer,
  common: Readonly<Record<string, string>>,
): Promise<void> | undefined {
  if (outgoing.headersSent || outgoing.destroyed) return undefined;
  const { status, body = '', stream, headers } = answer;
  if (stream !== undefined) {
    outgoing.writeHead(status, { ...common, ...headers });
    return sendParts(incoming, outgoing, stream);
  }
  const length = status === 204 || status === 304 ? {} : { 'Content-Length': String(Buffer.byteLength(body)) };
  outgoing.writeHead(status, { ...common, ...headers, ...length });
  if (status !== 413) {
    outgoing.end(body);
    return undefined;
  }
  // The caller is still sending: closing at once would reset the connection before it reads this answer.
  outgoing.write(body);
  const end = (): void => {
    clearTimeout(patience);
    outgoing.end();
  };
  const patience = setTimeout(end, 500);
  incoming.once('end', end).once('close', end).resume();
  return undefined;
}
