/**
 * N15: half of what a server can do, with junk among it, for as long as one likes: memory, descriptors, threads,
 * connections to Postgres and what it does while nobody asks are afterwards what they were, and junk does not fill the log.
 */
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { drive } from '../../scripts/fire/drive.ts';
import { median, megabytes, type ProcessFigures, processFigures, slope } from '../../scripts/fire/figures.ts';
import { get, post } from '../../scripts/fire/wire.ts';
import { until } from '../support/until.ts';
import { expectCleanHistory, type Ground, makeGround, SEED, type Served, TIMES, tell } from './ground.ts';
import { expectNothingElse, makeTraffic, seedSessions } from './load-ground.ts';

const MEASURE_MS = 6_000 * TIMES;
const WARM_UP_MS = 3_000;
const IDLE_MS = 1_500;
const JUNK_EACH = 10;
/** Of the memory, last third to first: in seconds it still finds its size, in a minute it has. */
const MOST_GROWTH = TIMES >= 6 ? 1.2 : 1.6;
/** Connections to Postgres: the pool of the configuration, and what stands beside it. */
const POOL = 5;
const FEED = 2;

const JUNK = [
  post('/login', 'not an object'),
  post('/refresh', { refresh_token: 'x', access_token: 'y' }),
  post('/verify', { token: 'x' }, { Authorization: 'Basic eDp5' }),
  get(`/${'x'.repeat(200)}`),
  get('/forward-auth', { Authorization: 'Bearer x' }),
  'BREW /coffee HTCPCP/1.0\r\n\r\n',
  `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`,
  'POST /refresh HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n',
  '\0\0\0\0',
] as const;

/** Sends it on a connection of its own, which is cut as soon as something comes back. */
function sendJunk(port: number, text: string): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('data', () => socket.destroy()).on('error', () => undefined);
    socket.once('close', () => resolve());
    socket.write(text);
  });
}

async function connectionsOf(ground: Ground): Promise<number> {
  if (ground.kind === 'sqlite') return 0;
  const rows = await ground.query<{ count: string }>(
    'select count(*) as count from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
  );
  return Number(rows[0]?.count);
}

/** How often the process woke up in a time in which nobody asked: a timer that was left behind shows here. */
async function idleWakeUps({ pid }: Served): Promise<number> {
  const before = processFigures(pid).wakeUps;
  await delay(IDLE_MS);
  return processFigures(pid).wakeUps - before;
}

interface Watched {
  readonly figures: (ProcessFigures & { readonly connections: number; readonly at: number })[];
  readonly junk: number;
}

/** Looks each second, and sends junk, until it is over. */
async function watch(ground: Ground, served: Served, over: Promise<unknown>): Promise<Watched> {
  const figures: Watched['figures'] = [];
  let junk = 0;
  let isOver = false;
  const ended = over.finally(() => {
    isOver = true;
  });
  while (!isOver) {
    figures.push({
      ...processFigures(served.pid),
      connections: await connectionsOf(ground),
      at: performance.now() / 60_000,
    });
    const some = Array.from({ length: JUNK_EACH }, () => JUNK.map((text) => sendJunk(served.port, text))).flat();
    await Promise.all(some);
    junk += some.length;
    await delay(1_000);
  }
  await ended;
  return { figures, junk };
}

test.each(['sqlite', 'postgres'] as const)(
  `N15: on %s, half of the peak for ${MEASURE_MS / 1_000} s with junk among it: nothing grows, and the log does not tell of each`,
  async (kind) => {
    const ground = await makeGround(kind);
    const sessions = await seedSessions(ground, 1_000);
    const served = await ground.start();
    const traffic = makeTraffic(ground.api, sessions);
    const atPeak = { port: served.port, connections: 64, durationMs: WARM_UP_MS, next: traffic.next };
    const warmUp = await drive(atPeak);
    const perSecond = (warmUp.samples.length / warmUp.elapsedMs) * 500;
    await until(async () => processFigures(served.pid).descriptors < 64, 'the connections are closed');
    const before = { ...processFigures(served.pid), connections: await connectionsOf(ground) };
    const wakeUps = await idleWakeUps(served);
    const { figures, junk } = await watch(ground, served, drive({ ...atPeak, perSecond, durationMs: MEASURE_MS }));
    await until(() => processFigures(served.pid).descriptors <= before.descriptors + 2, 'the descriptors are back');
    const after = { ...processFigures(served.pid), connections: await connectionsOf(ground) };

    const third = Math.ceil(figures.length / 3);
    const first = median(figures.slice(0, third).map(({ resident }) => resident));
    const last = median(figures.slice(-third).map(({ resident }) => resident));
    const perMinute = slope(figures.map(({ at, resident }) => [at, resident]));
    const lines = served.said().split('\n').length;
    const idle = await idleWakeUps(served);
    tell(
      `${kind}, seed ${SEED}: ${traffic.history.length} requests at ${Math.round(perSecond)}/s and ${junk} of junk; ` +
        `RSS ${megabytes(first)} in the first third, ${megabytes(last)} in the last, ${megabytes(perMinute)} a minute by the line through all; ` +
        `descriptors ${before.descriptors} → ${after.descriptors}, threads ${before.threads} → ${after.threads}, ` +
        `connections to Postgres ${before.connections} → ${after.connections}, idle wake-ups ${wakeUps} → ${idle}; ${lines} lines of log`,
    );
    expectNothingElse(traffic);
    expect(last).toBeLessThan(MOST_GROWTH * first);
    expect(after.threads).toBeLessThanOrEqual(before.threads);
    expect(Math.max(...figures.map(({ connections }) => connections))).toBeLessThanOrEqual(POOL + FEED);
    expect(idle).toBeLessThan(2 * wakeUps + 100);
    expect(junk).toBeGreaterThan(JUNK.length * JUNK_EACH);
    expect(lines).toBeLessThan(20);
    await expectCleanHistory(ground, traffic.history);
  },
);
