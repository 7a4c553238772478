/**
 * N2, N3: a server that dies, or whose disk fails, at each write and each sync of a change, one after another. What the
 * client was told holds after a restart, the database is whole, and its repeated request ends as if nothing had been.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { refreshRequest, type Session, sessionOf } from '../../scripts/fire/load.ts';
import { type Answer, post, Unanswered } from '../../scripts/fire/wire.ts';
import { type Ground, loginRequest, makeGround, REVOKED, type Served, saidOnAllPaths, TIMES, tell } from './ground.ts';

/** The calls by which SQLite changes its files. */
const CALLS = ['pwrite64', 'fsync', 'fdatasync', 'ftruncate'] as const;
type Call = (typeof CALLS)[number];

/** Follows the server from outside, all of its threads. @returns when it does */
async function attach(pid: number, args: readonly string[]): Promise<ChildProcess> {
  const child = spawn('strace', ['-f', ...args, '-p', String(pid)], { stdio: ['ignore', 'ignore', 'pipe'] });
  onTestFinished(() => detach(child));
  let said = '';
  await new Promise<void>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', () => reject(new Error(`strace ended:\n${said}`)));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (said.includes('attached')) resolve();
    });
  });
  return child;
}

async function detach(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGINT');
  await ended;
}

const answerTo = (served: Served, request: string): Promise<Answer | undefined> =>
  served.send(request).catch((error: unknown) => {
    if (error instanceof Unanswered) return undefined;
    throw error;
  });

/** How often each call is made by one request. */
async function countCalls(ground: Ground, served: Served, request: string): Promise<ReadonlyMap<Call, number>> {
  const log = path.join(ground.folder, 'strace.log');
  const strace = await attach(served.pid, ['-o', log, '-e', `trace=${CALLS.join(',')}`]);
  expect((await served.send(request)).status).toBeLessThan(500);
  await detach(strace);
  const lines = readFileSync(log, 'utf8').split('\n');
  return new Map(CALLS.map((call) => [call, lines.filter((line) => line.includes(` ${call}(`)).length]));
}

/** One kind of change: how it is asked for, and what must be true when it was asked for again after the fault. */
interface Change {
  readonly name: string;
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

/** @returns how many points there were */
async function sweep(change: Change, fault: string, calls: readonly Call[]): Promise<number> {
  const ground = await makeGround('sqlite');
  let served = await ground.start();
  // The first change of a process makes what the others find.
  await change.prepare(served);
  const counts = await countCalls(ground, served, (await change.prepare(served)).request);
  let points = 0;
  for (const call of calls) {
    for (let nth = 1; nth <= (counts.get(call) ?? 0); nth += 1) {
      const made = await change.prepare(served);
      const inject = ['-o', '/dev/null', '-e', `trace=${call}`, '-e', `inject=${call}:${fault}:when=${nth}`];
      const strace = await attach(served.pid, inject);
      const told = await answerTo(served, made.request);
      if (told !== undefined) expect([...change.fine, 503], `${call} ${nth}`).toContain(told.status);
      await served.end('SIGKILL');
      await detach(strace);
      served = await ground.start();
      expect(await ground.query('pragma integrity_check')).toEqual([{ integrity_check: 'ok' }]);
      await change.after(served, ground, { ...made, told });
      points += 1;
    }
  }
  tell(`${change.name}, ${fault}: ${points} points`);
  return points;
}

/** A disk that fails takes another way through the program at a rotation; the others are for the long form. */
const FAILING = CHANGES.filter(({ name }) => TIMES > 1 || name === 'rotation');

test('strace is there: without it nothing of this was tried', () => {
  expect(execFileSync('strace', ['-V'], { encoding: 'utf8' })).toContain('strace');
});

test.each(CHANGES)('N2: killed at each write and sync of a $name', async (change) => {
  expect(await sweep(change, 'signal=SIGKILL', CALLS)).toBeGreaterThan(1);
});

test.each(FAILING)('N3: each write and sync of a $name fails with EIO', async (change) => {
  expect(await sweep(change, 'error=EIO', CALLS)).toBeGreaterThan(1);
});

test.each(FAILING)('N3: the disk is full at each write of a $name', async (change) => {
  expect(await sweep(change, 'error=ENOSPC', ['pwrite64'])).toBeGreaterThan(0);
});
