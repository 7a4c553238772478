/** What a handler may know of a request before its body: target, headers, who called; and the framing that HTTP forbids. */
import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';
import type { App } from '../app.ts';
import { canonicalAddress } from '../domain/address.ts';
import { printable } from '../domain/printable.ts';
import type { Origin } from '../domain/token-family.ts';
import { Refusal } from '../refusal.ts';

/** What a handler is given. Nothing of the body is read yet. */
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

/** @param description what is wrong and what to send, in one sentence */
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
function trustedProxies(trusted: readonly string[]): (address: string) => boolean {
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
function clientAddress(incoming: IncomingMessage, isTrusted: (address: string) => boolean): string | null {
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

const userAgentOf = (incoming: IncomingMessage): string | null => {
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
