/** The keys that the auth server publishes (RFC 7517), each found by the one header that it gives to its tokens. */
import { importJWK } from 'jose';
import { later, monotonic } from './timing.js';
const ALGORITHMS = new Set(['ES256', 'EdDSA', 'RS256']);
/** Of the RFC 7638 thumbprint that the server gives as `kid`. */
const KID = /^[A-Za-z0-9_-]{43}$/;
/** A server has two or three. */
const MOST_KEYS = 100;
const TIMEOUT_MS = 3_000;
/** Known keys are looked at again this often, beside the work. */
const MAX_AGE_MS = 300_000;
/** An unknown `kid` asks the server at most this often: anybody can invent one. */
const COOLDOWN_MS = 1_000;
const base64url = (text) => btoa(text).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
/** The server spells the header of a key's tokens in one way only. */
const headerOf = (alg, kid) => base64url(JSON.stringify({ alg, kid, typ: 'at+jwt' }));
/** Whether a key that we do not know yet could spell this header; nothing else is worth a question. */
function couldBeSigned(header) {
    try {
        const { alg, kid } = JSON.parse(atob(header.replaceAll('-', '+').replaceAll('_', '/')));
        if (typeof alg !== 'string' || typeof kid !== 'string')
            return false;
        return ALGORITHMS.has(alg) && KID.test(kid) && headerOf(alg, kid) === header;
    }
    catch {
        return false;
    }
}
/** @returns undefined for a key of a kind that signs no access token, or that this engine cannot use */
async function keyOf(jwk) {
    if (typeof jwk?.kid !== 'string' || typeof jwk.alg !== 'string' || !ALGORITHMS.has(jwk.alg))
        return undefined;
    const { kid, alg } = jwk;
    const key = await importJWK(jwk, alg).catch(() => undefined);
    return key === undefined || key instanceof Uint8Array ? undefined : { kid, alg, key };
}
/** @throws Error that says what to look at, and nothing else */
async function fetchKeys(url) {
    const request = new AbortController();
    const cancel = later(TIMEOUT_MS, () => request.abort());
    try {
        const response = await fetch(url, { redirect: 'error', cache: 'no-store', signal: request.signal });
        const body = (await response.json());
        const published = Array.isArray(body?.keys) ? body.keys.slice(0, MOST_KEYS) : [];
        const keys = (await Promise.all(published.map(keyOf))).filter((key) => key !== undefined);
        if (response.status === 200 && keys.length > 0)
            return keys;
    }
    catch {
        // The reason is the engine's, and differs from one to the next.
    }
    finally {
        cancel();
    }
    throw new Error(`${url} gives no keys`);
}
/** @param url of the JWK Set */
export function makeKeys(url) {
    /** Those that are published no more, too: a token of theirs is known as genuine, and refused in the right word. */
    const known = new Map();
    let published = new Set();
    const ended = new Set();
    let fetching;
    let fetchedAt = Number.NEGATIVE_INFINITY;
    let fault;
    async function load() {
        try {
            const keys = await fetchKeys(url);
            for (const key of keys)
                known.set(headerOf(key.alg, key.kid), key);
            published = new Set(keys.map(({ kid }) => kid));
            fault = undefined;
        }
        catch (error) {
            fault = error instanceof Error ? error.message : 'the keys cannot be had';
        }
        fetchedAt = monotonic();
        fetching = undefined;
    }
    /** One request, for any number who want to know. */
    function refetch() {
        fetching ??= load();
        return fetching;
    }
    return {
        async find(header) {
            const key = known.get(header);
            const age = monotonic() - fetchedAt;
            if (key !== undefined && (published.has(key.kid) || ended.has(key.kid))) {
                if (age > MAX_AGE_MS)
                    void refetch();
                return key;
            }
            // One that was published and is no more, too: of several servers one may have been late to know it.
            if (!couldBeSigned(header))
                return 'none';
            if (fetching !== undefined || age >= COOLDOWN_MS)
                await refetch();
            return known.get(header) ?? (fault === undefined ? 'none' : 'unavailable');
        },
        isGood: ({ kid }) => published.has(kid) && !ended.has(kid),
        end(kid) {
            ended.add(kid);
        },
        refetch: () => void refetch(),
        fault: () => fault,
    };
}
