/**
 * N20: random lives of token families over HTTP, at a server that crashes, whose keys are rotated and whose clock is
 * moved: each answer and each row is what the model says.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import { addClient } from '../../src/operations/clients.ts';
import { addUser } from '../../src/operations/users.ts';
import { makeGround, SEED, TIMES, tell } from './ground.ts';
import { withApp } from './load-ground.ts';
import { live, lives, PASSWORD, type Scene } from './load-lives.ts';
import { makeMovedClock } from './moved-clock.ts';

const RUNS = Math.ceil(5 * TIMES);
const STEPS = TIMES > 1 ? 50 : 30;

test.each(['sqlite', 'postgres'] as const)(
  `N20: on %s, ${RUNS} lives of ${STEPS} steps are what the model says`,
  async (kind) => {
    const ground = await makeGround(kind);
    const admin = await withApp(ground, async (app) => {
      // A user for each life, as a list of sessions is of one user.
      for (let run = 1; run <= RUNS; run += 1)
        await addUser(app, { name: `user-${run}`, password: new Secret(PASSWORD) });
      const client = { id: 'admin', type: 'admin', isPublic: false, audiences: [], policy: {} } as const;
      return `Bearer ${(await addClient(app, client)).secret?.reveal()}`;
    });
    // Windows are judged by the time of the database, and that of Postgres is its own.
    const clock = kind === 'sqlite' ? makeMovedClock(ground.folder) : undefined;
    const start = () => ground.start({ env: clock?.env ?? {} });
    let crashes = 0;
    const scene: Scene = {
      ground,
      admin,
      served: await start(),
      offset: 0,
      moveClock(offset) {
        scene.offset = offset;
        clock?.set(offset);
      },
      async crash() {
        crashes += 1;
        await scene.served.end('SIGKILL');
        scene.served = await start();
      },
    };
    let run = 0;
    let generations = 0;
    await fc.assert(
      fc.asyncProperty(lives(STEPS, clock !== undefined), async (steps) => {
        run += 1;
        generations += await live(scene, `user-${run}`, steps);
      }),
      // A life that is played again would need a world as it was: the seed plays them all.
      { numRuns: RUNS, seed: SEED, endOnFailure: true },
    );
    tell(
      `${kind}, seed ${SEED}: ${run} lives of ${STEPS} steps, ${generations} generations, ${crashes} crashes, none differs`,
    );
    expect(run).toBe(RUNS);
    expect(scene.served.said()).not.toContain('unforeseen');
  },
);
