/**
 * Q14, N6: the way to Postgres is cut in the middle of a change: at each of its statements, before it arrives or before its
 * answer comes back, in three ways. Each request is repeated until it is answered, and every one of them ends well.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { refreshRequest, sessionOf } from '../../scripts/fire/load.ts';
import { post } from '../../scripts/fire/wire.ts';
import { type Ground, inCase, loginRequest, makeGround, type Served, someOf, tell } from './ground.ts';
import {
  type Cut,
  type CutAt,
  type CutHow,
  type CuttingProxy,
  openCuttingProxy,
  throughProxy,
  untilPoolIs,
} from './postgres.ts';
import { REVOKED, saidOnAllPaths } from './said.ts';

const POOL = 5;

interface Place {
  readonly ground: Ground;
  readonly proxy: CuttingProxy;
  readonly served: Served;
}

async function makePlace(): Promise<Place> {
  const ground = await makeGround('postgres');
  const { url, port } = await throughProxy(ground);
  const proxy = await openCuttingProxy(port);
  const served = await ground.start({ env: { AUTH_SERVER_DATABASE_URL: url(proxy.port) } });
  return { ground, proxy, served };
}

type Send = (request: string) => Promise<{ status: number; text: string }>;

async function untilAnswered(served: Served, request: string): Promise<{ status: number; text: string }> {
  for (let tries = 0; tries < 100; tries += 1) {
    const answer = await served.send(request);
    if (answer.status !== 503) return answer;
    await delay(20);
  }
  throw new Error('only 503');
}

/** A login, a rotation, a replay, a reuse and a logout, and what must come of them whatever happens between. */
async function live({ ground, served }: Place, send: Send): Promise<void> {
  const login = await send(loginRequest());
  expect(login.status).toBe(200);
  const session = sessionOf(login.text);
  const rotated = await send(refreshRequest(session, 'a-key'));
  expect(rotated.status).toBe(200);
  const second = sessionOf(rotated.text);
  expect(second.generation).toBe(1);
  const replayed = await send(refreshRequest(session, 'a-key'));
  expect(sessionOf(replayed.text).refreshToken).toBe(second.refreshToken);
  const reuse = await send(refreshRequest(session, 'another-key'));
  expect(reuse.text).toMatch(/"(reused|revoked)"/);
  expect(await saidOnAllPaths(served, ground.api, second)).toEqual(REVOKED);
  const other = sessionOf((await send(loginRequest())).text);
  expect((await send(post('/logout', { refresh_token: other.refreshToken }))).status).toBe(204);
  expect(await saidOnAllPaths(served, ground.api, other)).toEqual(REVOKED);
}

async function expectSound({ ground, served }: Place): Promise<void> {
  await untilPoolIs(ground, POOL);
  expect(served.said()).not.toContain('unforeseen');
}

/** Statements that decide. */
const STATEMENTS: readonly [name: string, statement: RegExp][] = [
  ['the update of a rotation', /with clock as materialized/],
  ['begin', /^begin;/],
  ['the update of a family', /update "token_families"/],
  ['the insertion of a family', /insert into "token_families"/],
  ['commit', /^commit/],
];

describe.each<CutHow>(['ended', 'half closed'])('Q14: the connection is %s', (how) => {
  test.each<CutAt>(['statement', 'answer'])('at the %s of each statement that decides, of each request', async (at) => {
    const place = await makePlace();
    for (const [name, statement] of STATEMENTS) {
      await inCase(name, async () => {
        let isCut = false;
        await live(place, async (request) => {
          const disarm = place.proxy.arm({ statement, at, how });
          const answer = await untilAnswered(place.served, request);
          isCut = disarm().isCut || isCut;
          return answer;
        });
        expect(isCut).toBe(true);
      });
    }
    await expectSound(place);
  });
});

/** All that belongs to a change. What is read besides, once a second, is read or not. */
const OF_A_CHANGE = /^(begin;|commit|with |insert |update |select .* for update)/;

/** In CI, of each kind. A swallowed one costs the patience of a statement, 6 s. */
const POINTS: Readonly<Record<CutHow, number>> = { ended: 3, 'half closed': 3, swallowed: 1 };

test.each<CutHow>(['ended', 'half closed', 'swallowed'])(
  'N6: the connection is %s at each statement of a life, one after another',
  async (how) => {
    const place = await makePlace();
    const armed = async (cut: Cut & { nth: number }): Promise<{ isCut: boolean; matched: number }> => {
      let isCut = false;
      let matched = 0;
      await live(place, async (request) => {
        // What is asked between two requests, to see what has come of them, is not cut.
        const disarm = isCut ? () => ({ isCut, matched: 0 }) : place.proxy.arm({ ...cut, nth: cut.nth - matched });
        const answer = await untilAnswered(place.served, request);
        const done = disarm();
        isCut = done.isCut;
        matched += done.matched;
        return answer;
      });
      return { isCut, matched };
    };
    const never = { statement: OF_A_CHANGE, at: 'statement', nth: Number.POSITIVE_INFINITY } as const;
    const { matched } = await armed(never);
    expect(matched).toBeGreaterThan(10);
    const all = (['statement', 'answer'] as const).flatMap((at) =>
      Array.from({ length: matched }, (_, index) => ({ statement: OF_A_CHANGE, at, how, nth: index + 1 })),
    );
    const points = someOf(all, POINTS[how], how.length);
    for (const cut of points) {
      await inCase(`${cut.at} ${cut.nth} of ${matched}`, async () => expect((await armed(cut)).isCut).toBe(true));
    }
    tell(`connections ${how}: ${points.length} of ${all.length} points`);
    await expectSound(place);
  },
);
