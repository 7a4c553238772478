/**
 * The table that everything turns on. A decision about a refresh token reads one row of it, and a rotation moves that row
 * by compare-and-swap: whoever comes second changes nothing and decides again.
 */
import type { ClientId, FamilyId, Generation, KeyId, Sha256, Subject, TokenId } from '../domain/ids.ts';
import type { EpochMs } from '../domain/time.ts';
import type { CurrentToken, Origin, RevocationCause, TokenFamily } from '../domain/token-family.ts';
import { recordEvent } from './events.ts';
import type { TokenFamilyRow } from './schema.ts';
import { prepared, type Reader, type Tx } from './store.ts';

/** The family that a row tells of. */
export function familyOf(row: TokenFamilyRow): TokenFamily {
  return {
    id: row.id,
    subject: row.subject,
    clientId: row.client_id,
    generation: row.generation,
    current: {
      jti: row.jti,
      kid: row.kid,
      issuedAt: row.issued_at,
      expiresAt: row.expires_at,
      requestKeyHash: row.idempotency_hash,
    },
    createdAt: row.created_at,
    lastRefreshedAt: row.last_refreshed_at,
    endsAt: row.ends_at,
    revoked:
      row.revoked_at === null
        ? null
        : { at: row.revoked_at, cause: row.revoke_reason ?? 'admin', note: row.revoke_note },
    device: row.device,
    origin: { userAgent: row.user_agent, ip: row.ip },
  };
}

const byId = prepared<{ id: FamilyId }, TokenFamilyRow>((sql, slot) =>
  sql.selectFrom('token_families').selectAll().where('id', '=', slot.id),
);

const byIdLocked = prepared<{ id: FamilyId }, TokenFamilyRow>((sql, slot, dialect) => {
  const query = sql.selectFrom('token_families').selectAll().where('id', '=', slot.id);
  return dialect === 'postgres' ? query.forUpdate() : query;
});

/** Without a lock: what it says may have changed when a transaction decides. */
export async function findFamily(db: Reader, id: FamilyId): Promise<TokenFamily | undefined> {
  const row = (await byId(db, { id })).rows[0];
  return row === undefined ? undefined : familyOf(row);
}

/** As `findFamily`, and nobody else changes the family until this transaction ends. */
export async function lockFamily(tx: Tx, id: FamilyId): Promise<TokenFamily | undefined> {
  const row = (await byIdLocked(tx, { id })).rows[0];
  return row === undefined ? undefined : familyOf(row);
}

const insertRow = prepared<TokenFamilyRow>((sql, slot) =>
  sql.insertInto('token_families').values({
    id: slot.id,
    subject: slot.subject,
    client_id: slot.client_id,
    generation: slot.generation,
    jti: slot.jti,
    kid: slot.kid,
    issued_at: slot.issued_at,
    expires_at: slot.expires_at,
    idempotency_hash: slot.idempotency_hash,
    created_at: slot.created_at,
    last_refreshed_at: slot.last_refreshed_at,
    ends_at: slot.ends_at,
    revoked_at: slot.revoked_at,
    revoke_reason: slot.revoke_reason,
    revoke_note: slot.revoke_note,
    device: slot.device,
    user_agent: slot.user_agent,
    ip: slot.ip,
  }),
);

/** A family at its login, generation 0. */
export async function insertFamily(tx: Tx, family: TokenFamily): Promise<void> {
  await insertRow(tx, {
    id: family.id,
    subject: family.subject,
    client_id: family.clientId,
    generation: family.generation,
    jti: family.current.jti,
    kid: family.current.kid,
    issued_at: family.current.issuedAt,
    expires_at: family.current.expiresAt,
    idempotency_hash: family.current.requestKeyHash,
    created_at: family.createdAt,
    last_refreshed_at: family.lastRefreshedAt,
    ends_at: family.endsAt,
    revoked_at: family.revoked?.at ?? null,
    revoke_reason: family.revoked?.cause ?? null,
    revoke_note: family.revoked?.note ?? null,
    device: family.device,
    user_agent: family.origin.userAgent,
    ip: family.origin.ip,
  });
}

interface Move {
  readonly id: FamilyId;
  readonly from: Generation;
  readonly from_jti: TokenId;
  readonly to: Generation;
  readonly jti: TokenId;
  readonly kid: KeyId;
  readonly now: EpochMs;
  readonly expires_at: EpochMs;
  readonly idempotency_hash: Sha256 | null;
  readonly user_agent: string | null;
  readonly ip: string | null;
}

/**
 * SQLite rewrites the index entries of every indexed column that `set` names, changed or not: two more pages to write and
 * sync at each rotation. So `kid` and `ip` are named only when they change.
 */
const advanceWith = (changesIndexes: boolean) =>
  prepared<Move>((sql, slot) =>
    sql
      .updateTable('token_families')
      .set({
        generation: slot.to,
        jti: slot.jti,
        issued_at: slot.now,
        expires_at: slot.expires_at,
        idempotency_hash: slot.idempotency_hash,
        last_refreshed_at: slot.now,
        user_agent: slot.user_agent,
        ...(changesIndexes ? { kid: slot.kid, ip: slot.ip } : {}),
      })
      .where('id', '=', slot.id)
      .where('generation', '=', slot.from)
      .where('jti', '=', slot.from_jti)
      .where('revoked_at', 'is', null),
  );
const advance = advanceWith(true);
const advanceInPlace = advanceWith(false);

/**
 * Moves the family to its next generation (RFC 9700 §4.14.2).
 * @returns the family as it is now, or undefined when somebody else moved or ended it: the caller decides again
 */
export async function advanceFamily(
  tx: Tx,
  family: TokenFamily,
  next: CurrentToken,
  origin: Origin,
): Promise<TokenFamily | undefined> {
  const generation = (family.generation + 1) as Generation;
  const isInPlace = next.kid === family.current.kid && origin.ip === family.origin.ip;
  const { affected } = await (isInPlace ? advanceInPlace : advance)(tx, {
    id: family.id,
    from: family.generation,
    from_jti: family.current.jti,
    to: generation,
    jti: next.jti,
    kid: next.kid,
    now: next.issuedAt,
    expires_at: next.expiresAt,
    idempotency_hash: next.requestKeyHash,
    user_agent: origin.userAgent,
    ip: origin.ip,
  });
  return affected === 1 ? { ...family, generation, current: next, lastRefreshedAt: next.issuedAt, origin } : undefined;
}

/** Which families: one of these, and only logins earlier than `issuedBefore`. */
export type FamilySelector = (
  | { readonly family: FamilyId }
  | { readonly subject: Subject; readonly except?: FamilyId }
  | { readonly client: ClientId }
  | { readonly ip: string }
  | { readonly kid: KeyId }
  | { readonly all: true }
) & { readonly issuedBefore?: EpochMs };

const column = { family: 'id', subject: 'subject', client: 'client_id', ip: 'ip', kid: 'kid' } as const;

/** Families that are not revoked and, unless one is named, whose refresh token has not expired. */
function revocable(db: Reader, which: FamilySelector, now: EpochMs) {
  let query = db.sql.selectFrom('token_families').where('revoked_at', 'is', null);
  if (!('family' in which)) query = query.where('expires_at', '>', now);
  for (const name of ['family', 'subject', 'client', 'ip', 'kid'] as const) {
    // `as never`: which column goes with which brand of string is lost in the loop.
    if (name in which) query = query.where(column[name], '=', (which as Record<typeof name, string>)[name] as never);
  }
  if ('except' in which && which.except !== undefined) query = query.where('id', '!=', which.except);
  if (which.issuedBefore !== undefined) query = query.where('created_at', '<', which.issuedBefore);
  return query;
}

/** How many `revokeFamilies` would end now. */
export async function countRevocable(db: Reader, which: FamilySelector, now: EpochMs): Promise<number> {
  const row = await revocable(db, which, now)
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .executeTakeFirst();
  return Number(row?.count ?? 0);
}

/** Some of those that `revokeFamilies` would end now, the newest first. */
export async function sampleRevocable(
  db: Reader,
  which: FamilySelector,
  now: EpochMs,
  limit: number,
): Promise<TokenFamily[]> {
  const rows = await revocable(db, which, now).selectAll().orderBy('id', 'desc').limit(limit).execute();
  return rows.map(familyOf);
}

/** Kept with each family, and told in its event. */
export interface Revocation {
  readonly cause: RevocationCause;
  /** What an administrator said about it. */
  readonly note?: string | undefined;
}

/** How much of a long revocation one transaction does. */
export interface RevocationBatch {
  /** Families at most, 500 unless told. */
  readonly limit?: number;
  /** Only families after this one: in the order of their ids, which is that of their logins. */
  readonly after?: FamilyId | undefined;
}

/**
 * Ends at most `limit` of the families, the oldest of them, with their feed entries and events.
 * @returns those that this call ended, the oldest first; fewer than `limit`: none is left (after `after`)
 */
export async function revokeFamilies(
  tx: Tx,
  which: FamilySelector,
  { cause, note }: Revocation,
  { limit = 500, after }: RevocationBatch = {},
): Promise<readonly TokenFamily[]> {
  // Locked in one order, and waited for: otherwise two revocations at once would choose the same families, and the second
  // would answer "none left" while the first has not committed.
  let candidates = revocable(tx, which, tx.now).select('id').orderBy('id').limit(limit);
  if (after !== undefined) candidates = candidates.where('id', '>', after);
  const chosen = await (tx.dialect === 'postgres' ? candidates.forUpdate() : candidates).execute();
  if (chosen.length === 0) return [];
  const rows = await tx.sql
    .updateTable('token_families')
    .set({ revoked_at: tx.now, revoke_reason: cause, revoke_note: note ?? null })
    .where(
      'id',
      'in',
      chosen.map((row) => row.id),
    )
    .where('revoked_at', 'is', null)
    .returningAll()
    .execute();
  const ended = rows.map(familyOf).toSorted((one, other) => (one.id < other.id ? -1 : 1));
  for (const family of ended) {
    tx.feed.push({ familyId: family.id, cause });
    await recordEvent(tx, familyRevoked(family, cause, note));
  }
  return ended;
}

function familyRevoked(family: TokenFamily, cause: RevocationCause, note: string | undefined) {
  const data = { sid: family.id, subject: family.subject, client_id: family.clientId, cause };
  return { type: 'family.revoked', data: note === undefined ? data : { ...data, note } } as const;
}

/** The subject's families that can still be refreshed, 1,000 at most: the last refreshed first, so those past an idle limit last. */
export async function listLiveFamilies(
  db: Reader,
  subject: Subject,
  now: EpochMs,
  client?: ClientId,
): Promise<TokenFamily[]> {
  let query = db.sql
    .selectFrom('token_families')
    .selectAll()
    .where('subject', '=', subject)
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', now)
    .orderBy('last_refreshed_at', 'desc')
    .orderBy('id', 'desc')
    .limit(1_000);
  if (client !== undefined) query = query.where('client_id', '=', client);
  return (await query.execute()).map(familyOf);
}
