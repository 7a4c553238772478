/** What a handler may know of a request, and the strict reading of bodies: bytes, UTF-8, JSON, shape, in this order. */
import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';
import type { z } from 'zod';
import type { App } from '../app.ts';
import { canonicalAddress } from '../domain/address.ts';
import { printable } from '../domain/printable.ts';
import type { Origin } from '../domain/token-family.ts';
import { Refusal } from '../refusal.ts';

export interface HttpRequest {
  readonly incoming: IncomingMessage;
  readonly method: string;
  /** As it was sent, without the query. */
  readonly path: string;
  /** Without the question mark. */
  readonly query: string;
  readonly id: string;
  readonly origin: Origin;
  /** Bytes. */
  readonly bodyLimit: number;
}

/** Characters kept of a User-Agent. */
const USER_AGENT_LIMIT = 256;
/** Hops looked at in X-Forwarded-For; a longer list is nobody's real path. */
const HOP_LIMIT = 32;

export const invalidRequest = (description: string): Refusal => new Refusal('invalid_request', description);

/** How often a header was sent; Node keeps only the first of some and joins others. */
export function countHeader(incoming: IncomingMessage, name: string): number {
  let count = 0;
  const { rawHeaders } = incoming;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const raw = rawHeaders[index];
    if (raw !== undefined && raw.length === name.length && raw.toLowerCase() === name) count += 1;
  }
  return count;
}

/** @param trusted addresses and CIDR blocks of proxies */
export function trustedProxies(trusted: readonly string[]): (address: string) => boolean {
  if (trusted.length === 0) return () => false;
  const list = new BlockList();
  for (const entry of trusted) {
    const [address = '', prefix] = entry.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return (address) => list.check(address, address.includes(':') ? 'ipv6' : 'ipv4');
}

/** The address of a hop, with or without a port. @returns undefined for anything else, such as `unknown` */
function addressOf(hop: string): string | undefined {
  const text = hop.trim();
  const bare = /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text;
  return isIP(bare) === 0 ? undefined : canonicalAddress(bare);
}

/**
 * Who called: the peer, or behind trusted proxies the right-most hop that is not one of them. What a caller writes into the
 * header itself stands further left and is never reached.
 */
export function clientAddress(incoming: IncomingMessage, isTrusted: (address: string) => boolean): string | null {
  const peer = incoming.socket.remoteAddress === undefined ? undefined : addressOf(incoming.socket.remoteAddress);
  if (peer === undefined || !isTrusted(peer)) return peer ?? null;
  const header = incoming.headers['x-forwarded-for'];
  const hops = (Array.isArray(header) ? header.join(',') : (header ?? '')).split(',').slice(-HOP_LIMIT).reverse();
  let client = peer;
  for (const hop of hops) {
    const address = addressOf(hop);
    if (address === undefined) return client;
    client = address;
    if (!isTrusted(address)) return address;
  }
  return client;
}

export const userAgentOf = (incoming: IncomingMessage): string | null => {
  const text = incoming.headers['user-agent'];
  return text === undefined || text === ''
    ? null
    : printable(text.slice(0, USER_AGENT_LIMIT)).slice(0, USER_AGENT_LIMIT);
};

const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/;
const HOST = /^[A-Za-z0-9._~-]+(:\d{1,5})?$|^\[[0-9A-Fa-f:.]+\](:\d{1,5})?$/;

/** The path and query of an absolute-form target (RFC 9112 §3.2.2); its host has no influence on anything. */
function targetOf(incoming: IncomingMessage): string {
  const url = incoming.url ?? '';
  if (url.startsWith('/')) return url;
  const match = /^https?:\/\/[^/?#]+(\/.*)?$/i.exec(url);
  return match === null ? '' : (match[1] ?? '/');
}

/** What Node's parser lets through although HTTP does not (RFC 9112 §2.3, §3.2). */
export function framingFault(incoming: IncomingMessage): string | undefined {
  const { httpVersion } = incoming;
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return 'Use HTTP/1.1.';
  const hosts = countHeader(incoming, 'host');
  if (hosts > 1 || (hosts === 0 && httpVersion === '1.1')) return 'Send the Host header once.';
  if (hosts === 1 && !HOST.test(incoming.headers.host ?? '')) return 'The Host header is not a host.';
  return undefined;
}

/** Turns what Node has parsed into what handlers see. A well-formed `X-Request-Id` is kept, else one is made. */
export function requestReader({
  config,
  random,
}: Pick<App, 'config' | 'random'>): (incoming: IncomingMessage) => HttpRequest {
  const isTrusted = trustedProxies(config.server.trustedProxies);
  // One prefix for each process, then a count: unique without asking for randomness at each request.
  const prefix = Buffer.from(random.bytes(6)).toString('hex');
  let last = 0;

  function requestId(incoming: IncomingMessage): string {
    const given = incoming.headers['x-request-id'];
    if (typeof given === 'string' && REQUEST_ID.test(given)) return given;
    last += 1;
    return `${prefix}-${last.toString(36)}`;
  }

  return (incoming) => {
    const target = targetOf(incoming);
    const mark = target.indexOf('?');
    return {
      incoming,
      method: incoming.method ?? '',
      path: mark === -1 ? target : target.slice(0, mark),
      query: mark === -1 ? '' : target.slice(mark + 1),
      id: requestId(incoming),
      origin: { ip: clientAddress(incoming, isTrusted), userAgent: userAgentOf(incoming) },
      bodyLimit: config.server.bodyLimit,
    };
  };
}

/** `Idempotency-Key`: 1 to 128 visible ASCII characters, once. @throws Refusal invalid_request */
export function requestKeyOf(incoming: IncomingMessage): string | null {
  const key = incoming.headers['idempotency-key'];
  if (key === undefined) return null;
  if (typeof key !== 'string' || countHeader(incoming, 'idempotency-key') > 1 || !/^[\x21-\x7e]{1,128}$/.test(key)) {
    throw invalidRequest('Idempotency-Key must be sent once, as 1 to 128 visible ASCII characters.');
  }
  return key;
}

const tooLarge = (limit: number): Refusal =>
  new Refusal('payload_too_large', `The body is longer than ${limit} bytes; send a smaller one.`);

/** @throws Refusal payload_too_large, invalid_request */
function readBytes(incoming: IncomingMessage, limit: number): Promise<Buffer> {
  const announced = Number(incoming.headers['content-length'] ?? 0);
  if (announced > limit) return Promise.reject(tooLarge(limit));
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
    const broken = (): void => reject(invalidRequest('The body did not arrive whole.'));
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
export function hasUnpairedEscape(text: string): boolean {
  let isHighPending = false;
  let expectedAt = -1;
  for (const match of text.matchAll(/\\(?:u([0-9a-fA-F]{4})|.)/gs)) {
    const unit = match[1] === undefined ? -1 : Number.parseInt(match[1], 16);
    const isLow = unit >= 0xdc00 && unit <= 0xdfff;
    if (isHighPending !== (isLow && match.index === expectedAt) && (isHighPending || isLow)) return true;
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
