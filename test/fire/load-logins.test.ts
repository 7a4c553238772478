/**
 * N11: 200 callers log in at once, again and again. Each login is a hash of 19 MiB and two passes: they wait for one
 * another and are refused beyond a queue, and neither the memory nor those who only verify and refresh pay for it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { megabytes, processFigures } from '../../scripts/fire/figures.ts';
import { openWire } from '../../scripts/fire/wire.ts';
import { expectCleanHistory, loginRequest, makeGround, SEED, type Served, TIMES, tell } from './ground.ts';
import { expectNothingElse, expectUnhurt, makeTraffic, seedSessions, steady } from './load-ground.ts';

const CALLERS = 200;
const MEASURE_MS = 3_000 * TIMES;
/** What `Retry-After` says, ms. */
const REFUSED_PAUSE = 1_000;
const MIB = 2 ** 20;
/** One hash at a time, and what so many requests leave behind; all at once would be 3,800 MiB. */
const MOST_MEMORY = 128 * MIB;

/** @returns how often each status was answered */
async function storm(served: Served, over: Promise<unknown>): Promise<Record<string, number>> {
  const answers: Record<string, number> = {};
  let isOver = false;
  const ended = over.finally(() => {
    isOver = true;
  });
  async function caller(): Promise<void> {
    const wire = openWire(served.port);
    while (!isOver) {
      const { status, head, text } = await wire.send(loginRequest());
      answers[status] = (answers[status] ?? 0) + 1;
      if (status === 200) continue;
      // On a busy machine the queue is longer than a request may take.
      expect({ status, text }).toEqual({
        status: 503,
        text: expect.stringMatching(/"(overloaded|temporarily_unavailable)"/),
      });
      expect(head).toMatch(/\r\nretry-after: \d+(\r\n|$)/i);
      await delay(REFUSED_PAUSE);
    }
    wire.close();
  }
  await Promise.all([...Array.from({ length: CALLERS }, caller), ended]);
  return answers;
}

test.each(['sqlite', 'postgres'] as const)(
  `N11: on %s, ${CALLERS} parallel logins for ${MEASURE_MS / 1_000} s do not stop those who verify and refresh`,
  async (kind) => {
    const ground = await makeGround(kind);
    const sessions = await seedSessions(ground, 200);
    const served = await ground.start();
    // The thread that hashes, and what it needs for one hash, is there from the first login on.
    await served.login();
    const traffic = makeTraffic(ground.api, sessions);
    const quiet = await steady(served, traffic, MEASURE_MS);
    const before = processFigures(served.pid);
    const beside = steady(served, traffic, MEASURE_MS);
    const answers = await storm(served, beside);
    const after = processFigures(served.pid);
    const grown = after.residentPeak - before.resident;
    const unhurt = expectUnhurt(quiet, await beside);
    tell(
      `${kind}, seed ${SEED}: logins ${JSON.stringify(answers)}; ${unhurt}; memory at most ${megabytes(grown)} more`,
    );
    expectNothingElse(traffic);
    expect(answers['200']).toBeGreaterThan(0);
    expect(answers['503']).toBeGreaterThan(0);
    expect(grown).toBeLessThan(MOST_MEMORY);
    expect(after.threads).toBeLessThanOrEqual(before.threads);
    await expectCleanHistory(ground, traffic.history);
  },
);
