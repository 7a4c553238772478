/** What a verifier knows of the revocation feed: its answers, read strictly, and what follows from them. */
import { monotonic, wallClock } from './timing.js';
/** A fault whose text is ours, and so holds nothing that anybody should not read. */
export class FeedFault extends Error {
}
const NONSENSE = 'what answers at the address of the auth server is no revocation feed';
function entryOf(value) {
    const { sid, kid, revoked_at, until } = (value ?? {});
    const entry = { sid, kid, revokedAt: Date.parse(String(revoked_at)), until: Date.parse(String(until)) };
    const isOneKind = (typeof sid === 'string') !== (typeof kid === 'string');
    // An entry of a kind that we do not know ends something that we would go on accepting: no news is better.
    if (!isOneKind || Number.isNaN(entry.revokedAt) || Number.isNaN(entry.until))
        throw new FeedFault(NONSENSE);
    return entry;
}
/** @throws FeedFault for anything that is not an answer of the feed, whole */
export function newsOf(value) {
    const { entries, cursor, reset } = (value ?? {});
    if (!Array.isArray(entries) || typeof cursor !== 'string' || typeof reset !== 'boolean')
        throw new FeedFault(NONSENSE);
    return { entries: entries.map(entryOf), cursor, reset };
}
export function makeRevocations({ keyEnded, begunAnew }) {
    /** When each family may be forgotten: by the monotonic clock, and by the other. */
    const revoked = new Map();
    let cursor;
    /** Seconds: all that was issued until then belongs to what is over. */
    let voidUntil = Number.NEGATIVE_INFINITY;
    /** A slow clock would see a revoked token as not yet expired, and one that is set back would again: both have to pass. */
    function forget() {
        for (const [sid, { after, until }] of revoked)
            if (after < monotonic() && until < wallClock())
                revoked.delete(sid);
    }
    return {
        cursor: () => cursor,
        learn(news, serverTime) {
            if (news.reset)
                revoked.clear();
            if (news.reset && cursor !== undefined) {
                // A restore or a reset of the keys has ended every family, those too that the server no longer knows of.
                voidUntil = Math.floor(serverTime / 1_000);
                begunAnew();
            }
            for (const { sid, kid, revokedAt, until } of news.entries) {
                if (kid !== undefined)
                    keyEnded(kid);
                if (sid !== undefined)
                    revoked.set(sid, { after: monotonic() + Math.max(0, until - revokedAt), until });
            }
            cursor = news.cursor;
            forget();
        },
        isRevoked: (familyId, issuedAt) => revoked.has(familyId) || issuedAt <= voidUntil,
    };
}
