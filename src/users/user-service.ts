/**
 * One signed question to the user service and its answer as bytes allow it (contract §6). It stands alone because what
 * may go wrong between two machines is here, and nowhere else: a password travels once, to one place, and never again.
 */
import {
  type CircuitBreakerPolicy,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  handleType,
  type IBackoff,
  isBrokenCircuitError,
} from 'cockatiel';
import { Webhook } from 'standardwebhooks';
import type { Secret } from '../domain/secret.ts';
import { type Clock, type DurationMs, durationMs, SECOND, toDate } from '../domain/time.ts';
import type { Log } from '../log.ts';
import { Refusal } from '../refusal.ts';

const limits = {
  /** Bytes of an answer: a name, an id and some claims. */
  answer: 65_536,
  /** Questions in a row that get no answer before the service is left alone. */
  failures: 5,
  /** How long it is left alone; then one question tries again. */
  rest: durationMs(2 * SECOND),
} as const;

/** How one address of the user service is asked. */
export interface UserServiceOptions {
  readonly url: string;
  /** `whsec_` and base64 (Standard Webhooks). */
  readonly secret: Secret;
  /** Of a question whole, from the connection to the last byte of its answer. */
  readonly timeout: DurationMs;
  readonly clock: Clock;
  readonly log: Log;
  /** Of each question: `webhook-id`. */
  readonly newId: () => string;
}

/** A whole answer, of any status below 500 but 429; what it means is the asker's to say. */
export interface Reply {
  readonly status: number;
  /** Of a `200`; empty for any other status, whose body is not read. */
  readonly members: Readonly<Record<string, unknown>>;
}

/** @throws Refusal user_directory_unavailable for whatever is no whole, timely, well-formed answer */
export type Ask = (question: Readonly<Record<string, unknown>>) => Promise<Reply>;

/** The service is ill: no answer, a late one, half of one, or its own word for it. */
class ServiceDown extends Error {}

/** It is well, but what it said is no answer. That costs nobody time, so it does not open the breaker. */
class Nonsense extends Error {}

/** The refusal of an answer that was read and means nothing. */
export const nonsense = (what: string): Refusal => unavailable(SECOND, new Nonsense(what));

const unavailable = (retryAfter: DurationMs, cause?: unknown): Refusal =>
  new Refusal('user_directory_unavailable', 'The user directory does not answer now; try again shortly.', {
    retryAfter,
    cause,
  });

/** @param name of the configuration key, for the log */
export function openUserService(name: string, options: UserServiceOptions): Ask {
  const { clock } = options;
  const { breaker, restLeft } = makeBreaker(name, options);
  const post = signedPost(options);
  return async (question) => {
    // While one question tries, the others would wait for its outcome, which may take the whole time-out.
    if (breaker.state === CircuitState.HalfOpen) throw unavailable(SECOND);
    const started = clock.monotonic();
    try {
      return await breaker.execute(() => post(question));
    } catch (error) {
      if (isBrokenCircuitError(error)) throw unavailable(restLeft());
      if (!(error instanceof ServiceDown || error instanceof Nonsense)) throw error;
      options.log.debug('the user service gave no answer', { key: name, ms: Math.round(clock.monotonic() - started) });
      throw unavailable(SECOND, error);
    }
  };
}

function makeBreaker(
  name: string,
  { clock, log }: UserServiceOptions,
): { readonly breaker: CircuitBreakerPolicy; restLeft(): DurationMs } {
  let openedAt = clock.monotonic();
  const restLeft = (): DurationMs => durationMs(Math.max(0, openedAt + limits.rest - clock.monotonic()));
  // cockatiel asks the wall clock how long the circuit has been open, and whoever sets that back would keep it open. So
  // it is told "not yet" or "long ago", by a clock that never steps.
  const rest = (): IBackoff<unknown> => ({
    get duration() {
      return restLeft() > 0 ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
    },
    next: open,
  });
  const open = (): IBackoff<unknown> => {
    openedAt = clock.monotonic();
    return rest();
  };
  const breaker = circuitBreaker(handleType(ServiceDown), {
    breaker: new ConsecutiveBreaker(limits.failures),
    halfOpenAfter: { next: open },
  });
  breaker.onBreak(() => log.warn('the user service fails; it is left alone for a moment', { key: name }));
  breaker.onReset(() => log.info('the user service answers again', { key: name }));
  return { breaker, restLeft };
}

/** Never sent twice, never to another place: not after a time-out, not by a redirect. */
function signedPost({ url, secret, timeout, clock, newId }: UserServiceOptions): Ask {
  // As bytes, because the library reads padded base64 alone.
  const key = Buffer.from(secret.reveal().slice('whsec_'.length), 'base64');
  const webhook = new Webhook(key, { format: 'raw' });
  return async (question) => {
    const body = JSON.stringify(question);
    const id = newId();
    const now = toDate(clock.now());
    const headers = {
      'content-type': 'application/json',
      accept: 'application/json',
      // A small answer could otherwise unfold into a large one.
      'accept-encoding': 'identity',
      'user-agent': 'auth-server',
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(now.getTime() / 1_000)),
      'webhook-signature': webhook.sign(id, now, body),
    };
    const signal = AbortSignal.timeout(timeout);
    const response = await fetch(url, { method: 'POST', headers, body, redirect: 'manual', signal }).catch(down);
    if (response.status !== 200) {
      // Closes the connection: nobody knows how long the body is.
      await response.body?.cancel().catch(() => undefined);
      if (response.status >= 500 || response.status === 429) throw new ServiceDown(`it answered ${response.status}`);
      return { status: response.status, members: {} };
    }
    return { status: 200, members: membersOf(await readBytes(response)) };
  };
}

/** Of a network error the log gets the kind and the code; there is nothing of the question in it. */
function down(error: unknown): never {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  throw new ServiceDown(cause instanceof Error ? `${cause.name}: ${cause.message}` : 'the connection failed');
}

async function readBytes(response: Response): Promise<Buffer> {
  const encoding = response.headers.get('content-encoding') ?? 'identity';
  const announced = Number(response.headers.get('content-length') ?? 0);
  if (encoding !== 'identity' || announced > limits.answer) {
    await response.body?.cancel().catch(() => undefined);
    throw new Nonsense(encoding === 'identity' ? 'its answer is too long' : 'its answer is compressed');
  }
  const reader = response.body?.getReader();
  const chunks: Uint8Array[] = [];
  for (let length = 0; reader !== undefined; ) {
    const { done, value } = await reader.read().catch(down);
    if (done) break;
    length += value.length;
    if (length > limits.answer) {
      await reader.cancel().catch(() => undefined);
      throw new Nonsense('its answer is too long');
    }
    chunks.push(value);
  }
  return Buffer.concat(chunks);
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function membersOf(bytes: Buffer): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(bytes));
  } catch {
    throw new Nonsense('its answer is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Nonsense('its answer is not a JSON object');
  }
  return value as Record<string, unknown>;
}
