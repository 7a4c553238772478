/**
 * N1 (I4, I5): a server that is killed at random moments under load loses nothing that it has answered, and logs nobody
 * out. Each client repeats its request with its key until it is answered, as the client library does.
 */
import { describe, expect, test } from 'vitest';
import { startLoad } from '../../scripts/fire/load.ts';
import { makeChance } from '../../scripts/fire/random.ts';
import { freePort } from '../support/free-port.ts';
import { expectCleanHistory, makeGround, SEED, type Served, TIMES, tell } from './ground.ts';

const CYCLES = Math.ceil(25 * TIMES);
const CYCLES_OF_TWO = Math.ceil(5 * TIMES);
const CLIENTS = 24;
/** Rotations before the next kill, at most. */
const BETWEEN = 150;

describe.each(['sqlite', 'postgres'] as const)('N1 on %s', (kind) => {
  test(`killed ${CYCLES} times under load: nothing that was answered is lost, nobody is locked out`, async () => {
    const ground = await makeGround(kind);
    const chance = makeChance(SEED);
    const port = await freePort();
    let served = await ground.start({ port });
    const sessions = await served.logins(CLIENTS);
    const load = startLoad({ ports: [port], sessions, seed: SEED, resourceServer: ground.api });
    for (let cycle = 0; cycle < CYCLES; cycle += 1) {
      await load.more(1 + chance.below(BETWEEN));
      await served.end('SIGKILL');
      served = await ground.start({ port });
    }
    await load.finish();
    tell(`${kind}, ${CYCLES} kills: ${load.summary()}`);
    await expectCleanHistory(ground, load.history);
    expect(Object.keys(load.tally().statuses).sort()).toEqual(['0', '200']);
    expect(await served.end('SIGTERM')).toBe(0);
    expect(await countedEvents(ground)).toEqual({ 'login.succeeded': CLIENTS });
  });
});

test(`N1, N5: two servers on one Postgres, killed in turn ${CYCLES_OF_TWO} times under load`, async () => {
  const ground = await makeGround('postgres');
  const chance = makeChance(SEED);
  const ports = [await freePort(), await freePort()] as const;
  const servers: Served[] = [];
  for (const port of ports) servers.push(await ground.start({ port }));
  const sessions = (await servers[0]?.logins(CLIENTS)) ?? [];
  const load = startLoad({ ports, sessions, seed: SEED, resourceServer: ground.api });
  for (let cycle = 0; cycle < CYCLES_OF_TWO; cycle += 1) {
    await load.more(1 + chance.below(BETWEEN));
    const which = cycle % 2;
    await servers[which]?.end('SIGKILL');
    servers[which] = await ground.start({ port: ports[which] ?? 0 });
  }
  await load.finish();
  tell(`two servers on postgres, ${CYCLES_OF_TWO} kills: ${load.summary()}`);
  await expectCleanHistory(ground, load.history);
  expect(Object.keys(load.tally().statuses).sort()).toEqual(['0', '200']);
});

/** I42: each change that was committed has its event, and nothing else has one. */
async function countedEvents(ground: Awaited<ReturnType<typeof makeGround>>): Promise<Record<string, number>> {
  const rows = await ground.query<{ type: string; count: number | string }>(
    `select type, count(*) as count from events where type like 'login.%' or type like 'token.%' or type like 'famil%' group by type`,
  );
  return Object.fromEntries(rows.map(({ type, count }) => [type, Number(count)]));
}
