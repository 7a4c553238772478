/**
 * N2, N3: a server that dies, or whose disk fails, at each write and each sync of a change, one after another. What the
 * client was told holds after a restart, the database is whole, and its repeated request ends as if nothing had been.
 */
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from 'vitest';
import { refreshRequest, type Session, sessionOf } from '../../scripts/fire/load.ts';
import { type Answer, post, Unanswered } from '../../scripts/fire/wire.ts';
import { type Ground, inCase, loginRequest, makeGround, type Served, someOf, TIMES, tell } from './ground.ts';
import { REVOKED, saidOnAllPaths } from './said.ts';
import { attach, CALLS, type Call, detach, nameOf, noting, type Point, pointsIn, spoiling } from './strace.ts';

const answerTo = (served: Served, request: string): Promise<Answer | undefined> =>
  served.send(request).catch((error: unknown) => {
    if (error instanceof Unanswered) return undefined;
    throw error;
  });

/** Where one request may be hit. */
async function pointsOf(
  ground: Ground,
  served: Served,
  request: string,
  calls: readonly Call[],
): Promise<readonly Point[]> {
  const log = path.join(ground.folder, 'strace.log');
  const strace = await attach(served.pid, noting(log, calls));
  expect((await served.send(request)).status).toBeLessThan(500);
  await detach(strace);
  return pointsIn(log, calls);
}

/** One kind of change: how it is asked for, and what must be true when it was asked for again after the fault. */
interface Change {
  readonly name: string;
  /** In CI too each point is tried, and not some of them. */
  readonly isWhole: boolean;
  prepare(served: Served): Promise<{ readonly request: string; readonly session: Session | undefined }>;
  /** Of the first answer: what may come without a fault, or with one that changed nothing. */
  readonly fine: readonly number[];
  /** @param told the answer before the crash, when there was one */
  after(
    served: Served,
    ground: Ground,
    made: { request: string; session: Session | undefined; told: Answer | undefined },
  ): Promise<void>;
}

const required = (session: Session | undefined): Session => {
  if (session === undefined) throw new Error('this change has a session');
  return session;
};

const CHANGES: readonly Change[] = [
  {
    name: 'login',
    isWhole: false,
    fine: [200],
    prepare: async () => ({ request: loginRequest(), session: undefined }),
    async after(served, _, { request, told }) {
      if (told?.status === 200) {
        expect((await served.send(refreshRequest(sessionOf(told.text), 'later'))).status).toBe(200);
      }
      expect((await served.send(request)).status).toBe(200);
    },
  },
  {
    name: 'rotation',
    isWhole: true,
    fine: [200],
    async prepare(served) {
      const session = await served.login();
      return { request: refreshRequest(session, 'the-key'), session };
    },
    async after(served, _, { request, told }) {
      const again = await served.send(request);
      expect(again.status).toBe(200);
      const successor = sessionOf(again.text);
      if (told?.status === 200) expect(sessionOf(told.text).refreshToken).toBe(successor.refreshToken);
      expect((await served.send(refreshRequest(successor, 'the-next-key'))).status).toBe(200);
    },
  },
  {
    name: 'reuse',
    isWhole: true,
    fine: [401],
    async prepare(served) {
      const spent = await served.login();
      const { text } = await served.send(refreshRequest(spent));
      return { request: refreshRequest(spent), session: sessionOf(text) };
    },
    async after(served, ground, { request, session, told }) {
      if (told?.status === 401) expect(await saidOnAllPaths(served, ground.api, required(session))).toEqual(REVOKED);
      expect((await served.send(request)).text).toMatch(/"(reused|revoked)"/);
      expect(await saidOnAllPaths(served, ground.api, required(session))).toEqual(REVOKED);
    },
  },
  {
    name: 'logout',
    isWhole: true,
    fine: [204],
    async prepare(served) {
      const session = await served.login();
      return { request: post('/logout', { refresh_token: session.refreshToken }), session };
    },
    async after(served, ground, { request, session, told }) {
      if (told?.status === 204) expect(await saidOnAllPaths(served, ground.api, required(session))).toEqual(REVOKED);
      expect((await served.send(request)).status).toBe(204);
      expect(await saidOnAllPaths(served, ground.api, required(session))).toEqual(REVOKED);
    },
  },
];

/** @returns how many points there were, and how many of them were hit */
async function sweep(
  change: Change,
  fault: string,
  calls: readonly Call[],
): Promise<readonly [all: number, hit: number]> {
  const ground = await makeGround('sqlite');
  let served = await ground.start();
  // The first change of a process makes what the others find.
  await change.prepare(served);
  const all = await pointsOf(ground, served, (await change.prepare(served)).request, calls);
  const points = change.isWhole || fault !== KILL ? all : someOf(all, 2);
  for (const point of points) {
    await inCase(nameOf(point), async () => {
      const made = await change.prepare(served);
      const strace = await attach(served.pid, spoiling(point, fault));
      const told = await answerTo(served, made.request);
      if (told !== undefined) expect([...change.fine, 503]).toContain(told.status);
      await served.end('SIGKILL');
      await detach(strace);
      served = await ground.start();
      expect(await ground.query('pragma integrity_check')).toEqual([{ integrity_check: 'ok' }]);
      await change.after(served, ground, { ...made, told });
    });
  }
  tell(`${change.name}, ${fault}: ${points.length} of ${all.length} points`);
  return [all.length, points.length];
}

const KILL = 'signal=SIGKILL';

/** A disk that fails takes another way through the program at a rotation; the others are for the long form. */
const FAILING = CHANGES.filter(({ name }) => TIMES > 1 || name === 'rotation');

test('strace is there: without it nothing of this was tried', () => {
  expect(execFileSync('strace', ['-V'], { encoding: 'utf8' })).toContain('strace');
});

test.each(CHANGES)('N2: killed at each write and sync of a $name', async (change) => {
  const [, hit] = await sweep(change, KILL, CALLS);
  expect(hit).toBeGreaterThan(1);
});

test('N2: a replay writes nothing, so there is no point to be killed at', async () => {
  const ground = await makeGround('sqlite');
  const served = await ground.start();
  const request = refreshRequest(await served.login(), 'the-key');
  expect((await served.send(request)).status).toBe(200);
  // What a server does once, or now and then, is done or not: of several, one has nothing beside it.
  const counts: number[] = [];
  for (let tries = 0; tries < 5; tries += 1) counts.push((await pointsOf(ground, served, request, CALLS)).length);
  expect(Math.min(...counts)).toBe(0);
});

test.each(FAILING)('N3: each write and sync of a $name fails with EIO', async (change) => {
  const [, hit] = await sweep(change, 'error=EIO', CALLS);
  expect(hit).toBeGreaterThan(1);
});

test.each(FAILING)('N3: the disk is full at each write of a $name', async (change) => {
  const [, hit] = await sweep(change, 'error=ENOSPC', ['pwrite64']);
  expect(hit).toBeGreaterThan(0);
});
