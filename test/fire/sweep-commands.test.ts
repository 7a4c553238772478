/**
 * N2, N3: a command that is killed, or whose disk fails, at each of its writes, syncs and namings of files, beside a server;
 * and on Postgres one whose connection is cut at each of its statements. What it does is then done or not, and nothing
 * between; after a restart of the server too; and the same command again ends what is not done.
 */
import path from 'node:path';
import { expect, test } from 'vitest';
import { COMMANDS, type Command, type Place, type Task } from './commands.ts';
import { type Finished, inCase, makeGround, someOf, TIMES, tell } from './ground.ts';
import { type Cut, openCuttingProxy, throughProxy } from './postgres.ts';
import { before, CALLS, type Call, NAMING, nameOf, noting, type Point, pointsIn, spoiling } from './strace.ts';

/** In CI, of each command. */
const POINTS = 1;
const KILL = 'signal=SIGKILL';

async function pointsOf(command: Command, place: Place, calls: readonly Call[]): Promise<readonly Point[]> {
  const log = path.join(place.ground.folder, 'strace.log');
  const { args, isDone, check } = await command.prepare(place);
  const { code, stderr } = await place.ground.runAs({ before: before(noting(log, calls)) }, ...args);
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  expect(await isDone()).toBe(true);
  await check();
  return pointsIn(log, calls);
}

/** After the fault: done or not, and then done. @returns whether it was not */
async function expectWhole(command: Command, place: Place, task: Task, told: Finished): Promise<boolean> {
  const isDone = await task.isDone();
  if (told.code === 0) expect(isDone).toBe(true);
  const { code, stderr } = await place.ground.run(...task.args);
  expect({ code, stderr: code === 0 ? '' : stderr }).toMatchObject({ code: isDone ? command.again : 0 });
  expect(await task.isDone()).toBe(true);
  await task.check();
  return !isDone;
}

async function sweep(command: Command, fault: string, calls: readonly Call[]): Promise<void> {
  const ground = await makeGround('sqlite');
  const place: Place = { ground, served: await ground.start() };
  const all = await pointsOf(command, place, calls);
  const points = someOf(all, POINTS, command.name.length);
  expect(points.length).toBeGreaterThan(0);
  let hit = 0;
  let undone = 0;
  for (const point of points) {
    await inCase(nameOf(point), async () => {
      const task = await command.prepare(place);
      const told = await ground.runAs({ before: before(spoiling(point, fault)) }, ...task.args);
      if (told.code !== 0) hit += 1;
      await place.served.end('SIGKILL');
      expect(await ground.query('pragma integrity_check')).toEqual([{ integrity_check: 'ok' }]);
      if (await task.isDone()) task.settle?.();
      place.served = await ground.start();
      if (await expectWhole(command, place, task, told)) undone += 1;
    });
  }
  tell(
    `${command.name}, ${fault}: ${points.length} of ${all.length} points, ${hit} ended it, ${undone} left it undone`,
  );
  if (fault === KILL) expect(hit).toBe(points.length);
}

const ON_SQLITE = COMMANDS.filter(({ kinds }) => kinds.includes('sqlite'));
const ON_POSTGRES = COMMANDS.filter(({ kinds }) => kinds.includes('postgres'));

test.each(ON_SQLITE)('N2: $name is killed at each write, sync and naming', (command) =>
  sweep(command, KILL, [...CALLS, ...NAMING]),
);

// Not in the short form: a test that is skipped there would look like one that is missing.
const AT_LENGTH = TIMES > 1 ? ON_SQLITE : [];

test.each(AT_LENGTH)('N3: each write, sync and naming of $name fails with EIO', (command) =>
  sweep(command, 'error=EIO', [...CALLS, ...NAMING]),
);

test.each(AT_LENGTH)('N3: the disk is full at each write of $name', (command) =>
  sweep(command, 'error=ENOSPC', ['pwrite64']),
);

test.each(ON_POSTGRES)('N2, N6: $name on Postgres, its connection cut at each statement', async (command) => {
  const ground = await makeGround('postgres');
  const place: Place = { ground, served: await ground.start() };
  const { url, port } = await throughProxy(ground);
  const proxy = await openCuttingProxy(port);
  const env = { AUTH_SERVER_DATABASE_URL: url(proxy.port) };

  async function runCut(cut: Cut): Promise<number> {
    const task = await command.prepare(place);
    const disarm = proxy.arm(cut);
    const told = await ground.runAs({ env }, ...task.args);
    const { matched } = disarm();
    await expectWhole(command, place, task, told);
    return matched;
  }

  const matched = await runCut({ statement: /./, at: 'statement', nth: Number.POSITIVE_INFINITY });
  const all = (['statement', 'answer'] as const).flatMap((at) =>
    Array.from({ length: matched }, (_, index): Cut => ({ statement: /./, at, nth: index + 1 })),
  );
  const points = someOf(all, POINTS, command.name.length);
  for (const cut of points) await inCase(`${cut.at} ${cut.nth} of ${matched}`, () => runCut(cut));
  tell(`${command.name} on Postgres: ${points.length} of ${all.length} points`);
});
