/** What a server that stops says to whoever asks whether it is ready. */
import { expect, onTestFinished, test } from 'vitest';
import { durationMs } from '../../src/domain/time.ts';
import { makeHandling } from '../../src/http/handle.ts';
import { listen } from '../../src/http/server.ts';
import { makeDatabase } from '../support/databases.ts';
import { openTestApp } from '../support/test-app.ts';

test('it is not ready, and says when to ask again, as every 503 does', async () => {
  const { app } = await openTestApp(await makeDatabase('sqlite'));
  const http = await listen({
    key: 'listen',
    host: '127.0.0.1',
    port: 0,
    requestTimeout: durationMs(10_000),
    bodyLimit: 16_384,
  });
  onTestFinished(() => http.stop(durationMs(0)));
  http.serve(makeHandling(app, () => true));
  const answer = await fetch(`http://127.0.0.1:${http.port}/readyz`);
  expect([answer.status, answer.headers.get('retry-after'), answer.headers.get('connection')]).toEqual([
    503,
    '1',
    'close',
  ]);
  expect(await answer.json()).toEqual({
    error: 'temporarily_unavailable',
    error_description: 'The server is stopping; ask another one.',
  });
});
