/**
 * Clients that keep the rules, by the dozen: each refreshes in a loop, with a fresh key for each generation, and repeats
 * the same request until it is answered. Everything sent and answered is recorded for the history checker.
 */
import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Entry } from './history.ts';
import { type Chance, makeChance } from './random.ts';
import { type Answer, openWire, post, Unanswered, type Wire } from './wire.ts';

/** What a client holds: the newest pair of a family. */
export interface Session {
  readonly family: string;
  readonly generation: number;
  readonly accessToken: string;
  readonly refreshToken: string;
}

export interface LoadOptions {
  /** Each request goes to one of them, by chance. */
  readonly ports: readonly number[];
  readonly sessions: readonly Session[];
  readonly seed: number;
  /** `Authorization` of a resource server: every eighth answer is verified. */
  readonly resourceServer?: string;
  /** Between two requests of a client, ms. */
  readonly pause?: number;
  /** Told of each successor that came. */
  readonly onRotated?: (session: Session) => void;
}

/** Runs until `finish`; a refusal stops it, and is thrown there. */
export interface Load {
  readonly history: readonly Entry[];
  /** The sessions as they are now. */
  sessions(): readonly Session[];
  /** Rotations that were answered. */
  rotations(): number;
  /** Until so many more rotations were answered. @throws when they do not come */
  more(rotations: number): Promise<void>;
  /** Every client gets an answer to what it has asked for, and refreshes once more. @throws when one cannot */
  finish(): Promise<void>;
  /** How many answers of each status (0: none came), and the slowest. */
  tally(): { readonly statuses: Readonly<Record<string, number>>; readonly slowestMs: number };
  /** Requests whose answer began and did not end. */
  broken(): number;
  summary(): string;
}

const limits = {
  /** Before a request is repeated, ms. */
  retry: 30,
  /** Repetitions of one request, and waiting for all, ms. */
  patience: 120_000,
} as const;

const VERIFY_ONE_IN = 8;

/** @param text the body of an answer of `/login` or `/refresh` with 200 */
export function sessionOf(text: string): Session {
  const body: { access_token: string; refresh_token: string; session_id: string } = JSON.parse(text);
  const payload = Buffer.from(body.refresh_token.split('.')[1] ?? '', 'base64url').toString();
  const { gen }: { gen: number } = JSON.parse(payload);
  return {
    family: body.session_id,
    generation: gen,
    accessToken: body.access_token,
    refreshToken: body.refresh_token,
  };
}

/** @param key `Idempotency-Key`; none without */
export const refreshRequest = ({ accessToken, refreshToken }: Session, key?: string): string =>
  post(
    '/refresh',
    { access_token: accessToken, refresh_token: refreshToken },
    key === undefined ? {} : { 'Idempotency-Key': key },
  );

const hashOf = (token: string): string => createHash('sha256').update(token).digest('base64url');

/** What a request is, before it is answered. */
export type Question = Pick<Entry, 'kind' | 'family' | 'generation' | 'isObedient'>;

/** Sends one request and records it. @returns undefined when no answer came */
export async function recorded(
  history: Entry[],
  wire: Wire,
  question: Question,
  request: string,
): Promise<Answer | undefined> {
  const started = performance.now();
  try {
    const answer = await wire.send(request);
    history.push(entryOf(question, answer, { started, ended: performance.now() }));
    return answer;
  } catch (error) {
    if (!(error instanceof Unanswered)) throw error;
    const ended = performance.now();
    history.push({ ...entryOf(question, undefined, { started, ended }), wasCut: error.received > 0 });
    return undefined;
  }
}

/** @param answer undefined when none came, whenever that was known */
export function entryOf(
  question: Question,
  answer: Answer | undefined,
  { started, ended }: Pick<Entry, 'started' | 'ended'>,
): Entry {
  const base = { ...question, started, reason: undefined, received: undefined, isActive: false };
  return answer === undefined
    ? { ...base, ended: Number.POSITIVE_INFINITY, status: 0 }
    : { ...base, ended, status: answer.status, ...meaning(question, answer) };
}

function meaning({ kind }: Question, { status, text }: Answer): Partial<Entry> {
  if (text === '') return {};
  const body: { reason?: string; active?: boolean } = JSON.parse(text);
  if (kind === 'verify') return { isActive: body.active === true };
  if (status !== 200) return { reason: body.reason };
  const { refreshToken, generation } = sessionOf(text);
  return { received: { hash: hashOf(refreshToken), generation } };
}

class Client {
  session: Session;
  readonly #wires: readonly Wire[];
  readonly #chance: Chance;
  readonly #history: Entry[];
  readonly #resourceServer: string | undefined;
  readonly #onRotated: ((session: Session) => void) | undefined;

  constructor(options: LoadOptions, index: number, session: Session, history: Entry[]) {
    this.session = session;
    this.#wires = options.ports.map(openWire);
    this.#chance = makeChance(options.seed * 1_000 + index);
    this.#history = history;
    this.#resourceServer = options.resourceServer;
    this.#onRotated = options.onRotated;
  }

  /** One rotation, however often it has to be asked for. @throws when it is refused */
  async rotate(): Promise<void> {
    const { family, generation } = this.session;
    const request = refreshRequest(this.session, this.#chance.hex(32));
    const limit = performance.now() + limits.patience;
    for (;;) {
      const answer = await this.#send({ kind: 'refresh', family, generation, isObedient: true }, request);
      if (answer?.status === 200) {
        this.session = sessionOf(answer.text);
        this.#onRotated?.(this.session);
        break;
      }
      if (answer !== undefined && answer.status !== 503) throw new Error(`${family}: ${answer.status} ${answer.text}`);
      if (performance.now() > limit) throw new Error(`${family}: no answer to generation ${generation} in time`);
      await delay(limits.retry);
    }
    if (this.#resourceServer !== undefined && this.#chance.below(VERIFY_ONE_IN) === 0) await this.#verify();
  }

  async #verify(): Promise<void> {
    const { family, generation, accessToken } = this.session;
    const headers = { Authorization: this.#resourceServer ?? '' };
    const question = { kind: 'verify', family, generation, isObedient: true } as const;
    await this.#send(question, post('/verify', { token: accessToken }, headers));
  }

  async #send(question: Question, request: string): Promise<Answer | undefined> {
    const wire = this.#wires[this.#chance.below(this.#wires.length)];
    if (wire === undefined) throw new Error('a load needs a server');
    return recorded(this.#history, wire, question, request);
  }

  close(): void {
    for (const wire of this.#wires) wire.close();
  }
}

/** Each session is a client of its own, with one connection to each port. */
export function startLoad(options: LoadOptions): Load {
  const history: Entry[] = [];
  const refused: Error[] = [];
  const clients = options.sessions.map((session, index) => new Client(options, index, session, history));
  let rotated = 0;
  let isOver = false;

  async function run(client: Client): Promise<void> {
    while (!isOver && refused.length === 0) {
      await client.rotate();
      rotated += 1;
      if (options.pause !== undefined) await delay(options.pause);
    }
  }

  const running = clients.map((client) =>
    run(client).catch((error: unknown) => {
      refused.push(error instanceof Error ? error : new Error(String(error)));
    }),
  );

  function tally(): ReturnType<Load['tally']> {
    const statuses: Record<string, number> = {};
    let slowestMs = 0;
    for (const { status, started, ended } of history) {
      statuses[status] = (statuses[status] ?? 0) + 1;
      if (Number.isFinite(ended)) slowestMs = Math.max(slowestMs, ended - started);
    }
    return { statuses, slowestMs };
  }

  return {
    history,
    sessions: () => clients.map(({ session }) => session),
    rotations: () => rotated,
    async more(rotations) {
      const goal = rotated + rotations;
      const limit = performance.now() + limits.patience;
      while (rotated < goal && refused.length === 0) {
        if (performance.now() > limit) throw new Error(`only ${rotated} of ${goal} rotations came in time`);
        await delay(1);
      }
    },
    async finish() {
      isOver = true;
      await Promise.all(running);
      if (refused.length > 0) throw new AggregateError(refused, refused.map(({ message }) => message).join('\n'));
      await Promise.all(clients.map((client) => client.rotate()));
      for (const client of clients) client.close();
    },
    tally,
    broken: () => history.filter(({ wasCut }) => wasCut === true).length,
    summary() {
      const { statuses, slowestMs } = tally();
      const answers = Object.entries(statuses).map(
        ([status, count]) => `${count} × ${status === '0' ? 'none' : status}`,
      );
      return `seed ${options.seed}: ${clients.length} clients, ${rotated} rotations, answers ${answers.join(', ')}, slowest ${Math.round(slowestMs)} ms`;
    },
  };
}
