/** Keys that move while servers work, in real time and on both databases: I33, I34, G11, N-rows of the short form. */
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type App, closeApp, openApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config/load.ts';
import { Secret } from '../../src/domain/secret.ts';
import { epochMs } from '../../src/domain/time.ts';
import { type RunningServer, startServer } from '../../src/http/start.ts';
import { makeLog } from '../../src/log.ts';
import { addClient } from '../../src/operations/clients.ts';
import { declareKeyCompromised, rotateKeys } from '../../src/operations/keys.ts';
import { addUser } from '../../src/operations/users.ts';
import { migrateUp } from '../../src/store/migrate.ts';
import { listKeys } from '../../src/store/signing-keys.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { makeHttpClient } from '../support/http-client.ts';
import { scratchFolder } from '../support/scratch.ts';
import { refreshWith, storeFamilies } from '../support/test-app.ts';
import { basicOf, type Pair } from '../support/test-server.ts';
import { until } from '../support/until.ts';

interface Peer {
  readonly login: () => Promise<Pair>;
  readonly refresh: (
    pair: Pair,
  ) => Promise<{ readonly status: number; readonly body: Readonly<Record<string, unknown>> }>;
  readonly isActive: (pair: Pair) => Promise<boolean>;
  readonly restart: () => Promise<void>;
}

/** Servers with the clock of the world, and an app beside them as the command line has it. */
async function prepare(url: string, count: number): Promise<{ readonly cli: App; readonly peers: readonly Peer[] }> {
  const folder = scratchFolder('load');
  writeFileSync(path.join(folder, 'auth.config.json'), '{}');
  const flags = {
    issuer: 'https://auth.example',
    'listen.port': 0,
    'database.url': url,
    'server.shutdownTimeout': '1s',
    masterKey: { file: path.join(folder, 'auth-server.key') },
  };
  const { config } = loadConfig({ flags, env: {}, cwd: folder });
  const log = makeLog({
    level: 'error',
    format: 'json',
    now: () => epochMs(Date.now()),
    write: (line) => process.stderr.write(line),
  });
  if (url.startsWith('postgres')) {
    const behind = await openApp({ config, log, schema: 'any' });
    await migrateUp(behind.store);
    await closeApp(behind);
  }
  const closers: (() => Promise<void>)[] = [];
  onTestFinished(async () => {
    for (const close of closers) await close();
    rmSync(folder, { recursive: true, force: true });
  });
  const first = await startServer({ config, log });
  await addUser(first.app, { name: 'alice', password: new Secret('8letters') });
  const { secret } = await addClient(first.app, {
    id: 'api',
    type: 'resource-server',
    isPublic: false,
    audiences: [],
    policy: {},
  });
  const api = basicOf('api', secret?.reveal() ?? '');
  const peers: Peer[] = [];
  for (let index = 0; index < count; index += 1) {
    let server: RunningServer = index === 0 ? first : await startServer({ config, log });
    let client = makeHttpClient(server.port);
    const stop = async (): Promise<void> => {
      client.close();
      await server.stop();
    };
    closers.push(stop);
    const post = (to: string, body: unknown, headers: Readonly<Record<string, string>> = {}) =>
      client.send({
        method: 'POST',
        path: to,
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      });
    peers.push({
      login: async () => (await post('/login', { username: 'alice', password: '8letters' })).body as unknown as Pair,
      refresh: (pair) => post('/refresh', pair),
      isActive: async ({ access_token }) => (await post('/verify', { token: access_token }, api)).body.active === true,
      async restart() {
        await stop();
        server = await startServer({ config, log });
        client = makeHttpClient(server.port);
      },
    });
  }
  const cli = await openApp({ config, log, schema: 'current' });
  closers.unshift(() => closeApp(cli));
  return { cli, peers };
}

const ROTATIONS = 40;

describeOnBothDatabases('keys under load', (makeDatabase) => {
  test('N12, K6: rotations of both rings beside two servers refuse no valid token, however quickly they follow', async () => {
    const { cli, peers } = await prepare(await makeDatabase(), 2);
    const counts = { asked: 0, refused: 0 };
    let isOver = false;
    /** A session that goes from server to server, each token shown to the other one at once. */
    const wander = async (start: number): Promise<void> => {
      const at = (step: number): Peer => peers[step % peers.length] as Peer;
      let pair = await at(start).login();
      for (let step = start; !isOver; step += 1) {
        const { status, body } = await at(step).refresh(pair);
        counts.asked += 2;
        if (status !== 200) {
          counts.refused += 1;
          return;
        }
        pair = body as unknown as Pair;
        if (!(await at(step + 1).isActive(pair))) counts.refused += 1;
      }
    };
    const load = Promise.all([wander(0), wander(1), wander(0)]);
    for (let round = 0; round < ROTATIONS; round += 1) {
      await rotateKeys(cli, round % 4 === 3 ? 'refresh' : 'access');
      const { asked } = counts;
      await until(() => counts.asked > asked, 'the rotation has met the load');
    }
    isOver = true;
    await load;
    expect(counts.refused).toBe(0);
    expect(counts.asked).toBeGreaterThan(ROTATIONS);
  });

  test('K6: a token is accepted whose key another server made after this one last looked', async () => {
    const { cli, peers } = await prepare(await makeDatabase(), 1);
    const peer = peers[0] as Peer;
    const { access_token, refresh_token } = await peer.login();
    // A key that it does not know: it looks, and knows all there is by now.
    expect(await peer.refresh({ access_token, refresh_token: `${'A'.repeat(80)}.e30.AA` } as Pair)).toMatchObject({
      status: 401,
    });
    // Twice: the first promotes a key that it knows.
    for (const ring of ['access', 'refresh', 'access', 'refresh'] as const) await rotateKeys(cli, ring);
    const fresh = await refreshWith(cli, { accessToken: access_token, refreshToken: refresh_token });
    if (fresh.kind !== 'issued') throw new Error(`not refreshed: ${fresh.reason}`);
    const pair = { access_token: fresh.pair.accessToken, refresh_token: fresh.pair.refreshToken } as unknown as Pair;
    expect(await peer.isActive(pair)).toBe(true);
    expect(await peer.refresh(pair)).toMatchObject({ status: 200 });
  });

  test('a compromised access-token key is refused by every server within two seconds, and after a restart', async () => {
    const { cli, peers } = await prepare(await makeDatabase(), 2);
    const pair = await (peers[0] as Peer).login();
    const isRefused = async (): Promise<boolean> => {
      for (const peer of peers) if (await peer.isActive(pair)) return false;
      return true;
    };
    expect(await isRefused()).toBe(false);
    const { revoked } = await declareKeyCompromised(cli, 'access');
    const start = performance.now();
    await until(isRefused, 'every server refuses it');
    expect(performance.now() - start).toBeLessThan(2_000);
    expect(revoked).toBe(0);
    for (const peer of peers) await peer.restart();
    expect(await isRefused()).toBe(true);
    // It costs no session.
    expect(await (peers[1] as Peer).refresh(pair)).toMatchObject({ status: 200 });
  });

  test('T7: ending thousands of sessions of a compromised refresh-token key holds up nobody else', async () => {
    const { cli, peers } = await prepare(await makeDatabase(), 2);
    await storeFamilies(
      cli,
      Array.from({ length: 3_000 }, () => ({})),
    );
    const stolen = (await cli.keys.current()).refresh.active.kid;
    await rotateKeys(cli, 'refresh');
    // So that no session begins by the old key.
    for (const peer of peers) await peer.restart();
    const answers: number[] = [];
    let isOver = false;
    const live = async (peer: Peer): Promise<void> => {
      let pair = await peer.login();
      while (!isOver) {
        const { status, body } = await peer.refresh(pair);
        answers.push(status);
        if (status !== 200) return;
        pair = body as unknown as Pair;
        if (!(await peer.isActive(pair))) answers.push(0);
      }
    };
    const load = Promise.all([...peers, ...peers].map(live));
    await until(() => answers.length > 20, 'the load has begun');
    const before = answers.length;
    const { revoked } = await declareKeyCompromised(cli, 'refresh', stolen);
    const during = answers.length - before;
    isOver = true;
    await load;
    expect(revoked).toBe(3_000);
    expect(during).toBeGreaterThan(0);
    expect(answers.filter((status) => status !== 200)).toEqual([]);
  });

  test('rotations at once leave one key that signs and one that is next, in each ring', async () => {
    const { cli, peers } = await prepare(await makeDatabase(), 1);
    const other = await openApp({ config: cli.config, log: cli.log, schema: 'current' });
    const rings = ['access', 'refresh'] as const;
    await Promise.all(rings.flatMap((ring) => [cli, other, cli].map((app) => rotateKeys(app, ring))));
    await closeApp(other);
    const keys = await cli.store.read(listKeys);
    for (const ring of rings) {
      const states = keys.filter((key) => key.ring === ring).map((key) => key.state);
      expect(states.filter((state) => state === 'active')).toHaveLength(1);
      expect(states.filter((state) => state === 'next')).toHaveLength(1);
    }
    expect(await (peers[0] as Peer).isActive(await (peers[0] as Peer).login())).toBe(true);
  });
});
