/**
 * What the tests of load stand on: many sessions without as many logins, and traffic over them, half refreshes by clients
 * that keep the rules and half questions of a resource server. Everything is recorded for the history checker.
 */

import { expect } from 'vitest';
import { type Ask, type Driven, drive } from '../../scripts/fire/drive.ts';
import { quantile } from '../../scripts/fire/figures.ts';
import type { Entry } from '../../scripts/fire/history.ts';
import { entryOf, type Question, refreshRequest, type Session, sessionOf } from '../../scripts/fire/load.ts';
import { makeChance } from '../../scripts/fire/random.ts';
import { post } from '../../scripts/fire/wire.ts';
import { type App, closeApp, openApp, systemClock } from '../../src/app.ts';
import { loadConfig } from '../../src/config/load.ts';
import { makeLog } from '../../src/log.ts';
import { issuePair } from '../../src/operations/issue.ts';
import { familyOf, storeFamilies } from '../support/test-app.ts';
import { type Ground, SEED, type Served } from './ground.ts';

/** What the command line would do, without its processes. No server needs to run. */
export async function withApp<T>(ground: Ground, work: (app: App) => Promise<T>): Promise<T> {
  const { config } = loadConfig({ flags: {}, env: {}, cwd: ground.folder });
  const log = makeLog({ level: 'error', format: 'json', now: systemClock.now, write: () => undefined });
  const app = await openApp({ config, log, schema: 'create' });
  try {
    return await work(app);
  } finally {
    await closeApp(app);
  }
}

/** As logins would have begun them. */
export const seedSessions = (ground: Ground, count: number): Promise<Session[]> =>
  withApp(ground, async (app) => {
    const ring = await app.keys.current();
    const sessions: Session[] = [];
    for (const id of await storeFamilies(
      app,
      Array.from({ length: count }, () => ({})),
    )) {
      const family = await familyOf(app, id);
      const pair = await issuePair(app, ring, family, { client: undefined, claims: {}, now: family.createdAt });
      sessions.push({ family: id, generation: 0, accessToken: pair.accessToken, refreshToken: pair.refreshToken });
    }
    return sessions;
  });

export interface Traffic {
  next(): Ask | undefined;
  readonly history: readonly Entry[];
  /** Answers that were neither 200 nor a refusal in the contract's words for a server with too much to do. */
  readonly unexpected: readonly string[];
  /** Requests without an answer, in a hundred: one that crosses the end of an idle connection is not refused but lost. */
  percentLost(): number;
}

interface Caller {
  session: Session;
  /** Of the generation that it holds, until that is rotated: a request that was refused is repeated as it was. */
  key: string;
}

const isOverloaded = (head: string, text: string): boolean =>
  /\r\nretry-after: 1(\r\n|$)/i.test(head) && text.includes('"overloaded"');

/** @param refreshes how many in a hundred requests */
export function makeTraffic(api: string, sessions: readonly Session[], refreshes = 50): Traffic {
  const chance = makeChance(SEED);
  const history: Entry[] = [];
  const unexpected: string[] = [];
  const callers: readonly Caller[] = sessions.map((session) => ({ session, key: chance.hex(32) }));
  const idle = [...callers];

  function judged(question: Question, request: string, onGranted: (text: string) => void, onEnd: () => void): Ask {
    return {
      kind: question.kind,
      request,
      answered(answer, started, ended) {
        history.push(entryOf(question, answer, { started, ended }));
        if (answer?.status === 200) onGranted(answer.text);
        else if (answer !== undefined && (answer.status !== 503 || !isOverloaded(answer.head, answer.text)))
          unexpected.push(`${answer.status} ${answer.text}`);
        onEnd();
      },
    };
  }

  function refresh(): Ask | undefined {
    const caller = idle.splice(chance.below(idle.length), 1)[0];
    if (caller === undefined) return undefined;
    const { family, generation } = caller.session;
    return judged(
      { kind: 'refresh', family, generation, isObedient: true },
      refreshRequest(caller.session, caller.key),
      (text) => {
        caller.session = sessionOf(text);
        caller.key = chance.hex(32);
      },
      () => idle.push(caller),
    );
  }

  function verify(): Ask | undefined {
    const caller = callers[chance.below(callers.length)];
    if (caller === undefined) return undefined;
    const { family, generation, accessToken } = caller.session;
    const request = post('/verify', { token: accessToken }, { Authorization: api });
    const onGranted = (text: string): void => {
      if (!text.startsWith('{"active":true')) unexpected.push(text);
    };
    return judged({ kind: 'verify', family, generation, isObedient: true }, request, onGranted, () => undefined);
  }

  return {
    next: () => (chance.below(100) < refreshes ? refresh() : verify()),
    history,
    unexpected,
    percentLost: () => (100 * history.filter(({ status }) => status === 0).length) / history.length,
  };
}

/** What most callers waited at the worst, ms. */
const p99 = ({ samples }: Driven): number =>
  quantile(
    samples.map(({ ms }) => ms),
    0.99,
  );

/** Steady traffic, of a rate that an idle machine does not feel. */
export const steady = (served: Served, traffic: Traffic, durationMs: number, perSecond = 100): Promise<Driven> =>
  drive({ port: served.port, connections: 32, perSecond, durationMs, next: traffic.next });

/** What a quiet machine may happen to need, ms: below it a ratio says nothing. */
const RESOLUTION = 100;

/**
 * The same callers, beside something and without it. What is held to is wide, as the machine may do other things too; what
 * was measured is told.
 */
export function expectUnhurt(quiet: Driven, beside: Driven, factor = 10): string {
  expect(p99(beside)).toBeLessThan(factor * Math.max(p99(quiet), RESOLUTION));
  return `p99 ${p99(quiet).toFixed(1)} ms quiet, ${p99(beside).toFixed(1)} ms beside it, ${(p99(beside) / p99(quiet)).toFixed(2)} times`;
}

/** Everything was granted, or refused as a server that has too much to do refuses. */
export function expectNothingElse(traffic: Traffic): void {
  expect(traffic.unexpected).toEqual([]);
  expect(traffic.percentLost()).toBeLessThan(1);
}
