/**
 * K1, K2, K4, I10 and I11: the clock is moved under a running server. Generations count and clocks do not: no step makes a
 * spent token good again.
 */
import { expect, test } from 'vitest';
import { refreshRequest, type Session, sessionOf, startLoad } from '../../scripts/fire/load.ts';
import { post } from '../../scripts/fire/wire.ts';
import { expectCleanHistory, type Ground, makeGround, SEED, type Served } from './ground.ts';
import { makeClock } from './preload.ts';

const MINUTE = 60;
const DAY = 86_400;
const CLIENTS = 8;

async function verified(served: Served, ground: Ground, session: Session): Promise<string> {
  const request = post('/verify', { token: session.accessToken }, { Authorization: ground.api });
  const body: { active: boolean; reason?: string } = JSON.parse((await served.send(request)).text);
  return body.reason ?? String(body.active);
}

const refreshed = async (served: Served, session: Session, key: string): Promise<Session> => {
  const { status, text } = await served.send(refreshRequest(session, key));
  expect({ status, text: status === 200 ? '' : text }).toEqual({ status: 200, text: '' });
  return sessionOf(text);
};

const reasonOf = async (served: Served, session: Session, key?: string): Promise<string | undefined> => {
  const { text } = await served.send(refreshRequest(session, key));
  const body: { reason?: string } = JSON.parse(text);
  return body.reason;
};

test('K1: ten minutes, a day, 89 days and 91 days later: what has expired says so, and nothing else', async () => {
  const ground = await makeGround('sqlite');
  const clock = makeClock(ground);
  const served = await ground.start({ env: clock.env });
  const session = await served.login();
  const idle = await served.login();
  const [victim, thief] = await Promise.all([served.login(), served.login()]);
  const next = await refreshed(served, victim, 'a-key');
  const last = await refreshed(served, thief, 'a-key');
  clock.set(10 * MINUTE);
  expect(await verified(served, ground, session)).toBe('expired');
  clock.set(DAY);
  const second = await refreshed(served, session, 'day-one');
  expect(await verified(served, ground, second)).toBe('true');
  clock.set(89 * DAY);
  const third = await refreshed(served, second, 'day-89');
  expect(await verified(served, ground, third)).toBe('true');
  // I10: whatever was purged meanwhile, a spent token ends its family as long as it would have lived.
  expect((await ground.run('purge')).code).toBe(0);
  expect(await reasonOf(served, victim, 'another-key')).toBe('reused');
  expect(await reasonOf(served, next)).toBe('revoked');
  clock.set(91 * DAY);
  expect(await reasonOf(served, idle)).toBe('expired');
  expect(await reasonOf(served, last)).toBe('expired');
  expect(await reasonOf(served, third, 'day-91')).toBeUndefined();
  expect(served.said()).not.toContain('unforeseen');
});

test('K2, I11: an hour back, and forth: no spent or revoked token revives, and new ones are good', async () => {
  const ground = await makeGround('sqlite');
  const clock = makeClock(ground);
  const served = await ground.start({ env: clock.env });
  let current = await served.login();
  const spent: Session[] = [];
  for (const offset of [0, -3_600, 0, 3_600, -3_600]) {
    clock.set(offset);
    for (let step = 0; step < 4; step += 1) {
      spent.push(current);
      current = await refreshed(served, current, `key-${current.generation}`);
    }
    expect(await verified(served, ground, current)).toBe('true');
  }
  for (const offset of [-3_600, 3_600]) {
    clock.set(offset);
    for (const old of spent.slice(0, -1)) {
      expect(['reused', 'revoked']).toContain(await reasonOf(served, old, `key-${old.generation}`));
    }
  }
  expect(await reasonOf(served, current)).toBe('revoked');
  // Where its access token has not expired.
  clock.set(-3_600);
  expect(await verified(served, ground, current)).toBe('revoked');
});

test('K4: a second back, ten times, under load: no error, one order', async () => {
  const ground = await makeGround('sqlite');
  const clock = makeClock(ground);
  const served = await ground.start({ env: clock.env });
  const sessions = await served.logins(CLIENTS);
  const load = startLoad({ ports: [served.port], sessions, seed: SEED, resourceServer: ground.api });
  for (let step = 1; step <= 10; step += 1) {
    await load.more(50);
    clock.set(-step);
  }
  await load.finish();
  expect(Object.keys(load.tally().statuses)).toEqual(['200']);
  await expectCleanHistory(ground, load.history);
  const [twice] = await ground.query<{ count: number }>(
    'select count(*) - count(distinct jti) as count from refresh_tokens',
  );
  expect(twice).toEqual({ count: 0 });
});
