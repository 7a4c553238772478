/** Connections that the system cannot give: they are lost, and the server goes on. */
import { Server } from 'node:net';
import { expect, onTestFinished, test, vi } from 'vitest';
import { durationMs } from '../../src/domain/time.ts';
import { listen } from '../../src/http/server.ts';

test('a server that cannot take a connection, again and again, is there for the next', async () => {
  const listening = vi.spyOn(Server.prototype, 'listen');
  const http = await listen({
    key: 'listen',
    host: '127.0.0.1',
    port: 0,
    requestTimeout: durationMs(10_000),
    bodyLimit: 0,
  });
  onTestFinished(() => http.stop(durationMs(0)));
  http.serve({ inFlight: () => 0, handle: (_, outgoing) => outgoing.end('here') });
  const server = listening.mock.contexts[0];
  if (!(server instanceof Server)) throw new Error('nothing listens');
  // As net does it when accept(2) says EMFILE.
  for (let time = 0; time < 3; time += 1)
    server.emit('error', Object.assign(new Error('accept EMFILE'), { code: 'EMFILE' }));
  expect(await (await fetch(`http://127.0.0.1:${http.port}/`)).text()).toBe('here');
});
