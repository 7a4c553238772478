/**
 * N7, N8: others use the database beside the server, or its disk is full. A lock that is held makes changes wait and then
 * say 503; commands and the server get on; a full disk refuses changes, answers what needs none, and recovers by itself.
 */
import { copyFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import BetterSqlite3 from 'better-sqlite3';
import { describe, expect, test } from 'vitest';
import { refreshRequest, type Session, sessionOf, startLoad } from '../../scripts/fire/load.ts';
import { get, post } from '../../scripts/fire/wire.ts';
import { expectCleanHistory, makeGround, SEED, type Served, TIMES, tell } from './ground.ts';

const CLIENTS = 8;
const COMMANDS = Math.ceil(2 * TIMES);
/** s; the second is longer than a request may take. */
const HELD = [3, TIMES > 1 ? 30 : 12];

describe('N7, Q8', () => {
  test.each(HELD)(
    'another process holds the write lock for %i s: 503 at the time limit, then as before',
    async (seconds) => {
      const ground = await makeGround('sqlite');
      const served = await ground.start();
      const sessions = await served.logins(CLIENTS);
      const load = startLoad({ ports: [served.port], sessions, seed: SEED, resourceServer: ground.api });
      await load.more(50);
      // Whoever runs this test is another process.
      const other = new BetterSqlite3(ground.file);
      other.exec('begin immediate');
      const [session] = load.sessions();
      const verify = post('/verify', { token: session?.accessToken }, { Authorization: ground.api });
      const end = performance.now() + seconds * 1_000;
      while (performance.now() < end) {
        const before = performance.now();
        expect(JSON.parse((await served.send(verify)).text)).toMatchObject({ active: true });
        expect((await served.send(get('/readyz'))).status).toBe(200);
        expect(performance.now() - before).toBeLessThan(2_000);
        await delay(250);
      }
      other.exec('rollback');
      other.close();
      await load.more(2 * CLIENTS);
      await load.finish();
      const { statuses, slowestMs } = load.tally();
      expect(Object.keys(statuses)).toEqual(['200', '503']);
      expect(slowestMs).toBeLessThan(11_000);
      await expectCleanHistory(ground, load.history);
    },
  );
});

test.each(['sqlite', 'postgres'] as const)(
  `N7: on %s, commands beside the load, ${COMMANDS} rounds: nobody is refused, and nobody meets an error`,
  async (kind) => {
    const ground = await makeGround(kind);
    const served = await ground.start();
    const sessions = await served.logins(CLIENTS);
    const load = startLoad({ ports: [served.port], sessions, seed: SEED, resourceServer: ground.api });
    for (let round = 0; round < COMMANDS; round += 1) {
      const victim = await served.login();
      for (const args of [
        ['revoke', victim.family, '--yes'],
        ['keys', 'rotate', '--yes'],
        ['keys', 'rotate', '--ring', 'refresh', '--yes'],
        ['purge'],
        ...(kind === 'sqlite' ? [['backup', path.join(ground.folder, `copy-${round}`)]] : []),
      ]) {
        const { code, stderr } = await ground.run(...args);
        expect({ args, code, stderr: code === 0 ? '' : stderr }).toEqual({ args, code: 0, stderr: '' });
      }
      expect((await served.send(refreshRequest(victim))).text).toContain('"revoked"');
      await load.more(CLIENTS);
    }
    await load.finish();
    tell(`${kind}, ${COMMANDS} rounds of commands: ${load.summary()}`);
    expect(Object.keys(load.tally().statuses)).toEqual(['200']);
    expect(served.said()).not.toContain('unforeseen');
    await expectCleanHistory(ground, load.history);
  },
);

/** The server's folder is a file system of its own, of 4 MiB, which nobody else sees. */
const TINY_DISK =
  'copy=$(mktemp -d) && cp "$0"/* "$copy" && mount -t tmpfs -o size=4m tmpfs "$0" && cp "$copy"/* "$0" && rm -r "$copy" && cd "$0" && exec "$@"';

/** Fills what is left, to the last byte. */
function fill(file: string): void {
  try {
    writeFileSync(file, Buffer.alloc(8 * 1_024 * 1_024));
  } catch (error) {
    expect(String(error)).toContain('ENOSPC');
  }
}

/** Goes on with the session until that is refused. @returns it as it was by then, and what was refused */
async function refreshUntilFull(served: Served, from: Session): Promise<{ session: Session; request: string }> {
  let session = from;
  for (let tries = 0; tries < 5_000; tries += 1) {
    const request = refreshRequest(session, `key-${session.generation}`);
    const { status, text, head } = await served.send(request);
    if (status === 503) {
      expect(head.toLowerCase()).toContain('retry-after: ');
      return { session, request };
    }
    expect(status).toBe(200);
    session = sessionOf(text);
  }
  throw new Error('the disk never was full');
}

test('N8, Q7: the disk is full: changes say 503, the rest goes on, and with space all is as before', async () => {
  const ground = await makeGround('sqlite');
  const served = await ground.start({ before: ['unshare', '-rm', 'sh', '-c', TINY_DISK, ground.folder] });
  const inside = path.join('/proc', String(served.pid), 'root', ground.folder);
  const filler = path.join(inside, 'filler');
  let session = await served.login();
  for (let round = 0; round < Math.ceil(3 * TIMES); round += 1) {
    fill(filler);
    const full = await refreshUntilFull(served, session);
    const verify = post('/verify', { token: full.session.accessToken }, { Authorization: ground.api });
    expect(JSON.parse((await served.send(verify)).text)).toMatchObject({ active: true });
    expect((await served.send(get('/healthz'))).status).toBe(200);
    rmSync(filler);
    const repeated = await served.send(full.request);
    expect(repeated.status).toBe(200);
    session = sessionOf(repeated.text);
    expect(session.generation).toBe(full.session.generation + 1);
  }
  // By way of the server's root SQLite would open what has this name outside. Nobody writes now.
  const copy = path.join(ground.folder, 'copy.db');
  for (const suffix of ['', '-wal']) copyFileSync(path.join(inside, `auth.db${suffix}`), `${copy}${suffix}`);
  const db = new BetterSqlite3(copy);
  expect(db.pragma('integrity_check')).toEqual([{ integrity_check: 'ok' }]);
  expect(db.prepare('select generation from token_families').all()).toEqual([{ generation: session.generation }]);
  db.close();
  expect(await served.end('SIGTERM')).toBe(0);
});
