/** What the metrics look like to Prometheus itself: promtool comes with the distribution, as the brokers do. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { makeDatabase } from '../support/databases.ts';
import { freePort } from '../support/free-port.ts';
import { startTestServer } from '../support/test-server.ts';

test('promtool has nothing to say against a look at a server that has worked', async () => {
  const port = await freePort();
  const config = { 'metrics.listen': `127.0.0.1:${port}` };
  const server = await startTestServer({ url: await makeDatabase('sqlite'), config });
  const pair = await server.login();
  await server.refresh(pair);
  await server.tryRefresh(pair);
  await server.verify(pair.access_token);
  const response = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { connection: 'close' } });
  const text = await response.text();

  const promtool = spawn('promtool', ['check', 'metrics'], { stdio: 'pipe' });
  let said = '';
  for (const stream of [promtool.stdout, promtool.stderr]) {
    stream.setEncoding('utf8').on('data', (part: string) => {
      said += part;
    });
  }
  promtool.stdin.end(text);
  const [code] = (await once(promtool, 'close')) as [number];
  expect([code, said]).toEqual([0, '']);
  expect(text).toContain('auth_server_refresh_total{outcome="rotated"} 1');
});
