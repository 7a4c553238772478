/**
 * `auth-server/client`: a `fetch` for browsers, mobile and Node that stays logged in. It keeps the token pair, adds the
 * access token to requests to the origins it was given, and refreshes when that is used up (contract §11).
 */
import { grantedBy, heldIn, makeRefresh } from './refresh.js';
import { asSession, memoryStorage, newSalt } from './session.js';
import { wallClock } from './timing.js';
import { ClientError, post, refusalOf, unreachable } from './wire.js';
// biome-ignore lint/performance/noBarrelFile: this file is the entry of the package, and its errors belong to it.
export { ClientError } from './wire.js';
/** @returns undefined outside of a browser */
const here = () => globalThis.location;
const isRepeatable = (body) => body === undefined ||
    body === null ||
    typeof body === 'string' ||
    body instanceof ArrayBuffer ||
    ArrayBuffer.isView(body) ||
    body instanceof Blob ||
    body instanceof FormData ||
    body instanceof URLSearchParams;
/** The promise, or the reason of the signal when that fires before: what others wait for too goes on. */
async function unlessAborted(work, signal) {
    if (signal === null || signal === undefined)
        return work;
    signal.throwIfAborted();
    let stop = () => undefined;
    const aborted = new Promise((_, reject) => {
        stop = () => reject(signal.reason);
        signal.addEventListener('abort', stop);
    });
    return Promise.race([work, aborted]).finally(() => signal.removeEventListener('abort', stop));
}
/** A client of one session. @throws TypeError when the issuer or an origin is no URL */
export function createClient(options) {
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
            if (loginUrl !== undefined)
                here()?.assign?.(loginUrl);
        },
    });
    function mayHaveToken(target) {
        const { origin } = new URL(target, here()?.href);
        if (origins.has(origin))
            return;
        throw new ClientError('origin_not_allowed', `${origin} may not see the access token; if it should, name it in origins.`);
    }
    async function authorizedFetch(input, init = {}) {
        const request = input instanceof Request ? input : undefined;
        mayHaveToken(request?.url ?? input);
        const signal = init.signal ?? request?.signal;
        const send = ({ access_token }) => {
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
        if (response.status !== 401 || isUsedUp)
            return response;
        const renewed = await unlessAborted(renew(session.access_token), signal);
        if (!isRepeatable(init.body))
            return response;
        await response.body?.cancel();
        return send(renewed);
    }
    return {
        async login({ username, password, device }) {
            const body = { username, password, device, client_id: clientId };
            const answer = await post(`${url}/login`, body, { now: wallClock() });
            if (answer !== undefined && answer.status >= 400)
                throw refusalOf(answer);
            const session = answer === undefined ? undefined : grantedBy(answer, newSalt());
            if (session === undefined)
                throw unreachable('try the login again.');
            await storage.set(session);
        },
        fetch: authorizedFetch,
        async logout() {
            const held = asSession(await storage.get());
            await storage.remove();
            if (held === undefined)
                return;
            const answer = await post(`${url}/logout`, { refresh_token: held.refresh_token }, { now: wallClock() });
            if (answer === undefined)
                throw unreachable('the session is forgotten here, and may live on there.');
            if (answer.status >= 400)
                throw refusalOf(answer);
        },
    };
}
