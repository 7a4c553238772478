/** The keys of both rings; private halves are stored sealed under the master key and are opaque here. */
import type { KeyId } from '../domain/ids.ts';
import type { KeyRingName, KeyState, SigningKey } from '../domain/signing-key.ts';
import type { EpochMs } from '../domain/time.ts';
import type { SigningKeyRow } from './schema.ts';
import { prepared, type Reader, type Tx } from './store.ts';

/** A key as its row has it. */
export interface StoredKey extends SigningKey {
  /** JWK as JSON; null for a refresh key. */
  readonly publicJwk: string | null;
  /** Null once compromised. */
  readonly sealedKey: string | null;
}

const keyOf = (row: SigningKeyRow): StoredKey => ({
  kid: row.kid,
  ring: row.ring,
  alg: row.alg,
  state: row.state,
  publicJwk: row.public_jwk,
  sealedKey: row.sealed_key,
  createdAt: row.created_at,
  activatedAt: row.activated_at,
  retiresAt: row.retires_at,
});

/** All of them, oldest first. */
export async function listKeys(db: Reader): Promise<StoredKey[]> {
  return (await db.sql.selectFrom('signing_keys').selectAll().orderBy('created_at').orderBy('kid').execute()).map(
    keyOf,
  );
}

/** How many there are of each ring and state; those that there are none of are left out. */
export async function countKeys(
  db: Reader,
): Promise<readonly { readonly ring: KeyRingName; readonly state: KeyState; readonly count: number }[]> {
  const rows = await db.sql
    .selectFrom('signing_keys')
    .select(['ring', 'state', (eb) => eb.fn.countAll<number>().as('count')])
    .groupBy(['ring', 'state'])
    .execute();
  return rows.map(({ ring, state, count }) => ({ ring, state, count: Number(count) }));
}

/** A second active key of its ring is the driver's error: a unique index sees to that. */
export async function insertKey(tx: Tx, key: StoredKey): Promise<void> {
  await tx.sql
    .insertInto('signing_keys')
    .values({
      kid: key.kid,
      ring: key.ring,
      alg: key.alg,
      state: key.state,
      public_jwk: key.publicJwk,
      sealed_key: key.sealedKey,
      created_at: key.createdAt,
      activated_at: key.activatedAt,
      retires_at: key.retiresAt,
    })
    .execute();
}

/** Becoming `active` notes the time; becoming `compromised` wipes the private half. */
export async function moveKey(tx: Tx, kid: KeyId, to: KeyState, retiresAt: EpochMs | null): Promise<void> {
  const activated = to === 'active' ? { activated_at: tx.now } : {};
  // The private half of a compromised key is worth nothing to us and something to a thief.
  const wiped = to === 'compromised' ? { sealed_key: null } : {};
  await tx.sql
    .updateTable('signing_keys')
    .set({ state: to, retires_at: retiresAt, ...activated, ...wiped })
    .where('kid', '=', kid)
    .execute();
}

const statesOf = prepared<{ one: KeyId; other: KeyId }, { state: KeyState }>((sql, slot, dialect) => {
  const query = sql
    .selectFrom('signing_keys')
    .select('state')
    .where((eb) => eb.or([eb('kid', '=', slot.one), eb('kid', '=', slot.other)]));
  return dialect === 'postgres' ? query.forShare() : query;
});

/**
 * Whether one of two keys has been declared compromised by now. A server's ring may be a second old: what it would write by
 * such a key, or move away from it, would escape whoever ends the sessions of the key. Who declares it waits until this
 * transaction ends, and then meets what was written.
 */
export async function isCompromised(tx: Tx, one: KeyId, other: KeyId = one): Promise<boolean> {
  return (await statesOf(tx, { one, other })).rows.some(({ state }) => state === 'compromised');
}

/** The same key under another master key. */
export async function resealKey(tx: Tx, kid: KeyId, sealedKey: string): Promise<void> {
  await tx.sql.updateTable('signing_keys').set({ sealed_key: sealedKey }).where('kid', '=', kid).execute();
}

/** What it signed is malformed to whoever reads the rings from now on. */
export async function deleteKey(tx: Tx, kid: KeyId): Promise<void> {
  await tx.sql.deleteFrom('signing_keys').where('kid', '=', kid).execute();
}

/** Serialises changes of the key rings between processes: the row is locked until the transaction ends. */
export async function lockKeyRings(tx: Tx): Promise<void> {
  await tx.sql
    .updateTable('settings')
    .set((eb) => ({ value: eb.ref('value') }))
    .where('name', '=', 'key_lock')
    .execute();
}
