/**
 * How a story is told: who does what, when, what the server says, and whether that is what was promised. It stands apart
 * from the stories because it judges them.
 */
import { type Answer, CREDENTIALS, type World } from './world.ts';

export interface Step {
  /** `4:00` since the beginning. */
  readonly at: string;
  readonly who: string;
  readonly does: string;
  readonly verdict: string;
  /** What was promised; the verdict, if all is well. */
  readonly promised: string;
}

/** A token pair that somebody holds, and where they hold it. */
export interface Pair {
  readonly access: string;
  readonly refresh: string;
  readonly generation: number;
}

export interface Person {
  readonly name: string;
  readonly ip: string;
}

/** Owner of the session. Addresses of both are from blocks for documentation (RFC 5737). */
export const ALICE: Person = { name: 'alice', ip: '203.0.113.9' };
/** Comes from another address; whether that is seen is part of some verdicts. */
export const THIEF: Person = { name: 'thief', ip: '198.51.100.66' };

/** Every method but `at` tells a step. */
export interface Story {
  readonly world: World;
  readonly steps: readonly Step[];
  /** Moves the clock to so many minutes and seconds after the beginning. */
  at(minutes: number, seconds?: number): void;
  login(who: Person): Promise<Pair>;
  /** @returns the new pair; undefined when the server refused */
  refresh(who: Person, pair: Pair, options: Presenting): Promise<Pair | undefined>;
  verify(pair: Pair, promised: string): Promise<void>;
  logout(who: Person, pair: Pair): Promise<void>;
  /** Something that no server answers. */
  note(who: string, does: string, verdict: string): void;
  /** A fact about what was answered. */
  expect(isSo: boolean, who: string, does: string, promised: string): void;
}

/** What a refresh is to bring, and under which `Idempotency-Key`. */
export interface Presenting {
  readonly promised: string;
  readonly key?: string;
  /** `presents 0` unless there is more to say. */
  readonly does?: string;
}

/** @param onStep is told of each step at once, kept promises and broken ones alike */
export function tellStory(world: World, onStep: (step: Step) => void): Story {
  const steps: Step[] = [];
  const tell = (who: string, does: string, verdict: string, promised: string): void => {
    const step = { at: clockText(world.elapsed()), who, does, verdict, promised };
    steps.push(step);
    onStep(step);
  };
  const refusal = async (answer: Answer): Promise<string> =>
    answer.body.reason === 'reused' ? `REUSED (${await world.lastReuse()})` : refusalText(answer);
  return {
    world,
    steps,
    at(minutes, seconds = 0) {
      world.advance(Math.max(0, (minutes * 60 + seconds) * 1000 - world.elapsed()));
    },
    async login(who) {
      const answer = await world.post('/login', CREDENTIALS, who);
      const pair = pairOf(answer);
      tell(
        who.name,
        'logs in',
        pair === undefined ? refusalText(answer) : `generation ${pair.generation}`,
        'generation 0',
      );
      if (pair === undefined) throw new Error('the story cannot go on without a login');
      return pair;
    },
    async refresh(who, { access, refresh, generation }, { promised, key, does = `presents ${generation}` }) {
      const answer = await world.post('/refresh', { access_token: access, refresh_token: refresh }, { ...who, key });
      const pair = pairOf(answer);
      tell(who.name, does, pair === undefined ? await refusal(answer) : `generation ${pair.generation}`, promised);
      return pair;
    },
    async verify({ access }, promised) {
      const { body } = await world.verify(access);
      tell('api', 'verifies', body.active === true ? 'active' : `not active: ${body.reason}`, promised);
    },
    async logout(who, { refresh }) {
      const { status } = await world.post('/logout', { refresh_token: refresh }, who);
      tell(who.name, 'logs out', status === 204 ? 'ended' : String(status), 'ended');
    },
    note: (who, does, verdict) => tell(who, does, verdict, verdict),
    expect: (isSo, who, does, promised) => tell(who, does, isSo ? promised : `not: ${promised}`, promised),
  };
}

function clockText(elapsed: number): string {
  const seconds = Math.floor(elapsed / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

const refusalText = ({ status, body }: Answer): string => String(body.reason ?? body.error ?? status);

function pairOf({ status, body }: Answer): Pair | undefined {
  if (status !== 200) return undefined;
  const refresh = String(body.refresh_token);
  return { access: String(body.access_token), refresh, generation: generationOf(refresh) };
}

/** Only to tell the story: a client has no business in there. */
function generationOf(token: string): number {
  const claims: { gen: number } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));
  return claims.gen;
}
