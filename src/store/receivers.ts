/** The receivers that workers have known. They are configured elsewhere; here is what must outlive a worker. */
import type { ReceiverKey, Subscription } from '../domain/delivery.ts';
import type { EpochMs } from '../domain/time.ts';
import type { ReceiverRow } from './schema.ts';
import type { Reader, Tx } from './store.ts';

/** `disabled` since it answered 410, until somebody retries a dead letter of it. Null: it gets what is due. */
export interface KnownReceiver {
  readonly key: ReceiverKey;
  readonly label: string;
  readonly since: EpochMs;
  readonly disabled: { readonly at: EpochMs; readonly reason: string } | null;
}

const receiverOf = ({ disabled_at: at, disabled_reason: reason, ...row }: ReceiverRow): KnownReceiver => ({
  ...row,
  disabled: at === null ? null : { at, reason: reason ?? '' },
});

/** By label. Those that are configured no more stay known. */
export async function listReceivers(db: Reader): Promise<readonly KnownReceiver[]> {
  return (await db.sql.selectFrom('receivers').selectAll().orderBy('label').orderBy('key').execute()).map(receiverOf);
}

/** The same, and until this transaction ends nobody enables or disables one. */
export async function holdReceivers(tx: Tx): Promise<readonly KnownReceiver[]> {
  const query = tx.sql.selectFrom('receivers').selectAll().orderBy('key');
  return (await (tx.dialect === 'postgres' ? query.forShare() : query).execute()).map(receiverOf);
}

/** @param since for those that are new: older events are not for them */
export async function registerReceivers(tx: Tx, receivers: readonly Subscription[], since: EpochMs): Promise<void> {
  if (receivers.length === 0) return;
  await tx.sql
    .insertInto('receivers')
    .values(receivers.map(({ key, label }) => ({ key, label, since, disabled_at: null, disabled_reason: null })))
    .onConflict((conflict) => conflict.column('key').doNothing())
    .execute();
}

/** The first time and reason stay. What waits for it is buried by its worker. */
export async function disableReceiver(tx: Tx, key: ReceiverKey, reason: string): Promise<void> {
  await tx.sql
    .updateTable('receivers')
    .set({ disabled_at: tx.now, disabled_reason: reason })
    .where('key', '=', key)
    .where('disabled_at', 'is', null)
    .execute();
}

/** What was buried meanwhile stays dead, but for what `reviveDeliveries` takes up. */
export async function enableReceivers(tx: Tx, keys: readonly ReceiverKey[]): Promise<void> {
  if (keys.length === 0) return;
  await tx.sql
    .updateTable('receivers')
    .set({ disabled_at: null, disabled_reason: null })
    .where('key', 'in', keys)
    .where('disabled_at', 'is not', null)
    .execute();
}
