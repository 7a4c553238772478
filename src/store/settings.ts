/** Facts about this database that every process must agree on: its id, its issuer, which master key opens it. */
import { sql } from 'kysely';
import { prepared, type Reader, type Tx } from './store.ts';

/** `purged` and `worker_seen` are epoch ms, `rotations` is a count, `key_lock` is a row to lock and no value. */
export type SettingName =
  | 'access_token_life'
  | 'instance_id'
  | 'issuer'
  | 'master_key_check'
  | 'key_lock'
  | 'worker_seen'
  | 'purged'
  | 'rotations';

const byName = prepared<{ name: string }, { value: string }>((sql, slot) =>
  sql.selectFrom('settings').select('value').where('name', '=', slot.name),
);

/** @returns undefined while nobody has stored it */
export async function findSetting(db: Reader, name: SettingName): Promise<string | undefined> {
  return (await byName(db, { name })).rows[0]?.value;
}

/** In place of what was there. */
export async function storeSetting(tx: Tx, name: SettingName, value: string): Promise<void> {
  await tx.sql
    .insertInto('settings')
    .values({ name, value })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ value }))
    .execute();
}

/** For a setting that is a number, 0 while it is missing: two that add at once both count. */
export async function addToSetting(tx: Tx, name: SettingName, count: number): Promise<void> {
  const value = sql<string>`cast(cast(settings.value as integer) + ${count} as text)`;
  await tx.sql
    .insertInto('settings')
    .values({ name, value: String(count) })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ value }))
    .execute();
}
