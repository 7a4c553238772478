/** The timeline: each generation of each family, when and from where. For people; no decision reads it, and it may be purged. */
import type { FamilyId, Generation, TokenId } from '../domain/ids.ts';
import type { EpochMs } from '../domain/time.ts';
import type { TokenFamily } from '../domain/token-family.ts';
import type { RefreshTokenRow } from './schema.ts';
import { prepared, type Reader, type Tx } from './store.ts';

const insert = prepared<RefreshTokenRow>((sql, slot) =>
  sql.insertInto('refresh_tokens').values({
    family_id: slot.family_id,
    generation: slot.generation,
    jti: slot.jti,
    issued_at: slot.issued_at,
    ip: slot.ip,
    user_agent: slot.user_agent,
  }),
);

/** Notes the family's current generation. */
export async function insertRefreshToken(tx: Tx, family: TokenFamily): Promise<void> {
  await insert(tx, {
    family_id: family.id,
    generation: family.generation,
    jti: family.current.jti,
    issued_at: family.current.issuedAt,
    ip: family.origin.ip,
    user_agent: family.origin.userAgent,
  });
}

/** One generation: `issuedAt`, and where the login or the refresh came from that made it. */
export interface TimelineEntry {
  readonly generation: Generation;
  readonly jti: TokenId;
  readonly issuedAt: EpochMs;
  readonly ip: string | null;
  readonly userAgent: string | null;
}

/** A session that is refreshed by a loop has a million in a day. */
const NEWEST = 10_000;

/** In order of generation, the newest 10,000 at most. */
export async function listRefreshTokens(db: Reader, family: FamilyId): Promise<TimelineEntry[]> {
  const rows = await db.sql
    .selectFrom('refresh_tokens')
    .selectAll()
    .where('family_id', '=', family)
    .orderBy('generation', 'desc')
    .limit(NEWEST)
    .execute();
  return rows
    .map((row) => ({
      generation: row.generation,
      jti: row.jti,
      issuedAt: row.issued_at,
      ip: row.ip,
      userAgent: row.user_agent,
    }))
    .reverse();
}
