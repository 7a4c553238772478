/**
 * N12 and K6: key rings are rotated under load, and no valid token is refused: not by the servers, and not by a verifier
 * elsewhere that keeps the published keys as long as it may. `node scripts/fire/run.ts --times 20 rotations` does a hundred.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { expect, test } from 'vitest';
import { type Session, startLoad } from '../../scripts/fire/load.ts';
import { makeChance } from '../../scripts/fire/random.ts';
import { openWire, post } from '../../scripts/fire/wire.ts';
import { until } from '../support/until.ts';
import { expectCleanHistory, type Ground, makeGround, SEED, TIMES, tell } from './ground.ts';

const CLIENTS = 8;
const ROTATIONS = Math.ceil(5 * TIMES);
/** Tokens asked about in a second, each at one of the servers and at the verifier. */
const PER_SECOND = 200;
const BURST = 20;
/**
 * How long the verifier keeps the published keys, ms: a scale of 1 to 300 of the real `max-age`. A rotation follows the one
 * before after two such times, as `keys.publishAhead` is at least two of the real ones.
 */
const MAX_AGE = 1_000;
/** An access token is asked about until so long before its end, ms. */
const MARGIN = 20_000;

const expiryOf = ({ accessToken }: Session): number =>
  JSON.parse(Buffer.from(accessToken.split('.')[1] ?? '', 'base64url').toString()).exp * 1_000;

interface Verifying {
  /** Answers so far: from the servers, and from the verifier. */
  readonly asked: { servers: number; outside: number };
  /** Of tokens that were valid. */
  readonly refusals: string[];
  add(sessions: readonly Session[]): void;
  stop(): Promise<void>;
}

/** Asks about any of the tokens that have not expired, whatever signed them, until it is stopped. */
function startVerifying(ground: Ground, ports: readonly number[], issuer: string): Verifying {
  const first = ports[0] ?? 0;
  // It asks again no sooner for a key that it does not know: a token by one that was not published ahead is refused.
  const keys = createRemoteJWKSet(new URL(`http://127.0.0.1:${first}/.well-known/jwks.json`), {
    cacheMaxAge: MAX_AGE,
    cooldownDuration: MAX_AGE,
  });
  const wires = Array.from({ length: BURST }, (_, index) => openWire(ports[index % ports.length] ?? first));
  const chance = makeChance(SEED);
  const asked = { servers: 0, outside: 0 };
  const refusals: string[] = [];
  const tokens = new Map<string, number>();
  let isOver = false;

  const askServer = async (wire: (typeof wires)[number], token: string): Promise<void> => {
    asked.servers += 1;
    try {
      const { status, text } = await wire.send(post('/verify', { token }, { Authorization: ground.api }));
      if (status !== 200 || JSON.parse(text).active !== true) refusals.push(`server: ${status} ${text}`);
    } catch (error) {
      refusals.push(`server: ${error}`);
    }
  };
  const askOutside = async (token: string): Promise<void> => {
    asked.outside += 1;
    await jwtVerify(token, keys, { issuer, audience: 'api', typ: 'at+jwt' }).catch((error: Error) => {
      refusals.push(`outside: ${error.name} ${error.message}`);
    });
  };
  async function run(): Promise<void> {
    const start = performance.now();
    for (let burst = 1; !isOver; burst += 1) {
      for (const [token, end] of tokens) if (end < Date.now()) tokens.delete(token);
      const valid = [...tokens.keys()];
      const chosen = wires.map((wire) => [wire, valid[chance.below(valid.length)] ?? ''] as const);
      await Promise.all(chosen.flatMap(([wire, token]) => [askServer(wire, token), askOutside(token)]));
      // The rate, not a wait for anything.
      await delay(Math.max(0, start + (burst * 1_000 * BURST) / PER_SECOND - performance.now()));
    }
  }
  const add = (sessions: readonly Session[]): void => {
    for (const session of sessions) tokens.set(session.accessToken, expiryOf(session) - MARGIN);
  };
  let running: Promise<void> | undefined;
  return {
    asked,
    refusals,
    add(sessions) {
      add(sessions);
      running ??= run();
    },
    async stop() {
      isOver = true;
      await running;
      for (const wire of wires) wire.close();
    },
  };
}

const published = async (port: number): Promise<string[]> => {
  const response = await fetch(`http://127.0.0.1:${port}/.well-known/jwks.json`);
  const { keys } = (await response.json()) as { readonly keys: readonly { readonly kid: string }[] };
  return keys.map(({ kid }) => kid);
};

const signedBy = ({ accessToken }: Session): string =>
  JSON.parse(Buffer.from(accessToken.split('.')[0] ?? '', 'base64url').toString()).kid;

test.each(['sqlite', 'postgres'] as const)(
  `N12, K6: on %s, ${ROTATIONS} rotations of both key rings under load on two servers: no valid token is refused, here or elsewhere`,
  async (kind) => {
    const ground = await makeGround(kind);
    const servers = [await ground.start(), await ground.start()] as const;
    const ports = servers.map(({ port }) => port);
    const sessions = await servers[0].logins(CLIENTS);
    const load = startLoad({ ports, sessions, seed: SEED, resourceServer: ground.api, pause: 100 });
    const verifying = startVerifying(ground, ports, 'https://auth.example');
    verifying.add(sessions);
    let rotatedAt = performance.now();
    const kids = new Set<string>();
    let signing = sessions.map(signedBy)[0];
    for (let round = 0; round < ROTATIONS; round += 1) {
      await until(() => performance.now() - rotatedAt >= 2 * MAX_AGE, 'the next key has been published long enough');
      const known = await published(servers[1].port);
      for (const ring of ['access', 'refresh']) {
        const { code, stderr } = await ground.run('keys', 'rotate', '--ring', ring, '--yes');
        expect({ code, stderr: code === 0 ? '' : stderr }).toMatchObject({ code: 0 });
      }
      rotatedAt = performance.now();
      // A server learns of it within two seconds.
      await until(async () => {
        await load.more(CLIENTS);
        return load.sessions().every((session) => signedBy(session) !== signing);
      }, 'both servers sign with the next key');
      const current = load.sessions();
      verifying.add(current);
      // What has signed since was published before.
      for (const session of current) {
        signing = signedBy(session);
        kids.add(signing);
        expect(known).toContain(signing);
      }
    }
    const before = { ...verifying.asked };
    await until(() => verifying.asked.outside > before.outside + PER_SECOND, 'the last tokens were asked about');
    await verifying.stop();
    await load.finish();
    const { asked, refusals } = verifying;
    tell(
      `${kind}, ${ROTATIONS} rotations of each ring, ${kids.size} keys signed: ${asked.servers} tokens asked about at two servers, ` +
        `${asked.outside} at a verifier elsewhere, ${refusals.length} refused; ${load.summary()}`,
    );
    expect(refusals).toEqual([]);
    expect(kids.size).toBe(ROTATIONS);
    // 0: no answer came, which a busy machine may do; repeated with its key, the request was answered. A refusal is another status.
    expect(Object.keys(load.tally().statuses).filter((status) => status !== '0')).toEqual(['200']);
    expect(load.history.filter((entry) => entry.kind === 'verify' && !entry.isActive)).toEqual([]);
    await expectCleanHistory(ground, load.history);
  },
);
