/**
 * N10: asked for five times what it can do, a server refuses quickly and in the contract's words, goes on with what it
 * has admitted, says that it is alive, and afterwards is as it was before.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type Driven, drive } from '../../scripts/fire/drive.ts';
import { median, megabytes, processFigures, quantile } from '../../scripts/fire/figures.ts';
import { get, openWire } from '../../scripts/fire/wire.ts';
import { expectCleanHistory, makeGround, SEED, TIMES, tell } from './ground.ts';
import { expectNothingElse, makeTraffic, seedSessions } from './load-ground.ts';

const SESSIONS = 2_000;
const CONNECTIONS = 1_000;
/** Below what one turn of the event loop reads from so many connections: this limit is what sheds here. */
const IN_FLIGHT = 64;
const MEASURE_MS = 1_500;
const OVERLOAD_MS = 5_000 * TIMES;
const FACTOR = 5;

const times = ({ samples }: Driven, status: number): number[] =>
  samples.filter((sample) => sample.status === status).map(({ ms }) => ms);
const goodput = (driven: Driven): number => (times(driven, 200).length / driven.elapsedMs) * 1_000;

/** Asks `/healthz` ten times a second until it is told to stop. @returns what was answered */
function watchHealth(port: number): { stop(): Promise<number[]> } {
  let isOver = false;
  const wire = openWire(port);
  const statuses: number[] = [];
  async function run(): Promise<number[]> {
    while (!isOver) {
      statuses.push((await wire.send(get('/healthz'))).status);
      await delay(100);
    }
    wire.close();
    return statuses;
  }
  const running = run();
  return {
    stop: () => {
      isOver = true;
      return running;
    },
  };
}

function summary(before: Driven, overload: Driven, after: Driven): string {
  const peak = goodput(before);
  const ms = (status: number, share: number): string => `${Math.round(quantile(times(overload, status), share))} ms`;
  const offered = ((overload.samples.length + overload.unsent) / overload.elapsedMs) * 1_000;
  return [
    `peak ${Math.round(peak)}/s, offered ${Math.round(offered)}/s`,
    `${overload.unsent} of these found no free connection`,
    `goodput ${Math.round(goodput(overload))}/s, ${(goodput(overload) / peak).toFixed(2)} of the peak, p99 ${ms(200, 0.99)}`,
    `${times(overload, 503).length} refused, p50 ${ms(503, 0.5)}, p99 ${ms(503, 0.99)}`,
    `afterwards ${(goodput(after) / peak).toFixed(2)} of the peak`,
  ].join('; ');
}

test.each(['sqlite', 'postgres'] as const)(
  `N10: on %s, ${FACTOR} times what it can do for ${OVERLOAD_MS / 1_000} s: it sheds and does not collapse`,
  async (kind) => {
    const ground = await makeGround(kind, { server: { maxInFlight: IN_FLIGHT } });
    const sessions = await seedSessions(ground, SESSIONS);
    const { port, pid } = await ground.start();
    const traffic = makeTraffic(ground.api, sessions);
    const atPeak = { port, connections: IN_FLIGHT / 2, durationMs: MEASURE_MS, next: traffic.next };
    await drive(atPeak);
    const before = await drive(atPeak);
    expect(times(before, 503)).toEqual([]);
    const residentBefore = processFigures(pid).resident;

    const health = watchHealth(port);
    const perSecond = FACTOR * goodput(before);
    const overload = await drive({ ...atPeak, connections: CONNECTIONS, perSecond, durationMs: OVERLOAD_MS });
    const healthz = await health.stop();
    const after = await drive(atPeak);
    const residentAfter = processFigures(pid).resident;

    const memory = `RSS ${megabytes(residentBefore)} before, ${megabytes(residentAfter)} after`;
    tell(`${kind}, seed ${SEED}: ${summary(before, overload, after)}; ${memory}`);
    expectNothingElse(traffic);
    // Whoever is refused has not waited for the work that others have done.
    expect(times(overload, 503).length).toBeGreaterThan(0);
    expect(median(times(overload, 503))).toBeLessThan(quantile(times(overload, 200), 0.99));
    expect(goodput(overload)).toBeGreaterThan(0.05 * Math.min(goodput(before), goodput(after)));
    expect(healthz.filter((status) => status !== 200)).toEqual([]);
    expect(times(after, 503)).toEqual([]);
    expect(goodput(after)).toBeGreaterThan(0.1 * goodput(before));
    expect(residentAfter).toBeLessThan(2 * residentBefore);
    await expectCleanHistory(ground, traffic.history);
  },
);
