/** Callers that hang up while the server still looks who they are: nothing of them stays. */
import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { durationMs } from '../../src/domain/time.ts';
import { makeHandling } from '../../src/http/handle.ts';
import { listen } from '../../src/http/server.ts';
import { addClient } from '../../src/operations/clients.ts';
import { makeDatabase } from '../support/databases.ts';
import { openTestApp } from '../support/test-app.ts';
import { basicOf } from '../support/test-server.ts';
import { until } from '../support/until.ts';

const BODY = JSON.stringify({ token: 'x' });

test.each([
  ['whole', BODY],
  ['in part', BODY.slice(0, 4)],
])('a request whose caller is gone before its body is read, which had arrived %s, ends', async (_, sent) => {
  const { app } = await openTestApp(await makeDatabase('sqlite'));
  const { secret } = await addClient(app, {
    id: 'api',
    type: 'resource-server',
    isPublic: false,
    audiences: [],
    policy: {},
  });
  const look = Promise.withResolvers<void>();
  const clients = {
    ...app.clients,
    current: async () => {
      await look.promise;
      return app.clients.current();
    },
  };
  const http = await listen({
    key: 'listen',
    host: '127.0.0.1',
    port: 0,
    requestTimeout: durationMs(10_000),
    bodyLimit: 16_384,
  });
  onTestFinished(() => http.stop(durationMs(0)));
  const handling = makeHandling({ ...app, clients }, http.isStopping);
  let isGone = false;
  http.serve({
    inFlight: handling.inFlight,
    handle(incoming, outgoing) {
      incoming.once('close', () => {
        isGone = true;
      });
      handling.handle(incoming, outgoing);
    },
  });

  const caller = connect(http.port, '127.0.0.1');
  const { authorization } = basicOf('api', secret?.reveal() ?? '');
  caller.write(
    `POST /verify HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\nContent-Type: application/json\r\nContent-Length: ${BODY.length}\r\n\r\n${sent}`,
  );
  await until(() => handling.inFlight() === 1, 'the request is under way');
  caller.destroy();
  await until(() => isGone, 'the server knows that the caller is gone');
  look.resolve();
  await until(() => handling.inFlight() === 0, 'nothing of it is under way');
  expect(handling.inFlight()).toBe(0);
});
