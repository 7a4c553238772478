/**
 * Whether families are live, for access tokens: asked once for all requests of a turn, and always after they came in, so
 * that no answer is older than its request. On SQLite a memory of live families is kept true by the revocation feed, read
 * whenever another connection has committed; on Postgres one query answers for the turn.
 */
import type { FamilyId } from '../domain/ids.ts';
import { makeBatch } from './batch.ts';
import type { PostgresStore } from './postgres.ts';
import { feedPosition, listRevocations } from './revocations.ts';
import type { SqliteStore } from './sqlite.ts';
import { prepared, type Reader } from './store.ts';

/** True when the family exists and is not revoked; its end and its tokens' `exp` are judged elsewhere. */
export type LivenessCheck = (family: FamilyId) => Promise<boolean>;

const limits = {
  /** Families in each half of the memory. */
  remembered: 50_000,
  /** More new revocations than this are not read one by one: the memory starts anew. */
  feedPage: 5_000,
  batch: 500,
} as const;

const oneLive = prepared<{ id: FamilyId }, { id: FamilyId }>((sql, slot) =>
  sql.selectFrom('token_families').select('id').where('id', '=', slot.id).where('revoked_at', 'is', null),
);

/** One for a process: on SQLite it remembers. Rejects with Refusal temporarily_unavailable. */
export const livenessCheck = (store: SqliteStore | PostgresStore): LivenessCheck =>
  store.dialect === 'sqlite' ? onSqlite(store) : onPostgres(store);

function onPostgres(store: PostgresStore): LivenessCheck {
  const live = 'select id from token_families where id = any($1::text[]) and revoked_at is null';
  return makeBatch(
    async (families: readonly FamilyId[]) => {
      const { rows } = await store.read((db) => db.connection.execute(live, [[...new Set(families)]]));
      const ids = new Set((rows as readonly { id: FamilyId }[]).map((row) => row.id));
      return families.map((family) => ids.has(family));
    },
    { atOnce: 2, size: limits.batch },
  );
}

function onSqlite(store: SqliteStore): LivenessCheck {
  let young = new Set<FamilyId>();
  let old = new Set<FamilyId>();
  let seen: { readonly epoch: string; readonly number: number } | undefined;
  let version = -1;

  function forget(): void {
    young = new Set();
    old = new Set();
  }

  /** Takes out what was revoked since the last look. */
  async function catchUp(db: Reader): Promise<void> {
    const position = await feedPosition(db);
    if (seen?.epoch === position.epoch && seen.number === position.number) return;
    const entries = seen?.epoch === position.epoch ? await listRevocations(db, seen.number, limits.feedPage) : [];
    // Entries leave the feed when they are old; whoever missed any starts anew. Numbers of two epochs mean nothing to
    // each other, least of all when they are equal.
    if (seen?.epoch !== position.epoch || seen.number + entries.length !== position.number) forget();
    for (const { familyId } of entries) {
      if (familyId === null) continue;
      young.delete(familyId);
      old.delete(familyId);
    }
    seen = position;
  }

  async function isLive(db: Reader, family: FamilyId): Promise<boolean> {
    if (young.has(family) || old.has(family)) return true;
    if ((await oneLive(db, { id: family })).rows.length === 0) return false;
    if (young.size >= limits.remembered) {
      old = young;
      young = new Set();
    }
    young.add(family);
    return true;
  }

  return makeBatch(
    (families: readonly FamilyId[]) =>
      store.read(async (db) => {
        const now = store.dataVersion();
        if (now !== version) {
          await catchUp(db);
          version = now;
        }
        const answers: boolean[] = [];
        for (const family of families) answers.push(await isLive(db, family));
        return answers;
      }),
    { atOnce: 1, size: limits.batch },
  );
}
