/**
 * Follows the revocation feed (contract §11): by a request that waits for news, then the next. It asks only while somebody
 * asks it: what nobody has used for `maxStaleness` lets go, keeps neither the server busy nor the process alive, and catches
 * up at the next question. Ages are told by both clocks, because one stands still while a machine sleeps, and people set the other.
 */
import { FeedFault, newsOf } from './revocations.js';
import { atMost, backoff, later, monotonic, quietPause, wallClock } from './timing.js';
/** The longest `wait` that the server grants. */
const LONGEST_WAIT_MS = 5_000;
/** The whole live set can be long. Until it is read to its end it counts for nothing. */
const BODY_LIMIT_MS = 60_000;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 2_000;
/** After an answer without news that did not wait for any: a server that stops, or a proxy that does not understand. */
const BREATH_MS = 250;
const within = (least, value, most) => Math.max(least, Math.min(value, most));
async function refusal(response) {
    const { error } = ((await response.json().catch(() => null)) ?? {});
    const code = typeof error === 'string' && /^[a-z_]{1,40}$/.test(error) ? ` ${error}` : '';
    const remedy = response.status === 401 ? '; look at clientId and clientSecret' : '';
    return new FeedFault(`the revocation feed answers ${response.status}${code}${remedy}`);
}
const ageOf = ({ monotonic: start, wall }) => Math.max(monotonic() - start, wallClock() - wall);
/** One request. @returns when the answer came, and how many entries were in it @throws FeedFault, or an error of the engine */
async function ask(revocations, asking) {
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
        if (response.status !== 200)
            throw await refusal(response);
        const heard = { monotonic: monotonic(), wall: wallClock() };
        cancel();
        cancel = later(BODY_LIMIT_MS, () => request.abort());
        const news = newsOf(await response.json());
        const date = Date.parse(response.headers.get('date') ?? '');
        revocations.learn(news, Number.isNaN(date) ? heard.wall : date);
        return { heard, count: news.entries.length };
    }
    finally {
        cancel();
    }
}
/** Begins with the first question. */
export function makeFeed(revocations, options) {
    const { maxStalenessMs } = options;
    const longWaitMs = Math.floor(within(100, maxStalenessMs / 2, LONGEST_WAIT_MS));
    const patienceMs = within(500, maxStalenessMs / 4, 3_000);
    let lastHeard;
    let failures = 0;
    let fault;
    /** By the monotonic clock, as the next. */
    let questionAt = Number.NEGATIVE_INFINITY;
    let notBefore = Number.NEGATIVE_INFINITY;
    let isClosed = false;
    let isFollowing = false;
    /** The request that waits for news. */
    let waiting;
    let catchingUp;
    const isStale = () => isClosed || lastHeard === undefined || ageOf(lastHeard) > maxStalenessMs;
    /** Never rejects. */
    async function attempt(request, waitMs) {
        const began = monotonic();
        try {
            const { heard, count } = await ask(revocations, { ...options, request, waitMs, patienceMs });
            lastHeard = heard;
            failures = 0;
            fault = undefined;
            const isEarly = count === 0 && monotonic() - began < waitMs / 2;
            if (isEarly)
                notBefore = monotonic() + Math.min(BREATH_MS, maxStalenessMs / 4);
        }
        catch (error) {
            // Given up for a question that could not wait, or because nobody asks any more.
            if (isClosed || (waiting !== request && waitMs > 0))
                return;
            failures += 1;
            fault = error instanceof FeedFault ? error.message : 'the auth server cannot be reached';
            notBefore = monotonic() + backoff(failures, FIRST_PAUSE_MS, Math.min(LONGEST_PAUSE_MS, maxStalenessMs / 2));
        }
    }
    /** One request that does not wait for news, for any number who do not want to wait either. */
    function catchUp() {
        if (isClosed || (catchingUp === undefined && monotonic() < notBefore))
            return Promise.resolve();
        const given = waiting;
        waiting = undefined;
        given?.abort();
        catchingUp ??= attempt(new AbortController(), 0).finally(() => {
            catchingUp = undefined;
        });
        return catchingUp;
    }
    async function waitForNews() {
        waiting = new AbortController();
        await attempt(waiting, longWaitMs);
        waiting = undefined;
    }
    async function follow() {
        isFollowing = true;
        while (!isClosed && monotonic() - questionAt < maxStalenessMs) {
            const delay = notBefore - monotonic();
            if (delay > 0)
                await quietPause(delay);
            else if (catchingUp !== undefined || isStale())
                await catchUp();
            else
                await waitForNews();
        }
        isFollowing = false;
    }
    return {
        ready() {
            questionAt = monotonic();
            // Whoever asks while the server is known to be away is not held up for it.
            const isAway = isFollowing && failures > 0;
            const caughtUp = isStale() && !isAway ? atMost(patienceMs, catchUp()) : Promise.resolve();
            if (!isFollowing && !isClosed)
                void follow();
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
