/**
 * N14 behind a proxy: two servers on one Postgres are restarted in turn behind nginx, with the configuration of its page,
 * and nobody notices. The long form: FIRE_TIMES=10 makes 30 restarts of it.
 */
import { expect, test } from 'vitest';
import { startLoad } from '../../scripts/fire/load.ts';
import { expectCleanHistory, makeGround, SEED, TIMES, tell } from '../fire/ground.ts';
import { freePort } from '../support/free-port.ts';
import { startNginx } from './proxy.ts';
import { openTlsClient } from './tls-client.ts';

const HOST = 'auth.example.com';
const RESTARTS = Math.ceil(3 * TIMES);
const CLIENTS = 12;
const LIMIT_MS = 120_000 * Math.max(1, TIMES);

test(`N14: ${RESTARTS} rolling restarts of two servers behind nginx: every request is answered 200`, {
  timeout: LIMIT_MS,
}, async () => {
  const ground = await makeGround('postgres', { server: { trustedProxies: ['127.0.0.1'] } });
  const ports = [await freePort(), await freePort()] as const;
  const servers = [await ground.start({ port: ports[0] }), await ground.start({ port: ports[1] })];
  const proxy = await startNginx({
    host: HOST,
    site: 'auth.conf',
    substitutions: () => [
      ['127.0.0.1:8081', `127.0.0.1:${ports[0]}`],
      ['127.0.0.1:8082', `127.0.0.1:${ports[1]}`],
    ],
  });
  const port = await openTlsClient(proxy.port, proxy.ca, HOST);
  const sessions = (await servers[0]?.logins(CLIENTS)) ?? [];
  const load = startLoad({ ports: [port], sessions, seed: SEED });
  for (let restart = 0; restart < RESTARTS; restart += 1) {
    const which = restart % 2;
    await load.more(150);
    expect(await servers[which]?.end('SIGTERM')).toBe(0);
    await load.more(50);
    servers[which] = await ground.start({ port: which === 0 ? ports[0] : ports[1] });
  }
  await load.finish();
  tell(`${RESTARTS} rolling restarts: ${load.summary()}`);
  expect(Object.keys(load.tally().statuses)).toEqual(['200']);
  expect(load.broken()).toBe(0);
  await expectCleanHistory(ground, load.history);
});
