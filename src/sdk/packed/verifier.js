/**
 * `auth-server/verifier`: judges access tokens without a request for each, and yet refuses a revoked session within a
 * second. Signatures are checked against the published keys, revocations come by the feed (contract §11). What `/verify`
 * would answer is what this answers, in the same words and the same order of judgement.
 */
import { compactVerify } from 'jose';
import { makeFeed } from './feed.js';
import { makeKeys } from './keys.js';
import { makeRevocations } from './revocations.js';
import { parseDuration, wallClock } from './timing.js';
/** Characters; the server makes no token that long, and refuses it unread. */
const MAX_TOKEN_LENGTH = 8_192;
const COMPACT = /^([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const CLIENT_ID = /^[A-Za-z0-9._-]{1,64}$/;
const SUBJECT = /^[\x21-\x7e]{1,255}$/;
const isSeconds = (value) => Number.isSafeInteger(value) && Number(value) >= 0;
const fits = (value, form) => typeof value === 'string' && form.test(value);
/** A string when one, an array when several. */
function isAudience(value) {
    if (typeof value === 'string')
        return value !== '';
    return Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === 'string');
}
/** Required claims are required, each in its form: a missing one refuses, it is never skipped. */
function claimsOf(payload, issuer) {
    let claims;
    try {
        claims = JSON.parse(new TextDecoder().decode(payload));
    }
    catch {
        return undefined;
    }
    if (typeof claims !== 'object' || claims === null || claims.iss !== issuer || !isAudience(claims.aud))
        return undefined;
    const { sub, client_id, jti, sid, iat, exp, auth_time } = claims;
    const isNamed = fits(sub, SUBJECT) && fits(client_id, CLIENT_ID) && fits(jti, UUID) && fits(sid, UUID);
    // The type is what has just been checked, member by member, which the compiler does not follow.
    return isNamed && [iat, exp, auth_time].every(isSeconds) ? claims : undefined;
}
/** Whether the spelling is the one that the bytes have: no bits set that no byte uses (RFC 4648 §3.5). */
function isCanonical(text) {
    const bits = (text.length * 6) % 8;
    const last = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'.indexOf(text.slice(-1));
    return bits < 6 && last % 2 ** bits === 0;
}
/** @throws TypeError for an option that cannot work, without its value: one of them is a secret */
function settingsOf(options) {
    const { issuer, audience, clientId, clientSecret, maxStaleness = '10s', whenStale = 'reject' } = options;
    const audiences = typeof audience === 'string' ? [audience] : audience;
    const maxStalenessMs = parseDuration(maxStaleness);
    const wrong = (name, expected) => new TypeError(`createVerifier: ${name} has to be ${expected}.`);
    if (!URL.canParse(issuer))
        throw wrong('issuer', 'the address of the auth server');
    if (!isAudience(audiences))
        throw wrong('audience', 'a name, or a list of names');
    if (!fits(clientId, CLIENT_ID))
        throw wrong('clientId', 'the id of a resource-server client');
    if (!fits(clientSecret, /^[\x21-\x7e]+$/))
        throw wrong('clientSecret', 'the secret of that client');
    if (maxStalenessMs === undefined || maxStalenessMs === 0)
        throw wrong('maxStaleness', 'a duration such as "10s"');
    if (whenStale !== 'reject' && whenStale !== 'accept')
        throw wrong('whenStale', '"reject" or "accept"');
    return { ...options, audiences, maxStalenessMs, whenStale, url: issuer.replace(/\/$/, '') };
}
/** To be made once for each process, and kept. @throws TypeError for options that cannot work */
export function createVerifier(options) {
    const { issuer, url, audiences, clientId, clientSecret, maxStalenessMs, whenStale } = settingsOf(options);
    const keys = makeKeys(`${url}/.well-known/jwks.json`);
    const revocations = makeRevocations({
        keyEnded(kid) {
            keys.end(kid);
            // Its successor signs already, and nobody published it ahead.
            keys.refetch();
        },
        begunAnew: keys.refetch,
    });
    const authorization = `Basic ${btoa(`${clientId}:${clientSecret}`)}`;
    const feed = makeFeed(revocations, { url, authorization, maxStalenessMs });
    async function read(token) {
        if (typeof token !== 'string' || token.length > MAX_TOKEN_LENGTH)
            return 'malformed';
        const [, header, signature = ''] = COMPACT.exec(token) ?? [];
        if (header === undefined || !isCanonical(signature))
            return 'malformed';
        const key = await keys.find(header);
        if (key === 'none')
            return 'malformed';
        if (key === 'unavailable')
            return 'stale';
        const verified = await compactVerify(token, key.key, { algorithms: [key.alg] }).catch(() => undefined);
        const claims = verified === undefined ? undefined : claimsOf(verified.payload, issuer);
        return claims === undefined ? 'malformed' : { claims, key };
    }
    async function verify(token) {
        const heard = feed.ready();
        const reading = await read(token);
        if (typeof reading === 'string')
            return { active: false, reason: reading };
        const { claims, key } = reading;
        if (claims.exp <= Math.floor(wallClock() / 1_000))
            return { active: false, reason: 'expired' };
        if (![claims.aud].flat().some((one) => audiences.includes(one)))
            return { active: false, reason: 'wrong_audience' };
        await heard;
        // What is known to be revoked is refused, however old the news.
        if (!keys.isGood(key) || revocations.isRevoked(claims.sid, claims.iat))
            return { active: false, reason: 'revoked' };
        if (feed.isStale() && whenStale === 'reject')
            return { active: false, reason: 'stale' };
        return { active: true, claims };
    }
    return {
        verify,
        status: () => ({ stale: feed.isStale(), fault: feed.fault() ?? keys.fault() }),
        close: feed.close,
    };
}
