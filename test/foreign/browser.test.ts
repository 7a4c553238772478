/** `auth-server/client` in a real browser (chromium): its storage, its locks, its tabs, its rules about origins. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { revoke } from '../../src/operations/revoke.ts';
import { makeDatabase } from '../support/databases.ts';
import { freePort } from '../support/free-port.ts';
import { scratchFolder } from '../support/scratch.ts';
import { PASSWORD, startTestServer, USERNAME } from '../support/test-server.ts';
import { until } from '../support/until.ts';

const sdk = path.join(import.meta.dirname, '../../src/sdk/packed');

/** Of every page: the client as a module, one session in `localStorage`. What a test has to do is done when it is asked for. */
const SCRIPT = `
  import { createClient } from '/sdk/client.js';
  const { issuer, api, username, password } = await (await fetch('/settings')).json();
  const storage = {
    get: () => JSON.parse(localStorage.getItem('session')),
    set: (session) => localStorage.setItem('session', JSON.stringify(session)),
    remove: () => localStorage.removeItem('session'),
  };
  const tell = (what) => fetch('/told', { method: 'POST', keepalive: true, body: JSON.stringify(what) });
  const onSignedOut = (reason) => void tell({ signedOut: reason });
  const client = createClient({ issuer, origins: [api], storage, onSignedOut, loginUrl: '/login' });
  const call = async () => (await client.fetch(api + '/orders')).status;
  const inTab = () => new Promise((resolve) => {
    const frame = document.createElement('iframe');
    addEventListener('message', ({ source, data }) => source === frame.contentWindow && resolve(data));
    frame.src = '/tab';
    document.body.append(frame);
  });
  try {
    if (location.pathname === '/tab') {
      parent.postMessage(await Promise.all([call(), call(), call()]));
    } else {
      await client.login({ username, password, device: 'browser' });
      await tell({ first: await call(), own: await client.fetch('/orders').catch(({ code }) => code) });
      await fetch('/expire');
      await tell({ tabs: await Promise.all([inTab(), inTab(), call()]) });
      await fetch('/revoke');
      await call();
    }
  } catch (error) {
    await tell({ error: error.code ?? String(error) });
  }
`;

async function listen(handler: http.RequestListener, port: number): Promise<void> {
  const server = http.createServer((request, response) => {
    response.setHeader('connection', 'close');
    handler(request, response);
  });
  await once(server.listen(port, '127.0.0.1'), 'listening');
  onTestFinished(async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });
}

function openPage(url: string): void {
  const profile = scratchFolder('chromium', os.tmpdir());
  const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--no-first-run', `--user-data-dir=${profile}`];
  const child = spawn('/usr/bin/chromium', [...flags, url], {
    stdio: 'ignore',
    detached: true,
    env: { ...process.env, HOME: profile },
  });
  onTestFinished(async () => {
    // With all the processes that it has started.
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  });
}

test('pages of one session log in, refresh once between them, and go to the login page when it ends', async () => {
  const [pagePort, apiPort, issuerPort] = [await freePort(), await freePort(), await freePort()];
  const [page, api, issuer] = [pagePort, apiPort, issuerPort].map((port) => `http://127.0.0.1:${port}`);
  const told: unknown[] = [];
  let isAtLogin = false;

  const server = await startTestServer({
    url: await makeDatabase('sqlite'),
    config: { issuer, 'listen.port': issuerPort, 'server.cors.origins': [page] },
  });
  server.clock.advance(Date.now() - server.clock.now());

  await listen(async (request, response) => {
    response.setHeader('access-control-allow-origin', page ?? '');
    response.setHeader('access-control-allow-headers', 'authorization');
    if (request.method === 'OPTIONS') return void response.end();
    const { active } = await server.verify(request.headers.authorization?.replace('Bearer ', '') ?? '');
    response.writeHead(active === true ? 200 : 401).end();
  }, apiPort);
  const does: Readonly<Record<string, () => unknown>> = {
    '/expire': () => server.clock.advance(301_000),
    '/revoke': () => revoke(server.app, { which: { all: true } }),
    '/login': () => {
      isAtLogin = true;
    },
  };
  await listen(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', page);
    const body = Buffer.concat(await request.toArray()).toString();
    const file = /^\/sdk\/([\w-]+\.js)$/.exec(pathname)?.[1];
    if (pathname === '/told') told.push(JSON.parse(body));
    await does[pathname]?.();
    response.setHeader('content-type', file === undefined ? 'text/html' : 'text/javascript');
    if (file !== undefined) response.end(readFileSync(path.join(sdk, file)));
    else if (pathname === '/' || pathname === '/tab')
      response.end(`<!doctype html><body><script type="module">${SCRIPT}</script>`);
    else response.end(JSON.stringify({ issuer, api, username: USERNAME, password: PASSWORD }));
  }, pagePort);

  openPage(`${page}/`);
  const isTold = (what: unknown): boolean => told.some((one) => JSON.stringify(one) === JSON.stringify(what));
  const isEnded = (): boolean => isAtLogin && isTold({ signedOut: 'revoked' });
  await until(() => isEnded(), 'the page is at the login').catch((error: unknown) => {
    throw new Error(JSON.stringify(told), { cause: error });
  });
  expect(told.slice(0, 2)).toEqual([
    { first: 200, own: 'origin_not_allowed' },
    { tabs: [[200, 200, 200], [200, 200, 200], 200] },
  ]);
  const refreshed = await server.app.store.read((db) =>
    db.sql.selectFrom('refresh_tokens').select('generation').execute(),
  );
  expect(refreshed.map(({ generation }) => generation).toSorted()).toEqual([0, 1]);
}, 60_000);
