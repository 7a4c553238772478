/**
 * Random lives of token families against the model: logins, refreshes with and without keys, repetitions, reuses of any
 * age, logouts, revocations, key rotations and a clock that steps both ways. At each step the answer, the tables and the
 * events are what the model says, and no others; and nowhere is a token to be found. A failure prints its seed.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { FamilyId } from '../../src/domain/ids.ts';
import { rotateKeys } from '../../src/operations/keys.ts';
import { revoke } from '../../src/operations/revoke.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { decodePart, expectInvalidGrant } from '../support/expectations.ts';
import type { Answer } from '../support/http-client.ts';
import { type Pair, pairOf, startTestServer, type TestServer } from '../support/test-server.ts';
import { currentOf, holder, type Issued, isActive, isLive, type ModelFamily, refreshed } from './family-model.ts';

const DAY = 86_400_000;

type Command =
  | { readonly kind: 'login' }
  | { readonly kind: 'refresh' | 'race'; readonly which: number; readonly behind: number; readonly key: string | null }
  | {
      readonly kind: 'logout' | 'everywhere' | 'others' | 'sessions' | 'revoke' | 'verify' | 'repeat';
      readonly which: number;
      readonly behind: number;
    }
  | { readonly kind: 'rotate keys'; readonly ring: 'access' | 'refresh' }
  | { readonly kind: 'clock'; readonly ms: number };

const which = fc.nat(7);
const behind = fc.oneof(
  { weight: 12, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.constant(1) },
  fc.integer({ min: 2, max: 5 }),
);
const key = fc.constantFrom<string | null>(null, 'a', 'b');
const of = <Kind extends Command['kind']>(kind: Kind) => fc.record({ kind: fc.constant(kind), which, behind });

const commands = fc.array(
  fc.oneof<fc.WeightedArbitrary<Command>[]>(
    { weight: 2, arbitrary: fc.constant({ kind: 'login' }) },
    { weight: 14, arbitrary: fc.record({ kind: fc.constant('refresh'), which, behind, key }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('race'), which, behind: fc.constant(0), key }) },
    { weight: 6, arbitrary: of('repeat') },
    { weight: 1, arbitrary: of('logout') },
    { weight: 1, arbitrary: of('everywhere') },
    { weight: 1, arbitrary: of('others') },
    { weight: 1, arbitrary: of('revoke') },
    { weight: 2, arbitrary: of('sessions') },
    { weight: 3, arbitrary: of('verify') },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('rotate keys'), ring: fc.constantFrom('access', 'refresh') }),
    },
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant('clock'),
        ms: fc.oneof(
          fc.constantFrom(1, 1_000, 300_000, 3_600_000, 3_600_001, -3_600_000),
          fc.integer({ min: -DAY / 4, max: 40 * DAY }),
        ),
      }),
    },
  ),
  { minLength: 10, maxLength: 60, size: 'max' },
);

/** The clock may be wrong by this much: keys are remembered for a day longer than what they signed. */
const CLOCK_ERROR = DAY / 2;

interface World {
  readonly server: TestServer;
  readonly username: string;
  readonly families: ModelFamily[];
  /** Every token that was ever sent. */
  readonly sent: string[];
  /** What must have been recorded since the last look, as `type sid cause`. */
  expected: string[];
}

const now = (world: World): number => world.server.clock.now();

function issue(world: World, pair: Pair, requestKey: string | null): Issued {
  world.sent.push(pair.access_token, pair.refresh_token);
  return { refreshToken: pair.refresh_token, accessToken: pair.access_token, issuedAt: now(world), key: requestKey };
}

/** The family that a command means, and the generation; none before the first login. */
function target(world: World, command: { readonly which: number; readonly behind: number }) {
  const live = world.families.filter((family) => !family.isRevoked);
  // Mostly one that goes on: what has ended has little left to show.
  const choice = command.which < 7 && live.length > 0 ? live : world.families;
  const family = choice[command.which % Math.max(1, choice.length)];
  if (family === undefined) return undefined;
  const generation = Math.max(0, family.issued.length - 1 - command.behind);
  const issued = family.issued[generation] ?? currentOf(family);
  return { family, generation, issued };
}

/** What the request sent that made the current generation: sent again, it is a replay or too late. */
function rotatedLast(family: ModelFamily): Pick<Target, 'generation' | 'issued'> {
  const generation = Math.max(0, family.issued.length - 2);
  return { generation, issued: family.issued[generation] ?? currentOf(family) };
}

function end(world: World, family: ModelFamily, cause: string): void {
  if (family.isRevoked) return;
  family.isRevoked = true;
  world.expected.push(`family.revoked ${family.sid} ${cause}`);
}

type Target = NonNullable<ReturnType<typeof target>>;

/** The answer to one refresh is what the model says it means. */
function judge(world: World, { family, generation, issued }: Target, requestKey: string | null, answer: Answer): void {
  const wasRevoked = family.isRevoked;
  const meaning = refreshed(family, generation, requestKey, now(world));
  if (meaning === 'rotated') {
    const pair = pairOf(answer);
    expect(decodePart(pair.refresh_token, 'claims')).toMatchObject({ sid: family.sid, gen: generation + 1 });
    expect(world.sent).not.toContain(pair.refresh_token);
    family.issued.push(issue(world, pair, requestKey));
  } else if (meaning === 'replayed') {
    const pair = pairOf(answer);
    expect(pair.refresh_token).toBe(currentOf(family).refreshToken);
    expect(pair.access_token).not.toBe(currentOf(family).accessToken);
    world.sent.push(pair.access_token);
  } else {
    expectInvalidGrant(answer, meaning);
  }
  if (meaning === 'reused' && !wasRevoked) {
    world.expected.push(`token.reuse_detected ${family.sid} `, `family.revoked ${family.sid} reuse`);
  }
  expect(issued.refreshToken).toBe(family.issued[generation]?.refreshToken);
}

async function refresh(world: World, aim: Target, requestKey: string | null): Promise<void> {
  const { server } = world;
  const pair = { access_token: currentOf(aim.family).accessToken, refresh_token: aim.issued.refreshToken };
  judge(world, aim, requestKey, await server.tryRefresh(pair, requestKey === null ? {} : { key: requestKey }));
}

/** Three at once, judged in the order that explains their answers: granted ones first, refused ones last. */
async function race(world: World, aim: Target, requestKey: string | null): Promise<void> {
  const { server } = world;
  const pair = { access_token: aim.issued.accessToken, refresh_token: aim.issued.refreshToken };
  const once = (): Promise<Answer> => server.tryRefresh(pair, requestKey === null ? {} : { key: requestKey });
  const answers = await Promise.all([once(), once(), once()]);
  const rank = (answer: Answer): number => (answer.status === 200 ? 0 : answer.body.reason === 'reused' ? 1 : 2);
  for (const answer of answers.toSorted((left, right) => rank(left) - rank(right)))
    judge(world, aim, requestKey, answer);
}

/** Of all the subject's live sessions, or all but this one. */
async function endSessions(world: World, aim: Target, option: 'everywhere' | 'others'): Promise<void> {
  const { server, families } = world;
  const answer = await server.post('/logout', { refresh_token: aim.issued.refreshToken, [option]: true });
  const right = holder(aim.family, aim.generation, now(world));
  if (right !== 'ok') return expectInvalidGrant(answer, right);
  expect(answer.status).toBe(204);
  const ended = families.filter(
    (family) => isLive(family, now(world)) && (option === 'everywhere' || family !== aim.family),
  );
  for (const family of ended) end(world, family, 'logout');
}

async function listSessions(world: World, aim: Target): Promise<void> {
  const { server, families } = world;
  const answer = await server.post('/sessions', { refresh_token: aim.issued.refreshToken });
  const right = holder(aim.family, aim.generation, now(world));
  if (right !== 'ok') return expectInvalidGrant(answer, right);
  const listed = (answer.body.sessions as { sid: string }[]).map(({ sid }) => sid).sort();
  const live = families.filter((family) => isLive(family, now(world)));
  expect(listed).toEqual(live.map(({ sid }) => sid).sort());
}

async function login(world: World): Promise<void> {
  if (world.families.length >= 6) return;
  const pair = await world.server.login({ username: world.username });
  const family = { sid: pair.session_id, createdAt: now(world), issued: [issue(world, pair, null)], isRevoked: false };
  world.families.push(family);
  world.expected.push(`login.succeeded ${family.sid} `);
}

async function act(world: World, command: Command, latest: number): Promise<void> {
  const { server } = world;
  if (command.kind === 'login') return login(world);
  if (command.kind === 'clock') {
    server.clock.advance(Math.max(command.ms, latest - CLOCK_ERROR - now(world)));
    return;
  }
  if (command.kind === 'rotate keys') {
    await rotateKeys(server.app, command.ring);
    return;
  }
  const aim = target(world, command);
  if (aim === undefined) return;
  const { family, issued } = aim;
  switch (command.kind) {
    case 'refresh':
      return refresh(world, aim, command.key);
    case 'repeat':
      return refresh(world, { ...aim, ...rotatedLast(family) }, currentOf(family).key);
    case 'race':
      return race(world, aim, command.key);
    case 'everywhere':
    case 'others':
      return endSessions(world, aim, command.kind);
    case 'sessions':
      return listSessions(world, aim);
    case 'logout':
      expect((await server.post('/logout', { refresh_token: issued.refreshToken })).status).toBe(204);
      return end(world, family, 'logout');
    case 'revoke':
      await revoke(server.app, { which: { family: family.sid as FamilyId } });
      return end(world, family, 'admin');
    case 'verify':
      expect(await server.verify(currentOf(family).accessToken)).toMatchObject({
        active: isActive(family, now(world)),
      });
  }
}

/** The tables say what the model says, and every change has its event and no event lacks its change. */
async function compare(world: World): Promise<void> {
  for (const family of world.families) {
    const row = await world.server.family(family.sid);
    expect({ generation: row.generation, isRevoked: row.revoked !== null }).toEqual({
      generation: family.issued.length - 1,
      isRevoked: family.isRevoked,
    });
  }
  const recorded = (await world.server.events())
    .filter(({ type }) => !type.startsWith('key.'))
    .map(({ type, data }) => `${type} ${String(data.sid)} ${String(data.cause ?? '')}`);
  expect(recorded.sort()).toEqual(world.expected.sort());
  world.expected = [];
}

/** Nor any part by which one could be used: its signature is what a thief would need. */
async function expectNoTokens({ server, sent }: World): Promise<void> {
  const kept = JSON.stringify(await server.dump()) + server.log();
  expect(kept).not.toMatch(/eyJ[\w-]{10,}/);
  for (const token of sent) expect(kept).not.toContain(token.slice(token.lastIndexOf('.') + 1));
}

describeOnBothDatabases('any life of token families', (makeDatabase) => {
  test('is what the model says, step by step', { timeout: 120_000 }, async () => {
    const server = await startTestServer({ url: await makeDatabase() });
    let users = 0;
    await fc.assert(
      fc.asyncProperty(commands, async (played) => {
        users += 1;
        const username = `user-${users}`;
        await server.addUser(username);
        await server.events();
        const world: World = { server, username, families: [], sent: [], expected: [] };
        let latest = now(world);
        await login(world);
        for (const command of played) {
          await act(world, command, latest);
          latest = Math.max(latest, now(world));
          await compare(world);
        }
        await expectNoTokens(world);
      }),
      { numRuns: 30, endOnFailure: false },
    );
  });
});

test('the model itself: a reuse ends it, a replay does not', () => {
  const issued = (issuedAt: number, requestKey: string | null): Issued => ({
    refreshToken: '',
    accessToken: '',
    issuedAt,
    key: requestKey,
  });
  const family: ModelFamily = { sid: 'x', createdAt: 0, issued: [issued(0, null), issued(10, 'a')], isRevoked: false };
  expect(refreshed(family, 1, null, 20)).toBe('rotated');
  expect(refreshed(family, 0, 'a', 20)).toBe('replayed');
  expect(family.isRevoked).toBe(false);
  expect(refreshed(family, 0, 'b', 20)).toBe('reused');
  expect(refreshed(family, 0, 'a', 20)).toBe('revoked');
  expect(holder(family, 1, 20)).toBe('revoked');
});
