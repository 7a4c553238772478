/** Facts about this database that every process must agree on: its id, its issuer, which master key opens it. */
import { prepared, type Reader, type Tx } from './store.ts';

export type SettingName = 'instance_id' | 'issuer' | 'master_key_check' | 'key_lock' | 'worker_seen' | 'purged';

const byName = prepared<{ name: string }, { value: string }>((sql, slot) =>
  sql.selectFrom('settings').select('value').where('name', '=', slot.name),
);

export async function findSetting(db: Reader, name: SettingName): Promise<string | undefined> {
  return (await byName(db, { name })).rows[0]?.value;
}

export async function storeSetting(tx: Tx, name: SettingName, value: string): Promise<void> {
  await tx.sql
    .insertInto('settings')
    .values({ name, value })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ value }))
    .execute();
}
