/**
 * Follows the revocation feed (contract §11): by a request that waits for news, then the next. It asks only while somebody
 * asks it: what nobody has used for `maxStaleness` lets go, keeps neither the server busy nor the process alive, and catches
 * up at the next question. Ages are told by both clocks, because one stands still while a machine sleeps, and people set the other.
 */
import { FeedFault, newsOf, type Revocations } from './revocations.ts';
import { atMost, backoff, later, monotonic, quietPause, wallClock } from './timing.ts';

export interface FeedOptions {
  /** The address of the auth server, without a slash at its end. */
  readonly url: string;
  readonly authorization: string;
  readonly maxStalenessMs: number;
}

export interface Feed {
  /** Resolves at once while the feed is heard, or known not to be; else after an attempt to hear it, soon. Never rejects. */
  ready(): Promise<void>;
  isStale(): boolean;
  /** Why the last request failed; undefined after one that did not. */
  fault(): string | undefined;
  close(): void;
}

/** The longest `wait` that the server grants. */
const LONGEST_WAIT_MS = 5_000;
/** The whole live set can be long. Until it is read to its end it counts for nothing. */
const BODY_LIMIT_MS = 60_000;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 2_000;
/** After an answer without news that did not wait for any: a server that stops, or a proxy that does not understand. */
const BREATH_MS = 250;

const within = (least: number, value: number, most: number): number => Math.max(least, Math.min(value, most));

async function refusal(response: Response): Promise<FeedFault> {
  const { error } = ((await response.json().catch(() => null)) ?? {}) as { readonly error?: unknown };
  const code = typeof error === 'string' && /^[a-z_]{1,40}$/.test(error) ? ` ${error}` : '';
  const remedy = response.status === 401 ? '; look at clientId and clientSecret' : '';
  return new FeedFault(`the revocation feed answers ${response.status}${code}${remedy}`);
}

/** A moment by both clocks. */
interface Moment {
  readonly monotonic: number;
  readonly wall: number;
}

const ageOf = ({ monotonic: start, wall }: Moment): number => Math.max(monotonic() - start, wallClock() - wall);

interface Asking extends FeedOptions {
  readonly request: AbortController;
  /** For news, at the server. */
  readonly waitMs: number;
  /** For an answer, beyond that. */
  readonly patienceMs: number;
}

/** One request. @returns when the answer came, and how many entries were in it @throws FeedFault, or an error of the engine */
async function ask(revocations: Revocations, asking: Asking): Promise<{ heard: Moment; count: number }> {
  const { url, authorization, request, waitMs, patienceMs } = asking;
  const cursor = revocations.cursor();
  const after = cursor === undefined ? '' : `after=${encodeURIComponent(cursor)}&`;
  let cancel = later(waitMs + patienceMs, () => request.abort());
  try {
    const response = await fetch(`${url}/revocations?${after}wait=${waitMs}ms`, {
      headers: { authorization, accept: 'application/json' },
      redirect: 'error',
      cache: 'no-store',
      signal: request.signal,
    });
    if (response.status !== 200) throw await refusal(response);
    const heard = { monotonic: monotonic(), wall: wallClock() };
    cancel();
    cancel = later(BODY_LIMIT_MS, () => request.abort());
    const news = newsOf(await response.json());
    const date = Date.parse(response.headers.get('date') ?? '');
    revocations.learn(news, Number.isNaN(date) ? heard.wall : date);
    return { heard, count: news.entries.length };
  } finally {
    cancel();
  }
}

/** Begins with the first question. */
export function makeFeed(revocations: Revocations, options: FeedOptions): Feed {
  const { maxStalenessMs } = options;
  const longWaitMs = Math.floor(within(100, maxStalenessMs / 2, LONGEST_WAIT_MS));
  const patienceMs = within(500, maxStalenessMs / 4, 3_000);

  let lastHeard: Moment | undefined;
  let failures = 0;
  let fault: string | undefined;
  /** By the monotonic clock, as the next. */
  let questionAt = Number.NEGATIVE_INFINITY;
  let notBefore = Number.NEGATIVE_INFINITY;
  let isClosed = false;
  let isFollowing = false;
  /** The request that waits for news. */
  let waiting: AbortController | undefined;
  let catchingUp: Promise<void> | undefined;

  const isStale = (): boolean => isClosed || lastHeard === undefined || ageOf(lastHeard) > maxStalenessMs;

  /** Never rejects. */
  async function attempt(request: AbortController, waitMs: number): Promise<void> {
    const began = monotonic();
    try {
      const { heard, count } = await ask(revocations, { ...options, request, waitMs, patienceMs });
      lastHeard = heard;
      failures = 0;
      fault = undefined;
      const isEarly = count === 0 && monotonic() - began < waitMs / 2;
      if (isEarly) notBefore = monotonic() + Math.min(BREATH_MS, maxStalenessMs / 4);
    } catch (error) {
      // Given up for a question that could not wait, or because nobody asks any more.
      if (isClosed || (waiting !== request && waitMs > 0)) return;
      failures += 1;
      fault = error instanceof FeedFault ? error.message : 'the auth server cannot be reached';
      notBefore = monotonic() + backoff(failures, FIRST_PAUSE_MS, Math.min(LONGEST_PAUSE_MS, maxStalenessMs / 2));
    }
  }

  /** One request that does not wait for news, for any number who do not want to wait either. */
  function catchUp(): Promise<void> {
    if (isClosed || (catchingUp === undefined && monotonic() < notBefore)) return Promise.resolve();
    const given = waiting;
    waiting = undefined;
    given?.abort();
    catchingUp ??= attempt(new AbortController(), 0).finally(() => {
      catchingUp = undefined;
    });
    return catchingUp;
  }

  async function waitForNews(): Promise<void> {
    waiting = new AbortController();
    await attempt(waiting, longWaitMs);
    waiting = undefined;
  }

  async function follow(): Promise<void> {
    isFollowing = true;
    while (!isClosed && monotonic() - questionAt < maxStalenessMs) {
      const delay = notBefore - monotonic();
      if (delay > 0) await quietPause(delay);
      else if (catchingUp !== undefined || isStale()) await catchUp();
      else await waitForNews();
    }
    isFollowing = false;
  }

  return {
    ready() {
      questionAt = monotonic();
      // Whoever asks while the server is known to be away is not held up for it.
      const isAway = isFollowing && failures > 0;
      const caughtUp = isStale() && !isAway ? atMost(patienceMs, catchUp()) : Promise.resolve();
      if (!isFollowing && !isClosed) void follow();
      return caughtUp;
    },
    isStale,
    fault: () => fault,
    close() {
      isClosed = true;
      waiting?.abort();
    },
  };
}
