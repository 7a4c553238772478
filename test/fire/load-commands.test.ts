/**
 * N7: operators work beside the load, several at a time: sessions are revoked, keys rotated, copies made and rows purged,
 * and those who refresh meanwhile meet no error and wait little longer.
 */
import path from 'node:path';
import BetterSqlite3 from 'better-sqlite3';
import { expect, test } from 'vitest';
import type { Driven } from '../../scripts/fire/drive.ts';
import { expectCleanHistory, type Ground, makeGround, SEED, TIMES, tell } from './ground.ts';
import { expectNothingElse, expectUnhurt, makeTraffic, seedSessions, steady } from './load-ground.ts';

const SESSIONS = 400;
const MEASURE_MS = 3_000 * TIMES;
const VICTIMS = 1_000;

/** Runs commands one after another until the load is over. @returns how many */
async function repeatUntil(over: Promise<unknown>, run: (round: number) => Promise<void>): Promise<number> {
  let isOver = false;
  const ended = over.finally(() => {
    isOver = true;
  });
  let round = 0;
  for (; !isOver; round += 1) await run(round);
  await ended;
  return round;
}

async function command(ground: Ground, ...args: readonly string[]): Promise<void> {
  const { code, stderr } = await ground.run(...args);
  expect({ args, code, stderr: code === 0 ? '' : stderr }).toEqual({ args, code: 0, stderr: '' });
}

/** A copy is whole whenever it was made. */
async function backup(ground: Ground, round: number): Promise<void> {
  const file = path.join(ground.folder, `copy-${round}.db`);
  await command(ground, 'backup', file);
  const copy = new BetterSqlite3(file, { readonly: true });
  expect(copy.pragma('integrity_check')).toEqual([{ integrity_check: 'ok' }]);
  copy.close();
}

test.each(['sqlite', 'postgres'] as const)(
  `N7: on %s, commands beside 200 refreshes a second for ${MEASURE_MS / 1_000} s: no error, little delay`,
  async (kind) => {
    const ground = await makeGround(kind);
    const all = await seedSessions(ground, SESSIONS + VICTIMS);
    const victims = all.slice(SESSIONS);
    const served = await ground.start();
    const traffic = makeTraffic(ground.api, all.slice(0, SESSIONS), 100);
    const quiet = await steady(served, traffic, MEASURE_MS, 200);
    const beside: Promise<Driven> = steady(served, traffic, MEASURE_MS, 200);
    const rounds = await Promise.all([
      repeatUntil(beside, async (round) => {
        await command(ground, 'revoke', victims[round % VICTIMS]?.family ?? '', '--yes');
        await command(ground, 'keys', 'rotate', ...(round % 2 === 0 ? ['--ring', 'refresh'] : []), '--yes');
      }),
      repeatUntil(beside, (round) =>
        round % 2 === 0 && kind === 'sqlite' ? backup(ground, round) : command(ground, 'purge'),
      ),
    ]);
    const delayed = expectUnhurt(quiet, await beside);
    tell(
      `${kind}, seed ${SEED}: ${traffic.history.length} refreshes beside ${rounds.join(' + ')} rounds of commands; ${delayed}`,
    );
    expectNothingElse(traffic);
    expect(traffic.history.filter(({ status }) => status !== 200 && status !== 0)).toEqual([]);
    expect(served.said()).not.toContain('unforeseen');
    await expectCleanHistory(ground, traffic.history);
  },
);
