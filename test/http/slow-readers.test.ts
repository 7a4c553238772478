/** Whoever reads slowly while the server stops: an answer that was begun is sent whole, for as long as the patience lasts. */
import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { durationMs } from '../../src/domain/time.ts';
import { type HttpServer, listen } from '../../src/http/server.ts';
import { until } from '../support/until.ts';

/** More than any buffer of the system takes at once. */
const BODY = 'x'.repeat(32 * 1024 * 1024);

interface Begun {
  readonly http: HttpServer;
  /** Takes what has come. @returns bytes so far, the head included */
  readonly readSome: () => number;
}

async function begin(): Promise<Begun> {
  const http = await listen({
    key: 'listen',
    host: '127.0.0.1',
    port: 0,
    requestTimeout: durationMs(10_000),
    bodyLimit: 0,
  });
  let isAnswered = false;
  http.serve({
    inFlight: () => 0,
    handle(_, outgoing) {
      outgoing.end(BODY);
      isAnswered = true;
    },
  });
  const reader = connect(http.port, '127.0.0.1');
  onTestFinished(() => void reader.destroy());
  reader.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  reader.pause();
  await until(() => isAnswered, 'it has answered');
  let received = 0;
  reader.on('error', () => undefined);
  return {
    http,
    readSome: () => {
      received += reader.read()?.length ?? 0;
      return received;
    },
  };
}

test('an answer that is still on its way when the server stops arrives whole', async () => {
  const { http, readSome } = await begin();
  const stopped = http.stop(durationMs(20_000));
  // A buffer every few milliseconds: far longer than a stop takes that waits for nobody.
  await until(() => readSome() > BODY.length, 'all of it has come');
  await stopped;
});

test('one that nobody reads keeps a stop no longer than its patience', async () => {
  const { http } = await begin();
  const start = performance.now();
  await http.stop(durationMs(300));
  expect(performance.now() - start).toBeLessThan(5_000);
});
