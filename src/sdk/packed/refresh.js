/**
 * The refresh of a session: once for any number of callers, and so that no loss of an answer, no second tab and no crash
 * ends it. A server that was asked twice under one key answers twice the same; what is stored last is what is current.
 */
import { asSession, requestKey } from './session.js';
import { backoff, pause, wallClock } from './timing.js';
import { ClientError, post, refusalOf, unreachable } from './wire.js';
/** Half a minute in all, when the server answers nothing and refuses at once. */
const ATTEMPTS = 6;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;
/** A server that asks for more is asked again too early rather than never. */
const LONGEST_RETRY_AFTER_MS = 30_000;
/** How long to wait for another tab. It may have been put to sleep with the lock in its hand. */
const LOCK_PATIENCE_MS = 5_000;
/** Web Locks save work where they exist; nothing depends on them, because the key does not. */
async function alone(name, work) {
    const { navigator } = globalThis;
    if (navigator?.locks === undefined)
        return work();
    let begun;
    const begin = () => {
        begun ??= work();
        return begun;
    };
    try {
        return await navigator.locks.request(name, { signal: AbortSignal.timeout(LOCK_PATIENCE_MS) }, begin);
    }
    catch {
        // Either the lock was not to be had in time, or the work has failed and says so here once more.
        return begin();
    }
}
/** @throws ClientError `not_logged_in` */
export async function heldIn(storage) {
    const session = asSession(await storage.get());
    if (session === undefined)
        throw new ClientError('not_logged_in', 'There is no session; log in.');
    return session;
}
/** The new session in a `200`. @returns undefined when it is none, such as a page of a proxy */
export function grantedBy({ status, body }, salt) {
    const expires_at = wallClock() + 1_000 * Number(body.expires_in);
    const { access_token, refresh_token, session_id } = body;
    return status === 200 ? asSession({ access_token, refresh_token, session_id, expires_at, salt }) : undefined;
}
/** @returns undefined for an answer that says nothing about the session, such as `503` */
function outcomeOf(answer, salt) {
    const isRefusal = answer.status >= 400 && answer.status < 500 && answer.status !== 429;
    return isRefusal ? refusalOf(answer) : grantedBy(answer, salt);
}
/** @returns renews the session of an access token that is used up; all who call it meanwhile share one refresh */
export function makeRefresh(options) {
    const { url, storage, signedOut } = options;
    let refreshing;
    /** Asks until there is an answer that says something about the session. */
    async function ask({ access_token, refresh_token, salt }) {
        const headers = { 'idempotency-key': await requestKey(salt, refresh_token) };
        for (let failures = 1;; failures += 1) {
            const answer = await post(`${url}/refresh`, { access_token, refresh_token }, { now: wallClock(), headers });
            const outcome = answer === undefined ? undefined : outcomeOf(answer, salt);
            if (outcome !== undefined)
                return outcome;
            if (failures === ATTEMPTS)
                throw unreachable('the session lives, so try again later.');
            const asked = Math.min(answer?.retryAfterMs ?? 0, LONGEST_RETRY_AFTER_MS);
            await pause(Math.max(asked, backoff(failures, FIRST_PAUSE_MS, LONGEST_PAUSE_MS)));
        }
    }
    async function refresh(used) {
        const before = await heldIn(storage);
        // Another tab, or a caller before this one, has refreshed already.
        if (before.access_token !== used)
            return before;
        const outcome = await ask(before);
        const now = asSession(await storage.get());
        // Others share the storage: a pair that came later than ours, another login or a logout is not to be written over.
        if (now?.refresh_token !== before.refresh_token)
            return heldIn(storage);
        if (!(outcome instanceof ClientError)) {
            await storage.set(outcome);
            return outcome;
        }
        if (outcome.status === 401 && outcome.reason !== undefined) {
            await storage.remove();
            signedOut(outcome.reason);
        }
        throw outcome;
    }
    return (used) => {
        refreshing ??= heldIn(storage)
            .then(({ session_id }) => alone(`auth-server ${session_id}`, () => refresh(used)))
            .finally(() => {
            refreshing = undefined;
        });
        return refreshing;
    };
}
