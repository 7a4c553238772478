/**
 * N4, N5, N21 and I3: whoever comes at the same time, to one server or two on one database, one refresh token has one
 * successor; what ends a family wins over what would go on with it; and a reuse that was answered has ended the family even
 * if the server dies on the first byte of that answer.
 */
import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import type { Entry } from '../../scripts/fire/history.ts';
import { recorded, refreshRequest, type Session, startLoad } from '../../scripts/fire/load.ts';
import { openWire, post } from '../../scripts/fire/wire.ts';
import { expectCleanHistory, type Ground, makeGround, SEED, type Served, TIMES, tell } from './ground.ts';
import { expectOneSuccessor, type Keys, openRacers, race } from './races.ts';
import { REVOKED, saidOnAllPaths } from './said.ts';

const AT_ONCE = 64;
const ROUNDS = Math.ceil(5 * TIMES);
const REVOCATIONS = Math.ceil(50 * TIMES);
const COMMANDS = Math.ceil(5 * TIMES);
const REUSES = Math.ceil(5 * TIMES);

const PLACES = [
  ['sqlite', 1],
  ['sqlite', 2],
  ['postgres', 1],
  ['postgres', 2],
] as const;

async function serveBy(ground: Ground, count: number): Promise<readonly [Served, Served]> {
  const first = await ground.start();
  return [first, count === 1 ? first : await ground.start()];
}

describe.each(PLACES)('on %s, %i servers', (kind, count) => {
  test.each<Keys>(['none', 'one', 'mixed'])(
    `N4: ${AT_ONCE} refreshes at once, keys: %s, ${ROUNDS} rounds: one successor`,
    async (keys) => {
      const ground = await makeGround(kind);
      const servers = await serveBy(ground, count);
      const racers = await openRacers(servers, AT_ONCE);
      for (let round = 0; round < ROUNDS; round += 1) {
        const session = await servers[0].login();
        const successor = expectOneSuccessor(keys, AT_ONCE, await race(racers, session, keys, SEED + round));
        const wanted = keys === 'one' ? { refresh: '200' } : REVOKED;
        expect(await saidOnAllPaths(servers[1], ground.api, successor)).toMatchObject(wanted);
      }
      racers.close();
      tell(`${kind}, ${count} servers, keys ${keys}: ${ROUNDS} races of ${AT_ONCE}`);
      await expectCleanHistory(ground, racers.history);
    },
  );

  test(`N21: ${REVOCATIONS} logouts against refreshes: the logout wins`, async () => {
    const ground = await makeGround(kind);
    const [here, there] = await serveBy(ground, count);
    const history = [];
    const wire = openWire(there.port);
    for (let round = 0; round < REVOCATIONS; round += 10) {
      const sessions = await here.logins(10);
      const load = startLoad({ ports: [here.port], sessions, seed: SEED + round, resourceServer: ground.api });
      await load.more(20);
      for (const { family, refreshToken } of sessions) {
        const question = { kind: 'end', family, generation: 0, isObedient: true } as const;
        const answer = await recorded(history, wire, question, post('/logout', { refresh_token: refreshToken }));
        expect(answer?.status).toBe(204);
      }
      // Each client is refused now, which ends the load.
      await expect(load.finish()).rejects.toThrow('revoked');
      for (const session of load.sessions()) {
        expect(await saidOnAllPaths(here, ground.api, session)).toEqual(REVOKED);
      }
      history.push(...load.history);
    }
    await expectCleanHistory(ground, history);
  });
});

describe.each(['sqlite', 'postgres'] as const)('on %s', (kind) => {
  test(`N21: ${COMMANDS} commands, each ends ten sessions that refresh: the command wins`, async () => {
    const ground = await makeGround(kind);
    const served = await ground.start();
    const history: Entry[] = [];
    for (let round = 0; round < COMMANDS; round += 1) {
      const sessions = await served.logins(10);
      const load = startLoad({ ports: [served.port], sessions, seed: SEED + round, resourceServer: ground.api });
      await load.more(20);
      const started = performance.now();
      const { code, stderr } = await ground.run('revoke', '--client', 'default', '--yes');
      expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
      const ended = performance.now();
      const told = { started, ended, status: 204, reason: undefined, received: undefined, isActive: false };
      for (const { family } of sessions)
        history.push({ kind: 'end', family, generation: 0, isObedient: true, ...told });
      await expect(load.finish()).rejects.toThrow('revoked');
      for (const session of load.sessions()) {
        expect(await saidOnAllPaths(served, ground.api, session)).toEqual(REVOKED);
      }
      history.push(...load.history);
    }
    await expectCleanHistory(ground, history);
  });

  test(`I3: killed on the first byte of a reuse's answer, ${REUSES} times: all paths say revoked`, async () => {
    const ground = await makeGround(kind);
    let served = await ground.start();
    for (let round = 0; round < REUSES; round += 1) {
      const first = await served.login();
      const second = await served.send(refreshRequest(first));
      expect(second.status).toBe(200);
      await killOnFirstByte(served, refreshRequest(first));
      served = await ground.start();
      expect(await saidOnAllPaths(served, ground.api, currentOf(first, second.text))).toEqual(REVOKED);
    }
  });
});

const currentOf = (first: Session, text: string): Session => {
  const body: { access_token: string; refresh_token: string } = JSON.parse(text);
  return { ...first, accessToken: body.access_token, refreshToken: body.refresh_token };
};

/** The server is dead before the rest of its answer has been read. */
function killOnFirstByte(served: Served, request: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(served.port, '127.0.0.1');
    socket.on('error', reject).write(request);
    socket.once('data', (chunk) => {
      expect(chunk.toString('latin1')).toContain('HTTP/1.1 401');
      served.end('SIGKILL').then(() => {
        socket.destroy();
        resolve();
      }, reject);
    });
  });
}
