/**
 * N13: clients that are slow on purpose, of four kinds: those that send a letter of a header, or of a body, now and then,
 * those that say nothing, and those that end their side in the middle. Each is gone in its time whatever it sends
 * meanwhile, its descriptor too, and nobody else notices.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { processFigures } from '../../scripts/fire/figures.ts';
import { until } from '../support/until.ts';
import { expectCleanHistory, makeGround, SEED, TIMES, tell } from './ground.ts';
import { expectNothingElse, expectUnhurt, makeTraffic, seedSessions, steady } from './load-ground.ts';

const EACH = Math.min(2_000, Math.ceil(200 * TIMES));
const OPENED_AT_ONCE = 50;
/** Between two letters, ms. */
const DRIP = 500;

const HEAD = 'POST /refresh HTTP/1.1\r\nHost: 127.0.0.1\r\n';

interface Slow {
  readonly opening: string;
  /** What is sent again and again. */
  readonly drip?: string;
  readonly endsItsSide?: true;
  /** Of the contract, s: when the connection is gone. */
  readonly patience: number;
}

const KINDS: Readonly<Record<string, Slow>> = {
  header: { opening: `${HEAD}X-Slow: `, drip: 'x', patience: 6 },
  body: { opening: `${HEAD}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{`, drip: ' ', patience: 11 },
  silent: { opening: '', patience: 6 },
  halved: { opening: `${HEAD}X-Half`, endsItsSide: true, patience: 6 },
};

/** A busy machine closes so many later than an idle one, and sees it later, s. */
const SLACK = 5 + EACH / 200;

/** Connected when this resolves. @returns when the server has closed it: after how long, s */
async function slowClient(
  port: number,
  { opening, drip, endsItsSide }: Slow,
): Promise<{ readonly gone: Promise<number> }> {
  const socket: Socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  await once(socket, 'connect');
  const began = performance.now();
  if (opening !== '') socket.write(opening);
  if (endsItsSide === true) socket.end();
  const timer = drip === undefined ? undefined : setInterval(() => socket.writable && socket.write(drip), DRIP);
  const gone = new Promise<number>((resolve) => {
    const settle = (): void => {
      clearInterval(timer);
      socket.destroy();
      resolve((performance.now() - began) / 1_000);
    };
    socket.once('end', settle).once('close', settle).on('error', settle).resume();
  });
  return { gone };
}

/** A few at once, as a listener does not keep many waiting. */
async function slowClients(port: number, slow: Slow): Promise<number[]> {
  const gone: Promise<number>[] = [];
  for (let opened = 0; opened < EACH; opened += OPENED_AT_ONCE) {
    const some = Array.from({ length: Math.min(OPENED_AT_ONCE, EACH - opened) }, () => slowClient(port, slow));
    gone.push(...(await Promise.all(some)).map((client) => client.gone));
  }
  return Promise.all(gone);
}

test(`N13: ${EACH} slow clients of each of ${Object.keys(KINDS).length} kinds are gone in time, and others do not notice`, async () => {
  const ground = await makeGround('sqlite');
  const sessions = await seedSessions(ground, 200);
  const served = await ground.start();
  const traffic = makeTraffic(ground.api, sessions);
  const quiet = await steady(served, traffic, 3_000);
  const { descriptors } = processFigures(served.pid);
  const beside = steady(served, traffic, 8_000);
  const gone = await Promise.all(
    Object.entries(KINDS).map(async ([kind, slow]) => ({
      kind,
      patience: slow.patience,
      slowest: Math.max(...(await slowClients(served.port, slow))),
    })),
  );
  const unhurt = expectUnhurt(quiet, await beside);
  const slowest = gone.map(({ kind, slowest: seconds }) => `${kind} ${seconds.toFixed(1)} s`).join(', ');
  tell(`seed ${SEED}: ${EACH} of each kind gone at the latest after: ${slowest}; ${unhurt}`);
  expect(gone.filter(({ patience, slowest: seconds }) => seconds > patience + SLACK)).toEqual([]);
  await until(() => processFigures(served.pid).descriptors <= descriptors + 2, 'the descriptors are back');
  expectNothingElse(traffic);
  await expectCleanHistory(ground, traffic.history);
});
