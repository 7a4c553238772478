/**
 * N14, N13, N10: a stop answers every request that has arrived and ends with 0; slow clients are sent away and hurt nobody;
 * a server with too much to do says so quickly and goes on with what it has admitted.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import type { Entry } from '../../scripts/fire/history.ts';
import { type Load, recorded, refreshRequest, startLoad } from '../../scripts/fire/load.ts';
import { get, openWire } from '../../scripts/fire/wire.ts';
import { freePort } from '../support/free-port.ts';
import { expectCleanHistory, loginRequest, makeGround, SEED, TIMES, tell } from './ground.ts';

const STOPS = Math.ceil(10 * TIMES);
const CLIENTS = 16;
const SLOW = Math.ceil(200 * TIMES);

const statuses = (load: Load): readonly string[] => Object.keys(load.tally().statuses);

/** Sent while the server listened, before it heard of its end, and never answered. What comes later finds nobody. */
const isDropped = ({ started, status }: Entry, served: readonly (readonly [from: number, to: number])[]): boolean =>
  status === 0 && served.some(([from, to]) => started > from && started < to);

test.each(['sqlite', 'postgres'] as const)(
  `N14: on %s, ${STOPS} stops under load with connections that stay open: exit 0, and no answer is broken`,
  async (kind) => {
    const ground = await makeGround(kind);
    const port = await freePort();
    let served = await ground.start({ port });
    const load = startLoad({ ports: [port], sessions: await served.logins(CLIENTS), seed: SEED });
    const times: [number, number][] = [];
    for (let stop = 0; stop < STOPS; stop += 1) {
      const listens = performance.now();
      await load.more(100);
      const began = performance.now();
      times.push([listens, began]);
      expect(await served.end('SIGTERM')).toBe(0);
      expect(performance.now() - began).toBeLessThan(15_000);
      served = await ground.start({ port });
    }
    await load.finish();
    tell(`${kind}, ${STOPS} stops: ${load.summary()}`);
    // 0 is of connections refused while nobody listened; 503 would be a stop that refuses what it has taken.
    expect(statuses(load).filter((status) => status !== '0' && status !== '200')).toEqual([]);
    expect(load.broken()).toBe(0);
    expect(load.history.filter((entry) => isDropped(entry, times))).toEqual([]);
    await expectCleanHistory(ground, load.history);
  },
);

/** Until the other side closes. @returns after how long, ms */
async function untilClosed(socket: Socket): Promise<number> {
  const began = performance.now();
  if (!socket.closed) await once(socket, 'close');
  return performance.now() - began;
}

test(`N13: ${SLOW} slow clients of each kind are sent away in time, and others are served meanwhile`, async () => {
  const ground = await makeGround('sqlite');
  const served = await ground.start();
  const load = startLoad({ ports: [served.port], sessions: await served.logins(4), seed: SEED, pause: 20 });
  const open = (start: string): Socket => {
    const socket = connect(served.port, '127.0.0.1');
    socket.on('error', () => undefined).resume();
    socket.write(start);
    return socket;
  };
  const many = (start: string): Socket[] => Array.from({ length: SLOW }, () => open(start));
  const slowHeader = many('POST /refresh HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow');
  const slowBody = many(
    'POST /refresh HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{',
  );
  const [headers, bodies] = await Promise.all([
    Promise.all(slowHeader.map(untilClosed)),
    Promise.all(slowBody.map(untilClosed)),
  ]);
  // 5 s and 10 s of patience, looked for each second, and time to close so many on a busy machine.
  expect(Math.max(...headers)).toBeLessThan(9_000);
  expect(Math.max(...bodies)).toBeLessThan(14_000);
  await load.finish();
  expect(statuses(load)).toEqual(['200']);
  expect(load.tally().slowestMs).toBeLessThan(2_000);
  await expectCleanHistory(ground, load.history);
});

test('N10: more requests than admitted: some are refused with Retry-After, the rest is served, and then all are', async () => {
  const ground = await makeGround('sqlite', { server: { maxInFlight: 8 } });
  const served = await ground.start();
  const [session] = await served.logins(1);
  if (session === undefined) throw new Error('there was a login');
  const history: Entry[] = [];
  const wires = Array.from({ length: 64 }, () => openWire(served.port));
  await Promise.all(wires.map((wire) => wire.send(get('/healthz'))));
  const question = { kind: 'refresh', family: session.family, generation: 0, isObedient: true } as const;
  const shed: string[] = [];
  for (let round = 0; round < 20; round += 1) {
    const answers = await Promise.all(
      wires.map((wire) => recorded(history, wire, question, refreshRequest(session, 'one-key'))),
    );
    for (const answer of answers) {
      expect([200, 503]).toContain(answer?.status);
      if (answer?.status === 503) shed.push(answer.head.toLowerCase() + answer.text);
    }
    expect((await served.send(get('/healthz'))).status).toBe(200);
  }
  expect(shed.length).toBeGreaterThan(0);
  expect(shed.filter((text) => !text.includes('retry-after: 1') || !text.includes('"overloaded"'))).toEqual([]);
  expect((await served.send(refreshRequest(session, 'one-key'))).status).toBe(200);
  expect((await served.send(loginRequest())).status).toBe(200);
  await expectCleanHistory(ground, history);
});
