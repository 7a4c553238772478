/** What stands around a proxy under test: the service behind it, the way to auth-server, the caller in front. */
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import type { RunningProxy } from './proxy.ts';

/** A request as it reached a server, body counted. */
export interface Seen {
  readonly method: string;
  readonly path: string;
  /** Names as they were sent. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly bytes: number;
}

export interface Service {
  readonly port: number;
  /** Requests that have come, whole. */
  readonly seen: readonly Seen[];
  /** Requests whose headers have come. */
  begun(): number;
}

async function listenOn(server: Server, port = 0): Promise<number> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const pairsOf = (raw: readonly string[]): (readonly [string, string])[] =>
  raw.flatMap((name, index) => (index % 2 === 0 ? [[name, raw[index + 1] ?? ''] as const] : []));

/** Answers 200 to everything and remembers what it got. */
export async function startService(): Promise<Service> {
  const seen: Seen[] = [];
  let begun = 0;
  const server = http.createServer(async (incoming, outgoing) => {
    begun += 1;
    let bytes = 0;
    try {
      for await (const chunk of incoming) bytes += (chunk as Buffer).length;
    } catch {
      // The proxy gave up on this request: it has not come whole.
      return;
    }
    seen.push({
      method: incoming.method ?? '',
      path: incoming.url ?? '',
      headers: pairsOf(incoming.rawHeaders),
      bytes,
    });
    outgoing.end('hello');
  });
  const port = await listenOn(server);
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return { port, seen, begun: () => begun };
}

/** A server in the place of auth-server that answers all with one status, and a redirect to somewhere that would say yes. */
export async function startImpostor(status: number): Promise<number> {
  const yes = http.createServer((_, outgoing) => {
    const body = { active: true, sub: 'mallory', sid: 'x', client_id: 'x', exp: Math.ceil(Date.now() / 1_000) + 60 };
    outgoing.setHeader('Content-Type', 'application/json').setHeader('X-Auth-Subject', 'mallory');
    outgoing.end(JSON.stringify(body));
  });
  const location = `http://127.0.0.1:${await listenOn(yes)}/`;
  const server = http.createServer((_, outgoing) => {
    outgoing.writeHead(status, { Location: location, 'X-Auth-Subject': 'mallory' }).end();
  });
  const port = await listenOn(server);
  onTestFinished(() => {
    for (const one of [yes, server]) {
      one.close();
      one.closeAllConnections();
    }
  });
  return port;
}

/** The way to auth-server, looked at: how many bytes went there, and on how many connections. It can be closed and opened. */
export interface Tap {
  readonly port: number;
  bytes(): number;
  connections(): number;
  close(): Promise<void>;
  open(): Promise<void>;
}

export async function openTap(target: number): Promise<Tap> {
  const sockets = new Set<Socket>();
  let bytes = 0;
  let connections = 0;
  let server: Server | undefined;
  let port = 0;

  function join(near: Socket): void {
    connections += 1;
    const far = connect(target, '127.0.0.1');
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one
        .on('error', () => undefined)
        .on('close', () => {
          sockets.delete(one);
          other.destroy();
        });
    }
    near.on('data', (chunk) => {
      bytes += chunk.length;
    });
    near.pipe(far);
    far.pipe(near);
  }

  async function open(): Promise<void> {
    server = createServer(join);
    port = await listenOn(server, port);
  }

  async function close(): Promise<void> {
    const closing = server;
    server = undefined;
    if (closing === undefined) return;
    closing.close();
    for (const socket of sockets) socket.destroy();
    await once(closing, 'close');
  }

  await open();
  onTestFinished(close);
  return { port, bytes: () => bytes, connections: () => connections, close, open };
}

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
}

export interface Question {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly body?: string;
  /** Another address of loopback to call from. */
  readonly from?: string;
}

export interface Caller {
  ask(question?: Question): Promise<Answer>;
  /** A request whose body the caller sends by hand. */
  begin(question: Question): { readonly request: http.ClientRequest; readonly answer: Promise<Answer> };
  /** Connections made. */
  connections(): number;
}

/** Calls a proxy over TLS, on connections that stay open. */
export function makeCaller({ port, ca }: RunningProxy, host: string): Caller {
  const agent = new https.Agent({ keepAlive: true, ca, servername: host });
  onTestFinished(() => agent.destroy());
  const sockets = new WeakSet<Socket>();
  let connections = 0;

  const begin: Caller['begin'] = ({ method = 'GET', path = '/things', headers = [], from }) => {
    const request = https.request({
      agent,
      host: '127.0.0.1',
      port,
      method,
      path,
      headers: ['Host', host, ...headers.flat()],
      ...(from === undefined ? {} : { localAddress: from }),
    });
    request.on('socket', (socket) => {
      if (!sockets.has(socket)) connections += 1;
      sockets.add(socket);
    });
    const answer = new Promise<Answer>((resolve, reject) => {
      request.on('error', reject).on('response', (incoming) => {
        let text = '';
        incoming.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text }));
        incoming.on('error', reject);
      });
    });
    return { request, answer };
  };

  return {
    ask: (question = {}) => {
      const { body } = question;
      const length = body === undefined ? [] : ([['Content-Length', String(Buffer.byteLength(body))]] as const);
      const { request, answer } = begin({ ...question, headers: [...(question.headers ?? []), ...length] });
      request.end(body);
      return answer;
    },
    begin,
    connections: () => connections,
  };
}

export const bearer = (token: string): readonly [string, string] => ['Authorization', `Bearer ${token}`];
