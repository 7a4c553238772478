/**
 * The listener: what Node's parser and timers refuse, answered in the contract's JSON; and a stop that answers every
 * request whose bytes had arrived. It knows nothing of what is served.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { DurationMs } from '../domain/time.ts';
import { Refusal } from '../refusal.ts';
import type { Handling } from './handle.ts';

const limits = {
  headers: 5_000,
  keepAlive: 5_000,
  /** How often time-outs are looked for. */
  check: 1_000,
  headerBytes: 16_384,
  headerCount: 100,
  connections: 10_000,
  /** Before idle connections are closed at a stop: what a client had sent by then is read. */
  stopGrace: 100,
  stopPoll: 10,
} as const;

export interface HttpServer {
  readonly host: string;
  /** The one that was bound: another than asked for when that was 0. */
  readonly port: number;
  /** From now on requests are served; those that came earlier have waited. */
  serve(handling: Handling): void;
  isStopping(): boolean;
  /** No new connections; every request that has arrived is answered, for as long as `patience`; then all connections end. */
  stop(patience: DurationMs): Promise<void>;
}

export interface ListenOptions {
  /** Where the address is configured. */
  readonly key: 'listen' | 'metrics.listen';
  readonly host: string;
  readonly port: number;
  readonly requestTimeout: DurationMs;
  readonly bodyLimit: number;
}

/** @throws Refusal address_in_use, configuration_invalid */
export async function listen(options: ListenOptions): Promise<HttpServer> {
  let handling: Handling | undefined;
  let stopping = false;
  const early: [IncomingMessage, ServerResponse][] = [];
  const sockets = new Set<Socket>();

  const onRequest = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    if (handling === undefined) early.push([incoming, outgoing]);
    else handling.handle(incoming, outgoing);
  };
  const server = createServer(
    {
      // Node refuses to wait longer for the headers than for the whole request.
      headersTimeout: Math.min(limits.headers, options.requestTimeout),
      requestTimeout: options.requestTimeout,
      keepAliveTimeout: limits.keepAlive,
      connectionsCheckingInterval: limits.check,
      maxHeaderSize: limits.headerBytes,
      // Checked with the rest of the framing, so that the answer is ours.
      requireHostHeader: false,
    },
    onRequest,
  );
  server.maxHeadersCount = limits.headerCount;
  server.maxConnections = limits.connections;
  server.on('clientError', (error: Error & { code?: string }, socket: Socket) => refuseBytes(error, socket));
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('checkContinue', (incoming: IncomingMessage, outgoing: ServerResponse) => {
    if (Number(incoming.headers['content-length'] ?? 0) <= options.bodyLimit) outgoing.writeContinue();
    onRequest(incoming, outgoing);
  });
  server.on('checkExpectation', onRequest);

  /** Whether an answer waits for its reader: Node takes the connection of one that was ended for an idle one. */
  const isSending = (): boolean => sockets.values().some(({ writableLength }) => writableLength > 0);
  function closeIdle(): void {
    if (!isSending()) server.closeIdleConnections();
  }

  await bind(server, options);
  return {
    host: options.host,
    port: (server.address() as AddressInfo).port,
    serve(given) {
      handling = given;
      for (const [incoming, outgoing] of early.splice(0)) given.handle(incoming, outgoing);
    },
    isStopping: () => stopping,
    async stop(patience) {
      stopping = true;
      handling?.endWaits?.();
      // Of net, not of http: the latter would at once cut idle connections, and with them requests on their way.
      const closed = new Promise<void>((resolve) => {
        NetServer.prototype.close.call(server, () => resolve());
      });
      await delay(Math.min(limits.stopGrace, patience));
      closeIdle();
      const end = performance.now() + patience;
      while (((handling?.inFlight() ?? 0) > 0 || isSending()) && performance.now() < end) {
        await delay(limits.stopPoll);
        closeIdle();
      }
      // Lets the last answers leave the process.
      await delay(limits.stopPoll);
      server.closeAllConnections();
      await closed;
    },
  };
}

/** What to do about an address that cannot be had. */
const REMEDIES = {
  listen: {
    inUse: (port: number) => `auth-server serve --port ${port + 1}, or find it`,
    other: 'check listen.host and listen.port',
  },
  'metrics.listen': {
    inUse: () => 'name another port in metrics.listen, or find it',
    other: 'check metrics.listen',
  },
} as const;

function bind(server: Server, { key, host, port }: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: Error & { code?: string }) => {
      const inUse = error.code === 'EADDRINUSE';
      const description = inUse
        ? `${host}:${port} is in use by another process.`
        : `Cannot listen on ${host}:${port} (${error.code ?? 'unknown'}).`;
      const remedy = inUse ? `${REMEDIES[key].inUse(port)}: ss -ltnp 'sport = :${port}'` : REMEDIES[key].other;
      reject(new Refusal('address_in_use', description, { remedy, cause: error }));
    });
    server.listen({ host, port, backlog: 1_024 }, () => {
      // From now on it tells of a connection that it could not take, as of the last file descriptor: that one is lost.
      server.on('error', () => undefined);
      resolve();
    });
  });
}

const parserAnswer = (phrase: string, error: string, description: string) => ({
  phrase,
  body: JSON.stringify({ error, error_description: description }),
});

const PARSER_ANSWERS = {
  400: parserAnswer('Bad Request', 'invalid_request', 'The request is not well-formed HTTP/1.1.'),
  408: parserAnswer('Request Timeout', 'request_timeout', 'The request did not arrive in time; send it faster.'),
  413: parserAnswer('Payload Too Large', 'payload_too_large', 'A chunk extension is too long; leave it out.'),
  431: parserAnswer(
    'Request Header Fields Too Large',
    'header_too_large',
    'The headers are longer than 16 KiB; send fewer.',
  ),
} as const;

const PARSER_STATUS: Readonly<Record<string, keyof typeof PARSER_ANSWERS>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

/** The parser has given up on these bytes: no request exists, so the answer is written to the socket itself. */
function refuseBytes(
  error: Error & { code?: string },
  socket: Socket & { _httpMessage?: { headersSent: boolean } | null },
): void {
  if (error.code === 'ECONNRESET' || !socket.writable || socket._httpMessage?.headersSent === true) {
    socket.destroy();
    return;
  }
  const status = PARSER_STATUS[error.code ?? ''] ?? 400;
  const { phrase, body } = PARSER_ANSWERS[status];
  socket.end(
    `HTTP/1.1 ${status} ${phrase}\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
      `Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nX-Request-Id: ${requestIdOf(socket)}\r\nConnection: close\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}

/** Tells one refused connection from another in two logs. */
const requestIdOf = (socket: Socket): string => `parser-${socket.remotePort ?? 0}`;
