/** Both sides of the SDK on real sockets: an auth server behind a proxy that can be spoiled, and an API that asks `/verify`. */
import { once } from 'node:events';
import http from 'node:http';
import { expect, onTestFinished } from 'vitest';
import type { Session, SessionStorage } from '../../src/sdk/client.ts';
import { createVerifier, type Verifier, type VerifierOptions } from '../../src/sdk/verifier.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { until } from '../support/until.ts';

/**
 * What becomes of a request. `cut`: the server does its work and answers, and the connection breaks before the answer is
 * through. `never sent`: it does not get to the server. An answer is the proxy's own. A promise holds it up.
 */
export type Fault = 'cut' | 'never sent' | OwnAnswer | Promise<void>;

interface OwnAnswer {
  readonly status: number;
  readonly text: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export const FEED = '/revocations';
export const JWKS = '/.well-known/jwks.json';

export interface Proxy {
  readonly url: string;
  /** In order. */
  readonly requests: { readonly path: string; readonly headers: http.IncomingHttpHeaders }[];
  /** Of the next requests to this path. */
  spoil(path: string, ...faults: readonly Fault[]): void;
  /** From now on every request meets this; undefined: none. */
  spoilAll(fault: Fault | undefined): void;
  count(path: string): number;
}

const origin = (server: http.Server): string => {
  const address = server.address();
  return `http://127.0.0.1:${address !== null && typeof address === 'object' ? address.port : 0}`;
};

async function listen(handler: http.RequestListener): Promise<http.Server> {
  const server = http.createServer((request, response) => {
    // So that nothing stays open behind a test.
    response.setHeader('connection', 'close');
    handler(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });
  return server;
}

const bodyOf = async (message: http.IncomingMessage): Promise<Buffer> => Buffer.concat(await message.toArray());

/** @param port where requests go, asked at each */
async function openProxy(port: () => number): Promise<Proxy> {
  const requests: Proxy['requests'] = [];
  const faults = new Map<string, Fault[]>();
  let always: Fault | undefined;

  async function forward(incoming: http.IncomingMessage, outgoing: http.ServerResponse): Promise<void> {
    const path = new URL(incoming.url ?? '/', 'http://x').pathname;
    requests.push({ path, headers: incoming.headers });
    const fault = faults.get(path)?.shift() ?? always;
    const body = await bodyOf(incoming);
    if (fault === 'never sent') return void outgoing.destroy();
    if (fault instanceof Promise) await fault;
    else if (typeof fault === 'object') return void outgoing.writeHead(fault.status, fault.headers).end(fault.text);
    const { connection: _, ...headers } = incoming.headers;
    const options = {
      port: port(),
      path: incoming.url ?? '/',
      method: incoming.method ?? 'GET',
      headers,
      agent: false,
    };
    const request = http.request({ host: '127.0.0.1', ...options });
    outgoing.on('close', () => request.destroy());
    request.end(body);
    const [answer] = (await once(request, 'response')) as [http.IncomingMessage];
    const text = await bodyOf(answer);
    if (fault === 'cut') {
      // Half of it, so that the client sees an answer begin.
      outgoing.writeHead(answer.statusCode ?? 500, { 'content-length': text.length });
      outgoing.write(text.subarray(0, text.length / 2), () => outgoing.destroy());
      return;
    }
    const { connection: __, 'transfer-encoding': ___, ...kept } = answer.headers;
    outgoing.writeHead(answer.statusCode ?? 500, { ...kept, connection: 'close' }).end(text);
  }

  const server = await listen((incoming, outgoing) => {
    forward(incoming, outgoing).catch(() => outgoing.destroy());
  });
  return {
    url: origin(server),
    requests,
    spoil: (path, ...wanted) => void faults.set(path, [...(faults.get(path) ?? []), ...wanted]),
    spoilAll: (fault) => {
      always = fault;
    },
    count: (path) => requests.filter((request) => request.path === path).length,
  };
}

export interface SdkStage {
  readonly server: TestServer;
  readonly proxy: Proxy;
  /** Where the proxy is: what the SDK knows. */
  readonly issuer: string;
}

/** A server whose issuer is the proxy, and whose clock begins at the time of this machine. */
export async function setSdkStage(url: string, config: Readonly<Record<string, unknown>> = {}): Promise<SdkStage> {
  let port = 0;
  const proxy = await openProxy(() => port);
  const server = await startTestServer({ url, config: { issuer: proxy.url, ...config } });
  ({ port } = server);
  server.clock.advance(Date.now() - server.clock.now());
  await server.addClient('web', { isPublic: true });
  return { server, proxy, issuer: proxy.url };
}

export interface Api {
  readonly url: string;
  /** What came in: the path, and what the caller showed. */
  readonly requests: { readonly path: string; readonly authorization: string | undefined; readonly body: string }[];
}

/**
 * Asks `/verify` of each request, and says whose it is. `/never` refuses everybody; `/elsewhere?to=` sends on; an API
 * without a server sees what it is shown and lets everybody in.
 */
export async function openApi(server?: TestServer): Promise<Api> {
  const requests: Api['requests'] = [];
  const listening = await listen(async (incoming, outgoing) => {
    const { pathname, searchParams } = new URL(incoming.url ?? '/', 'http://x');
    const { authorization } = incoming.headers;
    requests.push({ path: pathname, authorization, body: (await bodyOf(incoming)).toString() });
    if (pathname === '/elsewhere')
      return void outgoing.writeHead(307, { location: searchParams.get('to') ?? '' }).end();
    const token = authorization?.replace('Bearer ', '') ?? '';
    const { active, sub } = server === undefined ? { active: true, sub: '' } : await server.verify(token);
    const isLetIn = active === true && pathname !== '/never';
    outgoing.writeHead(isLetIn ? 200 : 401, { 'content-type': 'application/json' }).end(JSON.stringify({ of: sub }));
  });
  return { url: origin(listening), requests };
}

/** Carries JSON, like a browser's; takes its time, like a phone's. */
export function jsonStorage(): SessionStorage & { held(): Session | null } {
  let text = 'null';
  const held = (): Session | null => JSON.parse(text);
  return {
    held,
    get: async () => held(),
    set: async (session) => {
      text = JSON.stringify(session);
    },
    remove: async () => {
      text = 'null';
    },
  };
}

/** And verifiers that are closed with their test. */
export async function setVerifierStage(url: string, config: Readonly<Record<string, unknown>> = {}) {
  const stage = await setSdkStage(url, config);
  const { server, issuer } = stage;
  const open = (options: Partial<VerifierOptions> = {}): Verifier => {
    const { id: clientId, secret: clientSecret } = server.api;
    const verifier = createVerifier({ issuer, audience: 'api', clientId, clientSecret, ...options });
    onTestFinished(verifier.close);
    return verifier;
  };
  const logout = async ({ refresh_token }: { readonly refresh_token: string }): Promise<void> => {
    expect((await server.post('/logout', { refresh_token })).status).toBe(204);
  };
  return { ...stage, open, logout };
}

/** How long it takes until a verifier says so, in milliseconds. */
export async function timeUntil(verifier: Verifier, token: string, reason: string): Promise<number> {
  const began = performance.now();
  await until(async () => {
    const verdict = await verifier.verify(token);
    return !verdict.active && verdict.reason === reason;
  }, `it is ${reason}`);
  return performance.now() - began;
}
