/** The table of registered callers. A server reads it whole into a snapshot: there are few, and each request needs one. */
import type { Client } from '../domain/client.ts';
import type { ClientId, Sha256 } from '../domain/ids.ts';
import type { ClientRow } from './schema.ts';
import { prepared, type Reader, type Tx } from './store.ts';

const clientOf = (row: ClientRow): Client => ({
  id: row.id,
  type: row.type,
  secretHash: row.secret_hash,
  audiences: JSON.parse(row.audiences) as string[],
  policy: {
    leeway: row.leeway,
    refreshTokenTtl: row.refresh_token_ttl,
    idleTimeout: row.idle_timeout,
    maxSessions: row.max_sessions,
    refreshAlone: row.refresh_alone === 1,
  },
  createdAt: row.created_at,
  secretRotatedAt: row.secret_rotated_at,
});

const rowOf = (client: Client): ClientRow => ({
  id: client.id,
  type: client.type,
  secret_hash: client.secretHash,
  audiences: JSON.stringify(client.audiences),
  leeway: client.policy.leeway,
  refresh_token_ttl: client.policy.refreshTokenTtl,
  idle_timeout: client.policy.idleTimeout,
  max_sessions: client.policy.maxSessions,
  refresh_alone: client.policy.refreshAlone ? 1 : 0,
  created_at: client.createdAt,
  secret_rotated_at: client.secretRotatedAt,
});

/** In order of their ids. */
export async function listClients(db: Reader): Promise<Client[]> {
  return (await db.sql.selectFrom('clients').selectAll().orderBy('id').execute()).map(clientOf);
}

/** Of this moment, where the snapshot that requests go by may be a second old. */
export async function findClient(db: Reader, id: ClientId): Promise<Client | undefined> {
  const row = await db.sql.selectFrom('clients').selectAll().where('id', '=', id).executeTakeFirst();
  return row === undefined ? undefined : clientOf(row);
}

/** @returns false when the id is taken */
export async function insertClient(tx: Tx, client: Client): Promise<boolean> {
  const result = await tx.sql
    .insertInto('clients')
    .values(rowOf(client))
    .onConflict((conflict) => conflict.column('id').doNothing())
    .executeTakeFirst();
  return Number(result.numInsertedOrUpdatedRows) === 1;
}

/** Everything but the secret, which only `setClientSecret` changes. */
export async function updateClient(tx: Tx, client: Client): Promise<void> {
  const { id, secret_hash: _, secret_rotated_at: __, ...values } = rowOf(client);
  await tx.sql.updateTable('clients').set(values).where('id', '=', id).execute();
}

/** Notes the time. No error where there is no such client: whoever calls has locked it. */
export async function setClientSecret(tx: Tx, id: ClientId, secretHash: Sha256): Promise<void> {
  await tx.sql
    .updateTable('clients')
    .set({ secret_hash: secretHash, secret_rotated_at: tx.now })
    .where('id', '=', id)
    .execute();
}

/** Its families stay: whoever calls ends them in the same transaction. */
export async function deleteClient(tx: Tx, id: ClientId): Promise<void> {
  await tx.sql.deleteFrom('clients').where('id', '=', id).execute();
}

const byIdFor = (lock: 'forUpdate' | 'forShare') =>
  prepared<{ id: ClientId }, { id: ClientId }>((sql, slot, dialect) => {
    const query = sql.selectFrom('clients').select('id').where('id', '=', slot.id);
    return dialect === 'postgres' ? query[lock]() : query;
  });
const byIdAlone = byIdFor('forUpdate');
const byIdShared = byIdFor('forShare');

/**
 * Whether it is still there; and nobody else holds it until this transaction ends. To be taken first: two that hold it
 * together and then each want it alone wait for each other.
 */
export async function lockClient(tx: Tx, id: ClientId): Promise<boolean> {
  return (await byIdAlone(tx, { id })).rows.length > 0;
}

/** Whether it is still there; and nobody removes it until this transaction ends. */
export async function holdClient(tx: Tx, id: ClientId): Promise<boolean> {
  return (await byIdShared(tx, { id })).rows.length > 0;
}
