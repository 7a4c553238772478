/**
 * People who come and go beside a load: they log in, refresh a few times, and stay, log out, are caught with a spent token,
 * or are revoked by command. All of it is recorded for the history checker.
 */
import { expect } from 'vitest';
import type { Entry } from '../../scripts/fire/history.ts';
import { entryOf, recorded, refreshRequest, type Session, sessionOf } from '../../scripts/fire/load.ts';
import { type Chance, makeChance } from '../../scripts/fire/random.ts';
import { openWire, post, type Wire } from '../../scripts/fire/wire.ts';
import { type Ground, loginRequest } from './ground.ts';

/** What each family was given, by generation. */
export type Known = Map<string, Session[]>;

export interface VisitorOptions {
  readonly ground: Ground;
  readonly port: number;
  readonly seed: number;
  readonly history: Entry[];
  /** Told of each pair that came. */
  readonly remember: (session: Session) => void;
}

/** At once: each costs a hash of a password. */
const VISITORS = 2;
const ROTATIONS = 3;

class Visitor {
  readonly #options: VisitorOptions;
  readonly #wire: Wire;
  readonly #chance: Chance;

  constructor(options: VisitorOptions, index: number) {
    this.#options = options;
    this.#wire = openWire(options.port);
    this.#chance = makeChance(options.seed * 100 + index + 1);
  }

  async login(): Promise<Session> {
    const { history, remember } = this.#options;
    for (;;) {
      const started = performance.now();
      const answer = await this.#wire.send(loginRequest());
      // A hash takes as long as the machine has others to do.
      if (answer.status === 503) continue;
      expect(answer).toMatchObject({ status: 200 });
      const session = sessionOf(answer.text);
      const question = { kind: 'login', family: session.family, generation: -1, isObedient: true } as const;
      history.push(entryOf(question, answer, { started, ended: performance.now() }));
      remember(session);
      return session;
    }
  }

  async visit(): Promise<void> {
    const first = await this.login();
    let session = first;
    for (let left = this.#chance.below(ROTATIONS); left > 0; left -= 1) session = await this.#rotate(session);
    const ends = [
      () => undefined,
      () => this.#logout(session),
      async () => this.#reuse(first, first === session ? await this.#rotate(session) : session),
      () => this.#revoke(session),
    ];
    await ends[this.#chance.below(ends.length)]?.();
  }

  close(): void {
    this.#wire.close();
  }

  async #rotate(session: Session): Promise<Session> {
    const { family, generation } = session;
    const question = { kind: 'refresh', family, generation, isObedient: true } as const;
    const request = refreshRequest(session, this.#chance.hex(32));
    const answer = await recorded(this.#options.history, this.#wire, question, request);
    expect(answer).toMatchObject({ status: 200 });
    const next = sessionOf(answer?.text ?? '');
    this.#options.remember(next);
    return next;
  }

  async #logout({ family, generation, refreshToken }: Session): Promise<void> {
    const question = { kind: 'end', family, generation, isObedient: true } as const;
    const request = post('/logout', { refresh_token: refreshToken });
    expect(await recorded(this.#options.history, this.#wire, question, request)).toMatchObject({ status: 204 });
  }

  /** Of one that has gone on since, and without a key: nobody who keeps the rules does that. */
  async #reuse(spent: Session, { family }: Session): Promise<void> {
    const question = { kind: 'refresh', family, generation: spent.generation, isObedient: false } as const;
    const answer = await recorded(this.#options.history, this.#wire, question, refreshRequest(spent));
    expect(answer).toMatchObject({ status: 401, text: expect.stringContaining('"reused"') });
  }

  async #revoke({ family, generation }: Session): Promise<void> {
    const { ground, history } = this.#options;
    const started = performance.now();
    const { code, stderr } = await ground.run('revoke', family, '--yes');
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    // Done, as a logout would say it.
    const done = { status: 204, head: '', text: '' };
    const question = { kind: 'end', family, generation, isObedient: true } as const;
    history.push(entryOf(question, done, { started, ended: performance.now() }));
  }
}

export interface Visitors {
  /** Those who are there finish, and no more come. @throws when one met what it must not */
  finish(): Promise<void>;
}

/** They come one after another, until they are finished. */
export function startVisitors(options: VisitorOptions): Visitors {
  let isOver = false;
  const visitors = Array.from({ length: VISITORS }, (_, index) => new Visitor(options, index));
  const running = visitors.map(async (visitor) => {
    try {
      while (!isOver) await visitor.visit();
    } finally {
      visitor.close();
    }
  });
  // Whoever waits for them hears of it.
  for (const one of running) one.catch(() => undefined);
  return {
    async finish() {
      isOver = true;
      await Promise.all(running);
    },
  };
}

/** So many who log in, and stay. */
export async function logIn(options: VisitorOptions, count: number): Promise<Session[]> {
  const visitor = new Visitor(options, VISITORS);
  const sessions: Session[] = [];
  while (sessions.length < count) sessions.push(await visitor.login());
  visitor.close();
  return sessions;
}
