/**
 * N16 (I23, I28): how long a refusal takes does not say why. Asked by turns on one connection, an unknown user takes as long
 * as a wrong password and as a disabled user with the right one; an unknown client as long as a wrong secret.
 */
import { expect, test } from 'vitest';
import { median } from '../../scripts/fire/figures.ts';
import { openWire, post, type Wire } from '../../scripts/fire/wire.ts';
import { Secret } from '../../src/domain/secret.ts';
import { addUser, disableUser } from '../../src/operations/users.ts';
import { makeGround, SEED, TIMES, tell } from './ground.ts';
import { withApp } from './load-ground.ts';

/** A hash that is left out shows as a ratio of 20, a look-up that is left out as one of 2. */
const [LEAST, MOST] = TIMES >= 5 ? [0.95, 1.05] : [0.6, 1.67];
const LOGINS = Math.ceil(8 * TIMES);
const CLIENTS = Math.ceil(300 * TIMES);
const PASSWORD = 'the password of who is disabled';
/** One of them may be disturbed: the one in the middle counts. */
const RUNS = 3;

interface Asked {
  readonly name: string;
  readonly request: string;
}

/** By turns, and each time in another order, so that nobody is always first. @returns ms of each, by name */
async function timed(wire: Wire, asked: readonly Asked[], rounds: number): Promise<Map<string, number[]>> {
  const times = new Map<string, number[]>(asked.map(({ name }) => [name, []]));
  const answers = new Set<string>();
  for (let round = 0; round < rounds; round += 1) {
    const shift = round % asked.length;
    for (const { name, request } of [...asked.slice(shift), ...asked.slice(0, shift)]) {
      const began = performance.now();
      const { status, head, text } = await wire.send(request);
      times.get(name)?.push(performance.now() - began);
      // Byte for byte, but for what differs by its meaning.
      answers.add(`${status} ${text} ${head.replace(/^(date|x-request-id): .*\r?\n?/gim, '')}`);
    }
  }
  expect([...answers]).toHaveLength(1);
  return times;
}

/** @returns of each, the ratio of its median to that of the first */
async function ratios(port: number, asked: readonly Asked[], rounds: number): Promise<Record<string, number>> {
  const wire = openWire(port);
  await timed(wire, asked, 3);
  const found = new Map<string, number[]>();
  for (let run = 0; run < RUNS; run += 1) {
    const times = await timed(wire, asked, rounds);
    const [{ name: reference }, ...others] = asked as readonly [Asked, ...Asked[]];
    for (const { name } of others) {
      const ratio = median(times.get(name) ?? []) / median(times.get(reference) ?? []);
      found.set(name, [...(found.get(name) ?? []), ratio]);
    }
  }
  wire.close();
  return Object.fromEntries([...found].map(([name, values]) => [name, median(values)]));
}

function expectAlike(what: string, found: Readonly<Record<string, number>>): void {
  const spoken = Object.entries(found).map(([name, ratio]) => `${name} ${ratio.toFixed(3)}`);
  tell(`${what}, seed ${SEED}: ratio of medians ${spoken.join(', ')}`);
  for (const [name, ratio] of Object.entries(found)) {
    expect(ratio, name).toBeGreaterThan(LEAST);
    expect(ratio, name).toBeLessThan(MOST);
  }
}

/** Nobody is throttled here: a throttle answers before anything is looked at. */
const UNLIMITED = { login: { maxFailuresPerUser: 1_000_000, maxFailuresPerAddress: 1_000_000 } };

test.each(['sqlite', 'postgres'] as const)(
  'N16, I23: on %s, a refused login takes its time, whoever it is',
  async (kind) => {
    const ground = await makeGround(kind, UNLIMITED);
    await withApp(ground, async (app) => {
      await addUser(app, { name: 'mallory', password: new Secret(PASSWORD) });
      await disableUser(app, 'mallory');
    });
    const { port } = await ground.start();
    const login = (name: string, username: string, password: string): Asked => ({
      name,
      request: post('/login', { username, password }),
    });
    const asked = [
      login('wrong password', 'alice', 'a wrong password that is as long'),
      login('unknown user', 'nobody', 'a wrong password that is as long'),
      login('disabled user', 'mallory', PASSWORD),
    ];
    expectAlike(`${kind}, ${LOGINS} logins of each`, await ratios(port, asked, LOGINS));
  },
);

test('N16, I28: an unknown client takes as long as a wrong secret', async () => {
  const ground = await makeGround('sqlite');
  const { port } = await ground.start();
  const wrong = 'x'.repeat(43);
  const verify = (name: string, authorization: string): Asked => ({
    name,
    request: post('/verify', { token: 'x' }, { Authorization: authorization }),
  });
  const basic = (id: string): string => `Basic ${Buffer.from(`${id}:${wrong}`).toString('base64')}`;
  const asked = [
    verify('wrong secret', basic('api')),
    verify('unknown client', basic('apu')),
    verify('app by that name', basic('default')),
  ];
  expectAlike(`/verify, ${CLIENTS} of each`, await ratios(port, asked, CLIENTS));
});
