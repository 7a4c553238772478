/**
 * Who finds nothing in a broken server has looked at nothing: copies of the program, each with one promise taken out of its
 * source, run under the same races and the same history checker, which must object.
 */
import { expect, test } from 'vitest';
import { type Entry, violationsOf } from '../../scripts/fire/history.ts';
import { recorded, refreshRequest, sessionOf } from '../../scripts/fire/load.ts';
import { openWire, post } from '../../scripts/fire/wire.ts';
import { type Ground, makeGround, SEED, type Served } from './ground.ts';
import { type Change, mutant } from './mutant.ts';
import { openRacers, race } from './races.ts';

/** A rotation that does not look whether the family is still where its token says. */
const NO_COMPARE_AND_SWAP: readonly Change[] = [
  {
    file: 'src/store/rotations.ts',
    from: 'where f.id = w.id and f.generation = w.generation and f.jti = w.jti and f.revoked_at is null',
    to: 'where f.id = w.id and f.revoked_at is null',
  },
];

/** Another successor for whoever asks again with the key. */
const NEW_SUCCESSOR_AT_REPLAY: readonly Change[] = [
  {
    file: 'src/operations/rotate.ts',
    from: "return { kind: 'replayed', family, now: tx.now };",
    to: 'return rotate(tx, { ...family }, request);',
  },
];

/** A logout that says so and leaves the family's row as it is. */
const REVOKE_LEAVES_THE_ROW: readonly Change[] = [
  {
    file: 'src/store/token-families.ts',
    from: '.set({ revoked_at: tx.now, revoke_reason: cause, revoke_note: note ?? null })',
    to: '.set({ revoke_note: note ?? null })',
  },
];

const rulesBroken = async (ground: Ground, history: readonly Entry[]): Promise<readonly string[]> => {
  const rows = await ground.query<{ id: string; generation: number | string }>(
    'select id, generation from token_families',
  );
  const stored = new Map(rows.map(({ id, generation }) => [id, Number(generation)]));
  return [...new Set(violationsOf(history, stored).map(({ rule }) => rule))].sort();
};

/** Races, a replay that came late, and a refresh after a logout: what a sound server passes without a violation. */
async function fire(served: Served): Promise<Entry[]> {
  const racers = await openRacers([served], 32);
  const { history } = racers;
  for (let round = 0; round < 6; round += 1) {
    await race(racers, await served.login(), round % 2 === 0 ? 'one' : 'none', SEED + round);
  }
  racers.close();
  const wire = openWire(served.port);
  const session = await served.login();
  const { family } = session;
  const refresh = async (of: typeof session, key?: string) =>
    recorded(
      history,
      wire,
      { kind: 'refresh', family, generation: of.generation, isObedient: false },
      refreshRequest(of, key),
    );
  const first = await refresh(session, 'a-key');
  await refresh(session, 'a-key');
  await recorded(
    history,
    wire,
    { kind: 'end', family, generation: 0, isObedient: true },
    post('/logout', { refresh_token: session.refreshToken }),
  );
  if (first?.status === 200) await refresh(sessionOf(first.text));
  // A thief, when the owner has gone on.
  const stolen = await served.login();
  const reuse = async () =>
    recorded(
      history,
      wire,
      { kind: 'refresh', family: stolen.family, generation: 0, isObedient: false },
      refreshRequest(stolen),
    );
  await reuse();
  await reuse();
  wire.close();
  return history;
}

test.each<[string, readonly Change[], readonly string[]]>([
  ['nothing is taken out', [], []],
  ['the compare-and-swap is dropped', NO_COMPARE_AND_SWAP, ['two successors']],
  ['a replay makes a new successor', NEW_SUCCESSOR_AT_REPLAY, ['two successors']],
  ['a revocation leaves the family as it is', REVOKE_LEAVES_THE_ROW, ['alive after its end']],
])('when %s, the checker says so', async (_, changes, rules) => {
  const ground = await makeGround('postgres');
  const served = await ground.start({ program: mutant(ground, changes) });
  expect(await rulesBroken(ground, await fire(served))).toEqual(expect.arrayContaining([...rules]));
  if (rules.length === 0) expect(await rulesBroken(ground, await fire(served))).toEqual([]);
});
