/**
 * Many requests with one token at the same moment, and what must come of them: one successor, whichever way they are
 * asked. Shared by the tests of the races and by those that set it on a broken server.
 */
import { expect } from 'vitest';
import type { Entry } from '../../scripts/fire/history.ts';
import { recorded, refreshRequest, type Session, sessionOf } from '../../scripts/fire/load.ts';
import { makeChance } from '../../scripts/fire/random.ts';
import { type Answer, openWire, type Wire } from '../../scripts/fire/wire.ts';
import type { Served } from './ground.ts';

/** How the requests of a race name themselves. */
export type Keys = 'none' | 'one' | 'mixed';

export interface Racers {
  readonly wires: readonly Wire[];
  readonly history: Entry[];
  close(): void;
}

/** @param servers the connections go to them by turns */
export async function openRacers(servers: readonly Served[], count: number): Promise<Racers> {
  const wires = Array.from({ length: count }, (_, index) => openWire(servers[index % servers.length]?.port ?? 0));
  // Connected beforehand, so that the requests themselves are at once.
  await Promise.all(wires.map((wire) => wire.send('GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')));
  return {
    wires,
    history: [],
    close: () => {
      for (const wire of wires) wire.close();
    },
  };
}

/** @returns the distinct refresh tokens that came back, and the answers */
export async function race(
  { wires, history }: Racers,
  session: Session,
  keys: Keys,
  seed: number,
): Promise<{ successors: Session[]; answers: Answer[] }> {
  const chance = makeChance(seed);
  const key = chance.hex(32);
  const keyOf = (): string | undefined =>
    keys === 'none' ? undefined : keys === 'one' || chance.below(2) === 0 ? key : chance.hex(32);
  const { family, generation } = session;
  const answers = await Promise.all(
    wires.map((wire) =>
      recorded(
        history,
        wire,
        { kind: 'refresh', family, generation, isObedient: keys === 'one' },
        refreshRequest(session, keyOf()),
      ),
    ),
  );
  const came = answers.filter((answer) => answer !== undefined);
  const won = came.filter(({ status }) => status === 200).map(({ text }) => sessionOf(text));
  const successors = [...new Map(won.map((one) => [one.refreshToken, one])).values()];
  return { successors, answers: came };
}

/** What N4 asks of one race. */
export function expectOneSuccessor(keys: Keys, count: number, result: Awaited<ReturnType<typeof race>>): Session {
  const { successors, answers } = result;
  expect(successors).toHaveLength(1);
  const won = answers.filter(({ status }) => status === 200).length;
  if (keys === 'none') expect(won).toBe(1);
  if (keys === 'one') expect(won).toBe(count);
  expect(answers.filter(({ status }) => status !== 200 && status !== 401)).toEqual([]);
  const [successor] = successors;
  if (successor === undefined) throw new Error('there is a successor');
  return successor;
}
