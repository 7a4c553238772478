/**
 * `auth-server/client`: a `fetch` for browsers, mobile and Node that stays logged in. It keeps the token pair, adds the
 * access token to requests to the origins it was given, and refreshes when that is used up (contract §11).
 */
import { grantedBy, heldIn, makeRefresh } from './refresh.ts';
import { asSession, memoryStorage, newSalt, type Session, type SessionStorage } from './session.ts';
import { wallClock } from './timing.ts';
import { ClientError, post, refusalOf, unreachable } from './wire.ts';

export type { Session, SessionStorage } from './session.ts';
// biome-ignore lint/performance/noBarrelFile: this file is the entry of the package, and its errors belong to it.
export { ClientError } from './wire.ts';

export interface ClientOptions {
  /** The auth server's issuer, which is its address: `https://auth.example.com`. */
  readonly issuer: string;
  /** A public `app` client of the server. Without it logins belong to the built-in client `default`. */
  readonly clientId?: string;
  /** Who may see the access token: `['https://api.example.com']`. Without it the page's own origin alone. */
  readonly origins?: readonly string[];
  /** Where the session is kept; without it in memory. */
  readonly storage?: SessionStorage;
  /** The server has ended the session; the reason is that of `/refresh`: `expired`, `revoked`, `reused`, … */
  readonly onSignedOut?: (reason: string) => void;
  /** Where a browser goes then. */
  readonly loginUrl?: string;
}

export interface Credentials {
  readonly username: string;
  readonly password: string;
  /** What lists of sessions call this one, such as the name of the phone: at most 128 characters. */
  readonly device?: string;
}

export interface Client {
  /** @throws ClientError with the server's code: `invalid_credentials`; `too_many_attempts`, with `retryAfterMs`; `unreachable` */
  login(credentials: Credentials): Promise<void>;
  /**
   * As the global `fetch`, with the access token. A request that is refused for its token is sent once more with a new one,
   * unless its body is a stream, which cannot be sent twice. A redirect is an error unless `init.redirect` says otherwise:
   * not every engine takes the token away from a request that is sent on to another origin.
   * @throws ClientError `not_logged_in`; `origin_not_allowed`; `invalid_grant` when the session has ended; `unreachable`
   */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;
  /** Forgets the session, then ends it at the server. @throws ClientError when the server did not hear of it */
  logout(): Promise<void>;
}

/** Where a page is, or a worker, which cannot go elsewhere. */
interface Place {
  readonly origin: string;
  readonly href: string;
  assign?(url: string): void;
}

/** @returns undefined outside of a browser */
const here = (): Place | undefined => (globalThis as { readonly location?: Place }).location;

const isRepeatable = (body: unknown): boolean =>
  body === undefined ||
  body === null ||
  typeof body === 'string' ||
  body instanceof ArrayBuffer ||
  ArrayBuffer.isView(body) ||
  body instanceof Blob ||
  body instanceof FormData ||
  body instanceof URLSearchParams;

/** The promise, or the reason of the signal when that fires before: what others wait for too goes on. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | null | undefined): Promise<T> {
  if (signal === null || signal === undefined) return work;
  signal.throwIfAborted();
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop);
  });
  return Promise.race([work, aborted]).finally(() => signal.removeEventListener('abort', stop));
}

/** A client of one session. @throws TypeError when the issuer or an origin is no URL */
export function createClient(options: ClientOptions): Client {
  const { clientId, storage = memoryStorage(), onSignedOut, loginUrl } = options;
  const url = new URL(options.issuer).href.replace(/\/$/, '');
  const ownOrigin = here()?.origin;
  const named = options.origins ?? (ownOrigin === undefined ? [] : [ownOrigin]);
  const origins = new Set(named.map((origin) => new URL(origin).origin));

  const renew = makeRefresh({
    url,
    storage,
    signedOut: (reason) => {
      onSignedOut?.(reason);
      if (loginUrl !== undefined) here()?.assign?.(loginUrl);
    },
  });

  function mayHaveToken(target: string | URL): void {
    const { origin } = new URL(target, here()?.href);
    if (origins.has(origin)) return;
    throw new ClientError(
      'origin_not_allowed',
      `${origin} may not see the access token; if it should, name it in origins.`,
    );
  }

  async function authorizedFetch(input: string | URL | Request, init: RequestInit = {}): Promise<Response> {
    const request = input instanceof Request ? input : undefined;
    mayHaveToken(request?.url ?? (input as string | URL));
    const signal = init.signal ?? request?.signal;
    const send = ({ access_token }: Session): Promise<Response> => {
      const headers = new Headers(init.headers ?? request?.headers);
      headers.set('authorization', `Bearer ${access_token}`);
      // A copy, so that the body is still there for a second time.
      return fetch(request?.clone() ?? input, { redirect: 'error', ...init, headers });
    };

    const held = await heldIn(storage);
    const isUsedUp = held.expires_at <= wallClock();
    const session = isUsedUp ? await unlessAborted(renew(held.access_token), signal) : held;
    const response = await send(session);
    // A new token that is refused too is refused for another reason than its age.
    if (response.status !== 401 || isUsedUp) return response;
    const renewed = await unlessAborted(renew(session.access_token), signal);
    if (!isRepeatable(init.body)) return response;
    await response.body?.cancel();
    return send(renewed);
  }

  return {
    async login({ username, password, device }) {
      const body = { username, password, device, client_id: clientId };
      const answer = await post(`${url}/login`, body, { now: wallClock() });
      if (answer !== undefined && answer.status >= 400) throw refusalOf(answer);
      const session = answer === undefined ? undefined : grantedBy(answer, newSalt());
      if (session === undefined) throw unreachable('try the login again.');
      await storage.set(session);
    },
    fetch: authorizedFetch,
    async logout() {
      const held = asSession(await storage.get());
      await storage.remove();
      if (held === undefined) return;
      const answer = await post(`${url}/logout`, { refresh_token: held.refresh_token }, { now: wallClock() });
      if (answer === undefined) throw unreachable('the session is forgotten here, and may live on there.');
      if (answer.status >= 400) throw refusalOf(answer);
    },
  };
}
