/**
 * K3, K5, K7, K8, Q10: a machine whose clock was never set, two whose clocks differ, one that is suspended; a key that cannot
 * be read; a disk that other machines share.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { refreshRequest, type Session, sessionOf } from '../../scripts/fire/load.ts';
import { get, post } from '../../scripts/fire/wire.ts';
import { type Ground, makeGround, type Served, TIMES } from './ground.ts';
import { makeClock, preloaded } from './preload.ts';
import { REVOKED, saidOnAllPaths } from './said.ts';

const SUSPENDED_MS = TIMES > 1 ? 60_000 : 5_000;

async function verified(served: Served, ground: Ground, { accessToken }: Session): Promise<string> {
  const answer = await served.send(post('/verify', { token: accessToken }, { Authorization: ground.api }));
  const body: { active: boolean; reason?: string } = JSON.parse(answer.text);
  return body.reason ?? String(body.active);
}

test('K3: a clock that says 1970: no start, exit 5, and what to do', async () => {
  const ground = await makeGround('sqlite');
  const clock = makeClock(ground);
  clock.set(-Math.floor(Date.now() / 1_000));
  const { code, stderr } = await ground.tryStart({ env: clock.env });
  expect({ code, stderr }).toMatchObject({ code: 5, stderr: expect.stringContaining('The clock says 1970-01-01') });
  expect(stderr).toContain('timedatectl');
});

test('K5: two servers on one Postgres, their clocks 30 s apart: the tokens of each are good at the other', async () => {
  const ground = await makeGround('postgres');
  const clock = makeClock(ground);
  clock.set(30);
  const servers = [await ground.start(), await ground.start({ env: clock.env })] as const;
  for (const [here, there] of [servers, servers.toReversed()] as [Served, Served][]) {
    const session = await here.login();
    expect(await verified(there, ground, session)).toBe('true');
    const { status, text } = await there.send(refreshRequest(session, 'a-key'));
    expect(status).toBe(200);
    expect(await verified(here, ground, sessionOf(text))).toBe('true');
    expect((await here.send(refreshRequest(sessionOf(text), 'the-next-key'))).status).toBe(200);
  }
});

test.each(['sqlite', 'postgres'] as const)(
  'K7: on %s, the row of a next key was changed: served with the active one, degraded, and doctor names it',
  async (kind) => {
    const ground = await makeGround(kind);
    const served = await ground.start();
    const session = await served.login();
    const [key] = await ground.query<{ kid: string }>(
      "update signing_keys set sealed_key = substr(sealed_key, 1, length(sealed_key) - 4) || 'AAAA' where ring = 'access' and state = 'next' returning kid",
    );
    const degraded = async (): Promise<boolean> => {
      const { status, text } = await served.send(get('/readyz'));
      expect(status).toBe(200);
      return text.includes('"degraded"');
    };
    const end = performance.now() + 10_000;
    while (!(await degraded()) && performance.now() < end) await delay(50);
    expect(await degraded()).toBe(true);
    expect((await served.send(refreshRequest(session, 'a-key'))).status).toBe(200);
    expect(await verified(served, ground, await served.login())).toBe('true');
    const { stdout, stderr } = await ground.run('doctor');
    expect(stdout + stderr).toContain(`${key?.kid.slice(0, 4)}..${key?.kid.slice(-4)}`);
    expect(served.said()).not.toContain('unforeseen');
  },
);

test(`K8: suspended for ${SUSPENDED_MS / 1_000} s of its time and ten minutes of the clock's: goes on, and nothing stale is called active`, async () => {
  const ground = await makeGround('sqlite');
  const clock = makeClock(ground);
  const served = await ground.start({ env: clock.env });
  const [victim, other] = [await served.login(), await served.login()];
  expect(await verified(served, ground, victim)).toBe('true');
  served.child.kill('SIGSTOP');
  expect((await ground.run('revoke', victim.family, '--yes')).code).toBe(0);
  // Asked while it sleeps, answered when it wakes.
  const asked = verified(served, ground, victim);
  await delay(SUSPENDED_MS);
  served.child.kill('SIGCONT');
  expect(await asked).toBe('revoked');
  expect(await saidOnAllPaths(served, ground.api, victim)).toEqual(REVOKED);
  clock.set(10 * 60);
  expect(await verified(served, ground, other)).toBe('expired');
  expect((await served.send(refreshRequest(other, 'a-key'))).status).toBe(200);
  const said = served.said().split('\n');
  // What is done every two seconds is not made up for.
  expect(said.length).toBeLessThan(40);
  expect(await served.end('SIGTERM')).toBe(0);
});

test('Q10: a file on a network file system: doctor warns', async () => {
  const ground = await makeGround('sqlite');
  const { stdout, stderr } = await ground.runAs({ env: preloaded(ground, 'statfs') }, 'doctor');
  expect(stdout + stderr).toMatch(/is on NFS/);
  const here = await ground.run('doctor');
  expect(here.stdout + here.stderr).not.toMatch(/is on NFS/);
});
