/**
 * One life of token families at a real server, step by step as chance has it, and what the model says that each answer
 * must be. The clock is real, so what the next seconds could change is not asked.
 */
import fc from 'fast-check';
import { expect } from 'vitest';
import { refreshRequest, type Session, sessionOf } from '../../scripts/fire/load.ts';
import { type Answer, post } from '../../scripts/fire/wire.ts';
import { currentOf, holder, isActive, isLive, type ModelFamily, refreshed } from '../model/family-model.ts';
import { decodePart } from '../support/expectations.ts';
import type { Ground, Served } from './ground.ts';

export const PASSWORD = 'the password of every user';

/** Seconds; no sum of them comes near to what a token or a window lasts. */
const STEPS = [1, 433, 4_021, 90_007, 40 * 86_400 + 777, -3_607];

type Aimed = { readonly which: number; readonly behind: number };
export type Step =
  | { readonly kind: 'login' | 'rotate access keys' | 'rotate refresh keys' }
  | { readonly kind: 'clock'; readonly seconds: number }
  | ({ readonly kind: 'refresh' | 'race' | 'crash'; readonly key: string | null } & Aimed)
  | ({ readonly kind: 'repeat' | 'logout' | 'everywhere' | 'others' | 'sessions' | 'revoke' | 'verify' } & Aimed);

const which = fc.nat(7);
const behind = fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 0, 1, 2);
const key = fc.constantFrom<string | null>(null, 'a', 'b');
const plain = <Kind extends Step['kind']>(kind: Kind) => fc.record({ kind: fc.constant(kind) });
const aimed = <Kind extends Step['kind']>(kind: Kind) => fc.record({ kind: fc.constant(kind), which, behind });

/** @param hasClock whether the time of day can be moved */
export function lives(length: number, hasClock: boolean): fc.Arbitrary<Step[]> {
  const clock = fc.record({ kind: fc.constant('clock' as const), seconds: fc.constantFrom(...STEPS) });
  return fc.array(
    fc.oneof<fc.WeightedArbitrary<Step>[]>(
      { weight: 3, arbitrary: plain('login') },
      { weight: 14, arbitrary: fc.record({ kind: fc.constant('refresh'), which, behind, key }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('race'), which, behind: fc.constant(0), key }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash'), which, behind: fc.constant(0), key }) },
      { weight: 6, arbitrary: aimed('repeat') },
      ...(['logout', 'everywhere', 'others', 'revoke'] as const).map((kind) => ({ weight: 1, arbitrary: aimed(kind) })),
      ...(['sessions', 'verify'] as const).map((kind) => ({ weight: 2, arbitrary: aimed(kind) })),
      { weight: 1, arbitrary: plain('rotate access keys') },
      { weight: 1, arbitrary: plain('rotate refresh keys') },
      { weight: hasClock ? 4 : 0, arbitrary: clock },
    ),
    { minLength: length, maxLength: length },
  );
}

/** The server of these lives, which crashes now and then. */
export interface Scene {
  readonly ground: Ground;
  /** `Authorization` of an admin. */
  readonly admin: string;
  served: Served;
  /** Kills it and starts it again. */
  crash(): Promise<void>;
  /** Seconds from the real time. */
  offset: number;
  moveClock(offset: number): void;
}

interface World {
  readonly scene: Scene;
  readonly username: string;
  readonly families: ModelFamily[];
}

const SECOND = 1_000;
const nowOf = ({ offset }: Scene): number => Date.now() + offset * SECOND;

/** What is true now and stays true while a request is under way; undefined when that is not known. */
function certain<T>({ scene }: World, judge: (now: number) => T): T | undefined {
  const now = nowOf(scene);
  const before = judge(now - 2 * SECOND);
  return before === judge(now + 30 * SECOND) ? before : undefined;
}

function issue(family: ModelFamily, { accessToken, refreshToken }: Session, requestKey: string | null): void {
  const issuedAt = Number(decodePart(refreshToken, 'claims').iat) * SECOND;
  family.issued.push({ accessToken, refreshToken, issuedAt, key: requestKey });
}

interface Target {
  readonly family: ModelFamily;
  readonly generation: number;
}

/** Mostly a family that goes on: what has ended has little left to show. */
function target({ families }: World, aim: Aimed): Target | undefined {
  const live = families.filter(({ isRevoked }) => !isRevoked);
  const choice = aim.which < 7 && live.length > 0 ? live : families;
  const family = choice[aim.which % Math.max(1, choice.length)];
  return family && { family, generation: Math.max(0, family.issued.length - 1 - aim.behind) };
}

/** The key that signed it may be gone, a day after it could last have been used: then it is like any other text. */
const isForgotten = ({ scene }: World, { family, generation }: Target): boolean =>
  nowOf(scene) - (family.issued[generation]?.issuedAt ?? 0) > 91 * 86_400 * SECOND - 60 * SECOND;

const tokenOf = ({ family, generation }: Target): string => family.issued[generation]?.refreshToken ?? '';

const requestOf = (aim: Target, requestKey: string | null): string =>
  refreshRequest(
    {
      family: aim.family.sid,
      generation: aim.generation,
      accessToken: currentOf(aim.family).accessToken,
      refreshToken: tokenOf(aim),
    },
    requestKey ?? undefined,
  );

const reasonIn = ({ text }: Answer): string | undefined => (JSON.parse(text) as { reason?: string }).reason;

/** The answer to a refresh is what the model says it means. */
function judge(world: World, aim: Target, requestKey: string | null, answer: Answer): void {
  const { family, generation } = aim;
  const meaning = refreshed(family, generation, requestKey, nowOf(world.scene));
  if (meaning === 'expired' && isForgotten(world, aim)) {
    expect(['401 expired', '401 malformed']).toContain(`${answer.status} ${reasonIn(answer)}`);
    return;
  }
  const isGranted = meaning === 'rotated' || meaning === 'replayed';
  expect({ status: answer.status, reason: reasonIn(answer) }).toEqual(
    isGranted ? { status: 200, reason: undefined } : { status: 401, reason: meaning },
  );
  if (!isGranted) return;
  const session = sessionOf(answer.text);
  expect(session).toMatchObject({ family: family.sid, generation: generation + 1 });
  if (meaning === 'rotated') issue(family, session, requestKey);
  else expect(session.refreshToken).toBe(currentOf(family).refreshToken);
}

const foreseen = (world: World, { family, generation }: Target, requestKey: string | null): string | undefined =>
  certain(world, (now) => refreshed({ ...family }, generation, requestKey, now));

async function refresh(world: World, aim: Target, requestKey: string | null, times = 1): Promise<void> {
  if (foreseen(world, aim, requestKey) === undefined) return;
  const request = requestOf(aim, requestKey);
  const answers = await Promise.all(Array.from({ length: times }, () => world.scene.served.send(request)));
  // Of those at once, in the order that explains them: granted ones first, refused ones last.
  const rank = (answer: Answer): number => (answer.status === 200 ? 0 : reasonIn(answer) === 'reused' ? 1 : 2);
  for (const answer of answers.sort((left, right) => rank(left) - rank(right))) judge(world, aim, requestKey, answer);
}

/** The server dies with a request under way; asked again with its key, that is answered as if nothing had been. */
async function crash(world: World, aim: Target): Promise<void> {
  const requestKey = `crash-${aim.family.sid}-${aim.generation}`;
  if (foreseen(world, aim, requestKey) === undefined) return;
  const request = requestOf(aim, requestKey);
  const lost = world.scene.served.send(request).catch(() => undefined);
  await world.scene.crash();
  await lost;
  judge(world, aim, requestKey, await world.scene.served.send(request));
}

/** What needs the holder of a live session: its list, and the end of others. */
async function asHolder(world: World, aim: Target, kind: 'sessions' | 'others' | 'everywhere'): Promise<void> {
  const { families, scene } = world;
  const right = certain(world, (now) => holder(aim.family, aim.generation, now));
  const live = certain(world, (now) =>
    families
      .filter((family) => isLive(family, now))
      .map(({ sid }) => sid)
      .sort()
      .join(),
  );
  if (right === undefined || live === undefined || isForgotten(world, aim)) return;
  const body = { refresh_token: tokenOf(aim), ...(kind === 'sessions' ? {} : { [kind]: true }) };
  const answer = await scene.served.send(post(kind === 'sessions' ? '/sessions' : '/logout', body));
  if (right !== 'ok') return expect(reasonIn(answer)).toBe(right);
  expect(answer.status).toBe(kind === 'sessions' ? 200 : 204);
  if (kind === 'sessions') {
    const { sessions }: { sessions: { sid: string }[] } = JSON.parse(answer.text);
    return expect(
      sessions
        .map(({ sid }) => sid)
        .sort()
        .join(),
    ).toBe(live);
  }
  for (const family of families)
    if (live.includes(family.sid) && (kind === 'everywhere' || family !== aim.family)) family.isRevoked = true;
}

async function login({ scene, username, families }: World): Promise<void> {
  const { status, text } = await scene.served.send(post('/login', { username, password: PASSWORD }));
  expect({ status, text: status === 200 ? '' : text }).toEqual({ status: 200, text: '' });
  const session = sessionOf(text);
  const family: ModelFamily = { sid: session.family, createdAt: nowOf(scene), issued: [], isRevoked: false };
  issue(family, session, null);
  families.push(family);
}

async function asAdmin({ served, admin }: Scene, path: string, body: unknown): Promise<void> {
  expect((await served.send(post(path, body, { Authorization: admin }))).status).toBe(200);
}

async function act(world: World, step: Step): Promise<void> {
  const { scene } = world;
  if (step.kind === 'login') return login(world);
  if (step.kind === 'clock') return scene.moveClock(scene.offset + step.seconds);
  if (step.kind === 'rotate access keys') return asAdmin(scene, '/admin/v1/keys/rotate', { ring: 'access' });
  if (!('which' in step)) return asAdmin(scene, '/admin/v1/keys/rotate', { ring: 'refresh' });
  const aim = target(world, step);
  if (aim === undefined) return;
  const { family } = aim;
  switch (step.kind) {
    case 'refresh':
      return refresh(world, aim, step.key);
    case 'race':
      return refresh(world, aim, step.key, 3);
    case 'repeat':
      return refresh(world, { family, generation: Math.max(0, family.issued.length - 2) }, currentOf(family).key);
    case 'crash':
      return crash(world, aim);
    case 'logout':
      if (isForgotten(world, aim)) return;
      expect((await scene.served.send(post('/logout', { refresh_token: tokenOf(aim) }))).status).toBe(204);
      family.isRevoked = true;
      return;
    case 'revoke':
      await asAdmin(scene, '/admin/v1/revocations', { family: family.sid });
      family.isRevoked = true;
      return;
    case 'verify':
      return verify(world, family);
    default:
      return asHolder(world, aim, step.kind);
  }
}

async function verify(world: World, family: ModelFamily): Promise<void> {
  const active = certain(world, (now) => isActive(family, now));
  if (active === undefined) return;
  const { ground, served } = world.scene;
  const question = post('/verify', { token: currentOf(family).accessToken }, { Authorization: ground.api });
  expect(JSON.parse((await served.send(question)).text)).toMatchObject({ active });
}

/** The tables say what the model says. */
async function compare({ scene, families }: World): Promise<void> {
  const rows = await scene.ground.query<{ id: string; generation: number | string; revoked_at: unknown }>(
    'select id, generation, revoked_at from token_families',
  );
  const stored = new Map(rows.map((row) => [row.id, `${row.generation} ${row.revoked_at !== null}`]));
  for (const { sid, issued, isRevoked } of families) expect(stored.get(sid)).toBe(`${issued.length - 1} ${isRevoked}`);
}

/** @returns how many generations there were. @throws at the first answer that is not the model's */
export async function live(scene: Scene, username: string, steps: readonly Step[]): Promise<number> {
  const world: World = { scene, username, families: [] };
  await login(world);
  for (const step of steps) {
    await act(world, step);
    await compare(world);
  }
  return world.families.reduce((sum, { issued }) => sum + issued.length, 0);
}
