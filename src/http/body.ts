/** The strict reading of bodies: bytes, UTF-8, JSON or form, shape, in this order; each fault with its own answer. */
import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import { Refusal } from '../refusal.ts';
import { countHeader, type HttpRequest, invalidRequest } from './request.ts';

const tooLarge = (limit: number): Refusal =>
  new Refusal('payload_too_large', `The body is longer than ${limit} bytes; send a smaller one.`);

const notWhole = (): Refusal => invalidRequest('The body did not arrive whole.');

/** @throws Refusal payload_too_large, invalid_request */
function readBytes(incoming: IncomingMessage, limit: number): Promise<Buffer> {
  const announced = Number(incoming.headers['content-length'] ?? 0);
  if (announced > limit) return Promise.reject(tooLarge(limit));
  // Its caller went while we asked who it is: nothing will be told of it any more, and whoever waited would wait for ever.
  if (incoming.destroyed) return Promise.reject(notWhole());
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    incoming.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > limit) {
        incoming.removeAllListeners('data');
        reject(tooLarge(limit));
      } else {
        chunks.push(chunk);
      }
    });
    const broken = (): void => reject(notWhole());
    incoming.once('error', broken);
    incoming.once('close', broken);
    incoming.once('end', () => {
      // Every request ends with `close`; an error made then would cost a stack trace each time.
      incoming.off('close', broken);
      resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks));
    });
  });
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function hasMediaType(incoming: IncomingMessage, mediaType: string): boolean {
  if (countHeader(incoming, 'content-type') !== 1) return false;
  const [type = '', ...parameters] = (incoming.headers['content-type'] ?? '').toLowerCase().split(';');
  return (
    type.trim() === mediaType && parameters.every((parameter) => /^\s*(charset\s*=\s*"?utf-8"?)?\s*$/.test(parameter))
  );
}

const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0;

const unsupported = (mediaType: string): Refusal =>
  new Refusal('unsupported_media_type', `Send the body as ${mediaType} in UTF-8, not compressed.`);

/** The body as text of one media type. @throws Refusal invalid_request, unsupported_media_type, payload_too_large */
async function readText(request: HttpRequest, mediaType: string): Promise<string> {
  const { incoming } = request;
  const { headers } = incoming;
  if (!hasBody(incoming)) {
    throw invalidRequest(`The body is empty; send ${mediaType}.`);
  }
  if (!hasMediaType(incoming, mediaType) || (headers['content-encoding'] ?? 'identity').toLowerCase() !== 'identity') {
    throw unsupported(mediaType);
  }
  const bytes = await readBytes(incoming, request.bodyLimit);
  if (bytes.length === 0) throw invalidRequest(`The body is empty; send ${mediaType}.`);
  try {
    return utf8.decode(bytes);
  } catch {
    throw invalidRequest('The body is not well-formed UTF-8.');
  }
}

/**
 * Whether the escapes of a JSON text make strings that are no text: U+0000, or half of a surrogate pair. Looked for in the
 * text, in one pass, because a walk through what was parsed would recurse as deep as the caller likes.
 */
function hasUnpairedEscape(text: string): boolean {
  let isHighPending = false;
  let expectedAt = -1;
  for (const match of text.matchAll(/\\(?:u([0-9a-fA-F]{4})|.)/gs)) {
    const unit = match[1] === undefined ? -1 : Number.parseInt(match[1], 16);
    const isLow = unit >= 0xdc00 && unit <= 0xdfff;
    if (isHighPending ? !isLow || match.index !== expectedAt : isLow) return true;
    if (unit === 0) return true;
    isHighPending = unit >= 0xd800 && unit <= 0xdbff;
    expectedAt = match.index + match[0].length;
  }
  return isHighPending;
}

const ARTICLES: Readonly<Record<string, string>> = { array: 'an', object: 'an' };

function describe(issue: z.core.$ZodIssue, value: unknown): string {
  const [name, ...deeper] = issue.path;
  if (name === undefined) return `The body is wrong: ${issue.message}.`;
  if (issue.code !== 'invalid_type') return `${String(name)} ${issue.message}.`;
  const isMissing = deeper.length === 0 && !Object.hasOwn(value as object, name);
  return `${String(name)} ${isMissing ? 'is missing; it' : ''} must be ${ARTICLES[issue.expected] ?? 'a'} ${issue.expected}.`.replace(
    '  ',
    ' ',
  );
}

/** The checked members of an object; unknown ones are dropped. @throws Refusal invalid_request naming the member */
export function checked<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw invalidRequest(issue === undefined ? 'The body is wrong.' : describe(issue, value));
}

/** @throws Refusal invalid_request, unsupported_media_type, payload_too_large */
export async function jsonBody<Schema extends z.ZodType>(
  request: HttpRequest,
  schema: Schema,
): Promise<z.output<Schema>> {
  const text = await readText(request, 'application/json');
  let value: unknown;
  try {
    // A byte-order mark is no JSON (RFC 8259 §8.1).
    value = JSON.parse(text);
  } catch {
    throw invalidRequest('The body is not JSON.');
  }
  if (text.includes('\\u') && hasUnpairedEscape(text))
    throw invalidRequest('The body holds U+0000 or half of a surrogate pair.');
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalidRequest('The body must be a JSON object.');
  return checked(schema, value);
}

/** Where everything in the body may be left out, so may the body: `curl -X POST` sends none, others an empty one. */
export async function optionalJsonBody<Schema extends z.ZodType>(
  request: HttpRequest,
  schema: Schema,
): Promise<z.output<Schema>> {
  const { incoming, bodyLimit } = request;
  if (hasBody(incoming) && incoming.headers['content-type'] !== undefined) return jsonBody(request, schema);
  if ((await readBytes(incoming, bodyLimit)).length > 0) throw unsupported('application/json');
  return checked(schema, {});
}

/** Parameters of a form; an empty one counts as absent, a repeated one is refused (RFC 6749 §3.2). */
export async function formBody(request: HttpRequest): Promise<ReadonlyMap<string, string>> {
  const text = await readText(request, 'application/x-www-form-urlencoded');
  const parameters = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(text)) {
    if (parameters.has(name)) throw invalidRequest('A parameter was sent twice; send each once.');
    // URLSearchParams writes U+FFFD for what is not UTF-8.
    if (/[\0\ufffd]/.test(value)) throw invalidRequest('A parameter is not well-formed text.');
    parameters.set(name, value);
  }
  for (const [name, value] of parameters) if (value === '') parameters.delete(name);
  return parameters;
}
