/**
 * Q1 to Q6, Q9, Q11: a SQLite file that is not one, or is taken away, replaced, damaged or edited. Before the start
 * that is exit 5; while serving it is 503 and `/readyz` 503, and never an empty database that nobody asked for.
 */
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { refreshRequest, type Session, sessionOf } from '../../scripts/fire/load.ts';
import { get, post } from '../../scripts/fire/wire.ts';
import { type Ground, makeGround, type Served } from './ground.ts';
import { attach, detach } from './strace.ts';

const beside = (ground: Ground): readonly string[] => [`${ground.file}-wal`, `${ground.file}-shm`];

function removeAll(ground: Ground): void {
  for (const file of [ground.file, ...beside(ground)]) rmSync(file, { force: true });
}

const ready = async (served: Served): Promise<number> => (await served.send(get('/readyz'))).status;

/** @throws when it does not come within some seconds */
async function untilReady(served: Served, status: number): Promise<void> {
  const limit = performance.now() + 5_000;
  while ((await ready(served)) !== status) {
    if (performance.now() > limit) throw new Error(`/readyz did not become ${status}`);
    await delay(20);
  }
}

/** Trouble, and nothing else: neither a refusal of the token nor an answer from another database. */
async function expectTrouble(served: Served, ground: Ground, session: Session): Promise<void> {
  expect(await ready(served)).toBe(503);
  expect((await served.send(get('/healthz'))).status).toBe(200);
  const verify = post('/verify', { token: session.accessToken }, { Authorization: ground.api });
  for (const request of [
    refreshRequest(session, 'a-key'),
    verify,
    post('/logout', { refresh_token: session.refreshToken }),
  ]) {
    const { status, head } = await served.send(request);
    expect(status).toBe(503);
    expect(head.toLowerCase()).toContain('retry-after: ');
  }
}

describe('Q1: the file at the start is', () => {
  test.each<[string, (ground: Ground) => void]>([
    ['a directory', ({ file }) => mkdirSync(file)],
    ['a text', ({ file }) => writeFileSync(file, 'Dear diary,\n'.repeat(1_000))],
  ])('%s: exit 5', async (_, put) => {
    const ground = await makeGround('sqlite');
    removeAll(ground);
    put(ground);
    const { code, stderr } = await ground.tryStart();
    expect({ code, stderr }).toMatchObject({ code: 5, stderr: expect.stringContaining('auth.db') });
  });

  test.each<[string, (ground: Ground) => void]>([
    ['truncated', ({ file }) => truncateSync(file, Math.floor(statSync(file).size / 2))],
    ['without its first page', ({ file }) => overwrite(file, 0, Buffer.alloc(4_096))],
  ])('%s: exit 5', async (_, damage) => {
    const ground = await makeGround('sqlite');
    damage(ground);
    const { code, stderr } = await ground.tryStart();
    expect({ code, stderr }).toMatchObject({ code: 5, stderr: expect.stringContaining('auth.db') });
  });

  test('empty, with a master key beside it: initialised', async () => {
    const ground = await makeGround('sqlite');
    removeAll(ground);
    writeFileSync(ground.file, '', { mode: 0o600 });
    const served = await ground.start();
    expect(await ready(served)).toBe(200);
    expect(await served.end('SIGTERM')).toBe(0);
  });
});

function overwrite(file: string, position: number, bytes: Buffer): void {
  const handle = openSync(file, 'r+');
  writeSync(handle, bytes, 0, bytes.length, position);
  closeSync(handle);
}

test('Q2: pages overwritten while serving: 503, never a wrong answer', async () => {
  const ground = await makeGround('sqlite');
  await (await ground.start()).end('SIGTERM');
  const served = await ground.start();
  const session = await served.login();
  const { size } = statSync(ground.file);
  overwrite(ground.file, 4_096, Buffer.alloc(size - 4_096, 0x5a));
  // Makes each connection forget the pages that it has read.
  overwrite(ground.file, 24, Buffer.from([0xff, 0xff, 0xff, 0xff]));
  for (let round = 0; round < 10; round += 1) {
    const { status } = await served.send(refreshRequest(session, 'a-key'));
    expect([200, 503]).toContain(status);
  }
  // What a connection remembers it may still say, because that is right.
  await untilReady(served, 503);
  await served.end('SIGKILL');
  expect((await ground.tryStart()).code).toBe(5);
});

describe('Q5: while serving the file is', () => {
  test('moved away: 503; put back: served again', async () => {
    const ground = await makeGround('sqlite');
    const served = await ground.start();
    const session = await served.login();
    renameSync(ground.file, `${ground.file}.moved`);
    await untilReady(served, 503);
    await expectTrouble(served, ground, session);
    renameSync(`${ground.file}.moved`, ground.file);
    await untilReady(served, 200);
    expect((await served.send(refreshRequest(session, 'a-key'))).status).toBe(200);
  });

  test('deleted: 503', async () => {
    const ground = await makeGround('sqlite');
    const served = await ground.start();
    const session = await served.login();
    removeAll(ground);
    // A change is never confirmed into a file that is gone, from the first one on.
    expect((await served.send(refreshRequest(session, 'a-key'))).status).toBe(503);
    await untilReady(served, 503);
    await expectTrouble(served, ground, session);
    expect(await served.end('SIGTERM')).toBe(0);
  });

  test('replaced by another: 503 until a restart', async () => {
    const ground = await makeGround('sqlite');
    await (await ground.start()).end('SIGTERM');
    copyFileSync(ground.file, `${ground.file}.copy`);
    const served = await ground.start();
    const session = await served.login();
    renameSync(`${ground.file}.copy`, ground.file);
    await untilReady(served, 503);
    await expectTrouble(served, ground, session);
  });
});

test('Q6: a folder that cannot be written to at the start: exit 5', async () => {
  const ground = await makeGround('sqlite');
  const readOnly = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && cd "$0" && exec "$@"';
  const before = ['unshare', '-rm', 'sh', '-c', readOnly, ground.folder];
  const { code, stderr } = await ground.tryStart({ before });
  expect({ code, stderr }).toMatchObject({ code: 5, stderr: expect.stringContaining('auth.db') });
});

test('Q6: read-only while serving: 503 for changes, the rest goes on; and as before when it is over', async () => {
  const ground = await makeGround('sqlite');
  const served = await ground.start();
  const session = await served.login();
  const calls = 'pwrite64,ftruncate,fsync,fdatasync';
  const strace = await attach(served.pid, [
    '-o',
    '/dev/null',
    '-e',
    `trace=${calls}`,
    '-e',
    `inject=${calls}:error=EROFS`,
  ]);
  const refused = await served.send(refreshRequest(session, 'a-key'));
  expect({ status: refused.status, text: refused.text }).toMatchObject({ status: 503 });
  const verify = post('/verify', { token: session.accessToken }, { Authorization: ground.api });
  expect((await served.send(verify)).text).toContain('"active":true');
  await detach(strace);
  expect((await served.send(refreshRequest(session, 'a-key'))).status).toBe(200);
  expect(await ground.query('pragma integrity_check')).toEqual([{ integrity_check: 'ok' }]);
});

describe('what SQLite keeps beside the file, while nobody has it open', () => {
  test.each<[string, (wal: string, shm: string) => void]>([
    ['Q3: the log is deleted', (wal) => rmSync(wal)],
    ['Q3: the log is truncated', (wal) => truncateSync(wal, Math.floor(statSync(wal).size / 2))],
    [
      'Q3: one byte of the log is another',
      (wal) => overwrite(wal, Math.floor(statSync(wal).size / 2), Buffer.from([0x5a])),
    ],
    ['Q4: the index of the log is deleted', (_, shm) => rmSync(shm)],
  ])('%s: it starts with what SQLite recovers, and answers no worse than that', async (name, damage) => {
    const ground = await makeGround('sqlite');
    let served = await ground.start();
    let session = await served.login();
    for (let step = 0; step < 5; step += 1) {
      session = sessionOf((await served.send(refreshRequest(session, `key-${step}`))).text);
    }
    await served.end('SIGKILL');
    const [wal = '', shm = ''] = beside(ground);
    damage(wal, shm);
    served = await ground.start();
    expect(await ground.query('pragma integrity_check')).toEqual([{ integrity_check: 'ok' }]);
    expect(await ready(served)).toBe(200);
    const { status, text } = await served.send(refreshRequest(session, 'the-last-key'));
    // Without the log commits are lost, and what they made is of a family that is ahead of the file or unknown to it.
    if (name.startsWith('Q4')) expect(status).toBe(200);
    else expect([200, 401]).toContain(status);
    if (status === 401) expect(text).toMatch(/"unknown"/);
    expect((await served.send(refreshRequest(await served.login(), 'a-key'))).status).toBe(200);
    expect(served.said()).not.toContain('unforeseen');
  });
});

test('Q9: a schema newer than the program, or a migration that it does not know: exit 5, naming both', async () => {
  const ground = await makeGround('sqlite');
  const [{ count } = { count: 0 }] = await ground.query<{ count: number }>('select count(*) as count from migrations');
  await ground.query("insert into migrations (name, applied_at) values ('9999-later', 0) returning name");
  const { code, stderr } = await ground.tryStart();
  expect(code).toBe(5);
  expect(stderr).toContain(`schema ${count + 1} (9999-later)`);
  expect(stderr).toContain(`knows ${count}`);
});

describe('Q11: a row edited by hand', () => {
  test.each([
    ['a negative generation', 'generation = -5'],
    ['text for a number', "generation = 'seven'"],
    ['an id that is none', "jti = 'none'"],
  ])('%s: refused or 503, and the server goes on', async (_, set) => {
    const ground = await makeGround('sqlite');
    const served = await ground.start();
    const session = await served.login();
    const other = await served.login();
    const edited = await ground
      .query(`update token_families set ${set} where id = '${session.family}' returning id`)
      .catch((error: unknown) => error);
    const { status } = await served.send(refreshRequest(session, 'a-key'));
    // Where the schema itself refuses such a row, nothing has happened.
    expect(edited instanceof Error ? [200] : [401, 503]).toContain(status);
    expect((await served.send(refreshRequest(other, 'a-key'))).status).toBe(200);
    expect(await served.end('SIGTERM')).toBe(0);
  });
});
