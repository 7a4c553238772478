/**
 * N18: copies that are made while people log in, refresh, log out and are revoked. Each is whole, and one moment between the
 * begin and the end of its making; and a server on what `restore` makes of it accepts nothing that was ever given out.
 */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import type { Entry } from '../../scripts/fire/history.ts';
import { type Session, startLoad } from '../../scripts/fire/load.ts';
import { type Interval, momentOf } from '../../scripts/fire/moments.ts';
import { makeChance } from '../../scripts/fire/random.ts';
import { type Copy, copyWithoutLog, fatten, lookInto } from './copies.ts';
import { expectCleanHistory, type Ground, inCase, makeGround, SEED, type Served, TIMES, tell } from './ground.ts';
import { REVOKED, saidOnAllPaths } from './said.ts';
import { type Known, logIn, startVisitors } from './visitors.ts';

const COPIES = Math.ceil(4 * TIMES);
const CLIENTS = 12;
/** Between two requests of a client, ms. */
const PAUSE = 10;
const MEGABYTES = 24;

/** What `saidOnAllPaths` gives for a family that there is not. */
const UNKNOWN = { ...REVOKED, sessions: '401 unknown', refresh: '401 unknown' } as const;

async function command(ground: Ground, database: string, ...args: readonly string[]): Promise<Interval> {
  const started = performance.now();
  const { code, stderr } = await ground.runAs({ env: { AUTH_SERVER_DATABASE_URL: `sqlite:${database}` } }, ...args);
  expect({ args, code, stderr: code === 0 ? '' : stderr }).toEqual({ args, code: 0, stderr: '' });
  return { started, ended: performance.now() };
}

const jtiOf = ({ refreshToken }: Session): string => {
  const payload: { jti: string } = JSON.parse(Buffer.from(refreshToken.split('.')[1] ?? '', 'base64url').toString());
  return payload.jti;
};

/** The copy's current tokens are those that were given out. */
function expectOurs(copy: Copy, known: Known): void {
  for (const [family, { generation }] of copy.families) {
    const session = known.get(family)?.[generation];
    // One that was committed, and whose answer had not come, may be missing here.
    if (session !== undefined) expect(copy.jtis.get(family)).toBe(jtiOf(session));
  }
}

/** Every session that was live in the copy has ended, and those that had ended before did so for their own reason. */
function expectEnded(copy: Copy, restored: Copy): void {
  const expected = [...copy.reasons].map(([family, reason]) => [family, reason ?? 'restored']);
  expect([...restored.reasons].sort()).toEqual(expected.sort());
}

interface Past {
  readonly copy: Copy;
  readonly known: Known;
  /** Those to be asked for. */
  readonly families: readonly string[];
}

/** Tokens of the copy's time, spent ones and later ones: none is good for anything. @returns how many */
async function expectNothingLives(served: Served, api: string, { copy, known, families }: Past): Promise<number> {
  let asked = 0;
  for (const family of families) {
    const sessions = known.get(family) ?? [];
    const current = copy.families.get(family)?.generation;
    const around = current === undefined ? [] : [current - 1, current, current + 1];
    const wanted = new Set(
      [0, ...around, sessions.length - 1].filter((generation) => sessions[generation] !== undefined),
    );
    for (const generation of wanted) {
      const said = await saidOnAllPaths(served, api, sessions[generation] as Session);
      expect({ family, generation, said }).toEqual({
        family,
        generation,
        said: current === undefined ? UNKNOWN : REVOKED,
      });
      asked += 1;
    }
  }
  expect(asked).toBeGreaterThan(0);
  expect((await served.login()).generation).toBe(0);
  return asked;
}

test(`N18: ${COPIES} copies under load, each one moment of it, and each restored`, async () => {
  // No token may expire while it is asked for: that would be another reason.
  const ground = await makeGround('sqlite', { tokens: { accessTokenTtl: '12h' } });
  const chance = makeChance(SEED);
  fatten(ground.file, MEGABYTES);
  let served = await ground.start();
  const history: Entry[] = [];
  const known: Known = new Map();
  const remember = (session: Session): void => {
    const sessions = known.get(session.family) ?? [];
    sessions[session.generation] = session;
    known.set(session.family, sessions);
  };
  const visits = { ground, port: served.port, history, remember };
  let clients: readonly Session[] = await logIn({ ...visits, seed: SEED }, CLIENTS);
  const tokens = { asked: 0 };
  let width = 0;

  /** Load, and a copy made somewhere in the middle of it. */
  async function copyOnce(
    round: number,
    make: (meanwhile: () => Promise<void>) => Promise<Interval>,
  ): Promise<Interval> {
    const seed = SEED * 1_000 + round;
    const load = startLoad({ ports: [served.port], sessions: clients, seed, pause: PAUSE, onRotated: remember });
    const visitors = startVisitors({ ...visits, seed });
    await load.more(1 + chance.below(100));
    const making = await make(() => load.more(50));
    await load.more(1 + chance.below(50));
    await visitors.finish();
    await load.finish();
    clients = load.sessions();
    history.push(...load.history);
    return making;
  }

  /** Some of those who came and went, and all who stayed. */
  const some = (): string[] => [...clients.map(({ family }) => family), ...[...known.keys()].slice(CLIENTS).slice(-8)];

  let last = '';
  for (let round = 0; round < COPIES; round += 1) {
    await inCase(`copy ${round}`, async () => {
      if (last !== '') rmSync(last);
      last = path.join(ground.folder, `copy-${round}.db`);
      const making = await copyOnce(round, () => command(ground, ground.file, 'backup', last));
      const copy = lookInto(last);
      const { from, to, violations } = momentOf(history, copy.families, making);
      expect(violations).toEqual([]);
      width = Math.max(width, to - from);
      expectOurs(copy, known);

      const elsewhere = path.join(ground.folder, `restored-${round}.db`);
      await command(ground, elsewhere, 'restore', last, '--yes');
      expectEnded(copy, lookInto(elsewhere));
      const other = await ground.start({ env: { AUTH_SERVER_DATABASE_URL: `sqlite:${elsewhere}` } });
      tokens.asked += await expectNothingLives(other, ground.api, { copy, known, families: some() });
      expect(await other.end('SIGTERM')).toBe(0);
      rmSync(elsewhere);
    });
  }

  // Such a copy is objected to, or all this would say nothing.
  const alone = path.join(ground.folder, 'alone.db');
  const making = await copyOnce(COPIES, async (meanwhile) => {
    await copyWithoutLog(ground.file, alone, meanwhile);
    const now = performance.now();
    return { started: now, ended: now };
  });
  expect(momentOf(history, lookInto(alone).families, making).violations).not.toEqual([]);

  // At last where the database is: that one knows more than the copy.
  expect(await served.end('SIGTERM')).toBe(0);
  await expectCleanHistory(ground, history);
  const copy = lookInto(last);
  await command(ground, ground.file, 'restore', last, '--yes');
  served = await ground.start();
  tokens.asked += await expectNothingLives(served, ground.api, { copy, known, families: some() });
  const of = (kind: Entry['kind']): number => history.filter((entry) => entry.kind === kind).length;
  tell(
    `seed ${SEED}: ${COPIES} copies under ${of('refresh')} refreshes, ${of('login')} logins, ${of('end')} ends: each whole and one moment, ` +
      `which is known to ${width.toFixed(0)} ms; ${tokens.asked} tokens asked for on 6 paths after a restore, 0 accepted`,
  );
});
