/** What a verifier knows of the revocation feed: its answers, read strictly, and what follows from them. */
import { monotonic, wallClock } from './timing.ts';

export interface Entry {
  readonly sid: string | undefined;
  readonly kid: string | undefined;
  readonly revokedAt: number;
  readonly until: number;
}

/** An answer of the feed. */
export interface News {
  readonly entries: readonly Entry[];
  readonly cursor: string;
  readonly reset: boolean;
}

export interface Revocations {
  /** Of the last answer; undefined before the first. */
  cursor(): string | undefined;
  /** @param serverTime milliseconds, when the answer was given */
  learn(news: News, serverTime: number): void;
  /** @param issuedAt seconds: `iat` of an access token of that family */
  isRevoked(familyId: string, issuedAt: number): boolean;
}

/** A fault whose text is ours, and so holds nothing that anybody should not read. */
export class FeedFault extends Error {}

const NONSENSE = 'what answers at the address of the auth server is no revocation feed';

function entryOf(value: unknown): Entry {
  const { sid, kid, revoked_at, until } = (value ?? {}) as Record<string, unknown>;
  const entry = { sid, kid, revokedAt: Date.parse(String(revoked_at)), until: Date.parse(String(until)) };
  const isOneKind = (typeof sid === 'string') !== (typeof kid === 'string');
  // An entry of a kind that we do not know ends something that we would go on accepting: no news is better.
  if (!isOneKind || Number.isNaN(entry.revokedAt) || Number.isNaN(entry.until)) throw new FeedFault(NONSENSE);
  return entry as Entry;
}

/** @throws FeedFault for anything that is not an answer of the feed, whole */
export function newsOf(value: unknown): News {
  const { entries, cursor, reset } = (value ?? {}) as Record<string, unknown>;
  if (!Array.isArray(entries) || typeof cursor !== 'string' || typeof reset !== 'boolean')
    throw new FeedFault(NONSENSE);
  return { entries: entries.map(entryOf), cursor, reset };
}

export interface RevocationsOptions {
  /** This key signs nothing that may be accepted, ever again. */
  readonly keyEnded: (kid: string) => void;
  /** The server has begun anew: all that was known of it is void. */
  readonly begunAnew: () => void;
}

export function makeRevocations({ keyEnded, begunAnew }: RevocationsOptions): Revocations {
  /** When each family may be forgotten: by the monotonic clock, and by the other. */
  const revoked = new Map<string, { readonly after: number; readonly until: number }>();
  let cursor: string | undefined;
  /** Seconds: all that was issued until then belongs to what is over. */
  let voidUntil = Number.NEGATIVE_INFINITY;

  /** A slow clock would see a revoked token as not yet expired, and one that is set back would again: both have to pass. */
  function forget(): void {
    for (const [sid, { after, until }] of revoked) if (after < monotonic() && until < wallClock()) revoked.delete(sid);
  }

  return {
    cursor: () => cursor,
    learn(news, serverTime) {
      if (news.reset) revoked.clear();
      if (news.reset && cursor !== undefined) {
        // A restore or a reset of the keys has ended every family, those too that the server no longer knows of.
        voidUntil = Math.floor(serverTime / 1_000);
        begunAnew();
      }
      for (const { sid, kid, revokedAt, until } of news.entries) {
        if (kid !== undefined) keyEnded(kid);
        if (sid !== undefined) revoked.set(sid, { after: monotonic() + Math.max(0, until - revokedAt), until });
      }
      cursor = news.cursor;
      forget();
    },
    isRevoked: (familyId, issuedAt) => revoked.has(familyId) || issuedAt <= voidUntil,
  };
}
