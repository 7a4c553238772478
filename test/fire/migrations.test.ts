/**
 * N17: a migration that is killed at each write or statement, several at once, and programs that are older or newer than the
 * database. It is done or not, it is done once, and who does not fit says which command helps.
 */
import { copyFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { type DatabaseKind, makeDatabase } from '../support/databases.ts';
import { type Finished, type Ground, inCase, makeGround, someOf, tell } from './ground.ts';
import { mutant } from './mutant.ts';
import { type Cut, openCuttingProxy, runOn } from './postgres.ts';
import { before, CALLS, NAMING, nameOf, noting, type Point, pointsIn, spoiling } from './strace.ts';

/** In CI. */
const POINTS = 2;

interface Old {
  readonly ground: Ground;
  /** The program that made it. */
  readonly program: readonly string[];
  /** Another database like it: of the schema before the last, with a row. */
  copy(): Promise<string>;
}

const env = (url: string): { readonly env: Readonly<Record<string, string>> } => ({
  env: { AUTH_SERVER_DATABASE_URL: url },
});

async function makeOld(kind: DatabaseKind): Promise<Old> {
  const ground = await makeGround(kind);
  const program = mutant(ground, [
    { file: 'src/store/migrate.ts', from: "  { name: '0002-deliveries', up: deliveries },\n", to: '' },
  ]);
  const file = path.join(ground.folder, 'old.db');
  const url = kind === 'sqlite' ? `sqlite:${file}` : await makeDatabase('postgres');
  const { code, stderr } = await ground.runAs({ program, ...env(url) }, 'migrate', 'up');
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  await ground.query("insert into settings (name, value) values ('of old', 'kept') returning name", url);
  let copies = 0;
  return {
    ground,
    program,
    async copy() {
      copies += 1;
      if (kind === 'sqlite') {
        copyFileSync(file, `${file}-${copies}.db`);
        return `sqlite:${file}-${copies}.db`;
      }
      const [to, elsewhere] = [new URL(url), new URL(url)];
      to.pathname = `${to.pathname}_${copies}`;
      elsewhere.pathname = '/postgres';
      await runOn(elsewhere.href, `create database ${to.pathname.slice(1)} template ${new URL(url).pathname.slice(1)}`);
      return to.href;
    },
  };
}

const migrationsIn = async (ground: Ground, url: string): Promise<readonly string[]> =>
  (await ground.query<{ name: string }>('select name from migrations order by name', url)).map(({ name }) => name);

/** After the fault: all of it or nothing; then the same command ends it. @returns whether it was done before that */
async function expectWhole({ ground }: Old, url: string, told: Finished): Promise<boolean> {
  const names = await migrationsIn(ground, url);
  const isDone = names.length === 2;
  expect([1, 2]).toContain(names.length);
  if (told.code === 0) expect(isDone).toBe(true);
  const { code, stdout, stderr } = await ground.runAs(env(url), 'migrate', 'up', '--json');
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  expect(JSON.parse(stdout)).toMatchObject({ current: 2, applied: isDone ? [] : ['0002-deliveries'] });
  expect(await ground.query("select value from settings where name = 'of old'", url)).toEqual([{ value: 'kept' }]);
  return isDone;
}

test('N17, N2: migrate up is killed at each write, sync and naming', async () => {
  const old = await makeOld('sqlite');
  const log = path.join(old.ground.folder, 'strace.log');
  const calls = [...CALLS, ...NAMING];
  const counted = await old.copy();
  await old.ground.runAs({ before: before(noting(log, calls)), ...env(counted) }, 'migrate', 'up');
  const all = pointsIn(log, calls);
  const points: readonly Point[] = someOf(all, POINTS);
  let done = 0;
  for (const point of points) {
    await inCase(nameOf(point), async () => {
      const url = await old.copy();
      const options = { before: before(spoiling(point, 'signal=SIGKILL')), ...env(url) };
      const told = await old.ground.runAs(options, 'migrate', 'up');
      expect(told.code).not.toBe(0);
      if (await expectWhole(old, url, told)) done += 1;
      expect(await old.ground.query('pragma integrity_check', url)).toEqual([{ integrity_check: 'ok' }]);
    });
  }
  tell(`migrate up: ${points.length} of ${all.length} points, ${done} after its commit`);
  expect(points.length).toBeGreaterThan(1);
});

test('N17, N2: migrate up on Postgres, its connection cut at each statement', async () => {
  const old = await makeOld('postgres');
  async function runCut(cut: Cut): Promise<number> {
    const url = new URL(await old.copy());
    const proxy = await openCuttingProxy(Number(url.port));
    const disarm = proxy.arm(cut);
    const through = new URL(url);
    through.port = String(proxy.port);
    const told = await old.ground.runAs(env(through.href), 'migrate', 'up');
    const { matched } = disarm();
    await expectWhole(old, url.href, told);
    return matched;
  }
  const matched = await runCut({ statement: /./, at: 'statement', nth: Number.POSITIVE_INFINITY });
  const all = (['statement', 'answer'] as const).flatMap((at) =>
    Array.from({ length: matched }, (_, index): Cut => ({ statement: /./, at, nth: index + 1 })),
  );
  const points = someOf(all, POINTS);
  for (const cut of points) await inCase(`${cut.at} ${cut.nth} of ${matched}`, () => runCut(cut));
  tell(`migrate up on Postgres: ${points.length} of ${all.length} points`);
});

describe.each<[DatabaseKind, number]>([
  ['sqlite', 2],
  ['postgres', 4],
])('N17 on %s', (kind, count) => {
  test(`${count} at once apply it once; older and newer programs say what to do`, async () => {
    const old = await makeOld(kind);
    const url = await old.copy();
    const runs = await Promise.all(
      Array.from({ length: count }, () => old.ground.runAs(env(url), 'migrate', 'up', '--json')),
    );
    expect(runs.map(({ code, stderr }) => ({ code, stderr: code === 0 ? '' : stderr }))).toEqual(
      Array(count).fill({ code: 0, stderr: '' }),
    );
    const applied = runs.flatMap(({ stdout }): string[] => JSON.parse(stdout).applied);
    expect(applied).toEqual(['0002-deliveries']);

    const older = await old.ground.tryStart({ program: old.program, ...env(url) });
    expect(older).toMatchObject({ code: 5, stderr: expect.stringContaining('schema 2 (0002-deliveries)') });
    expect(older.stderr).toContain('knows 1');

    if (kind === 'postgres') {
      const newer = await old.ground.tryStart(env(await old.copy()));
      expect(newer).toMatchObject({ code: 5, stderr: expect.stringContaining('auth-server migrate up') });
    }
  });
});
