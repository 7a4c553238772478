/** Counts of failed logins for each username and address. In the database, so that servers share them and a restart does not forget. */
import type { FailureCount } from '../domain/login-throttle.ts';
import type { LoginAttemptRow } from './schema.ts';
import { prepared, type Reader, type Tx } from './store.ts';

const byBuckets = prepared<{ user: string; address: string }, LoginAttemptRow>((sql, slot) =>
  sql
    .selectFrom('login_attempts')
    .selectAll()
    .where((eb) => eb.or([eb('bucket', '=', slot.user), eb('bucket', '=', slot.address)])),
);

/** Undefined: none is kept. A window that has passed may still be there, until a purge. */
export async function findFailures(
  db: Reader,
  user: string,
  address: string,
): Promise<{ readonly user: FailureCount | undefined; readonly address: FailureCount | undefined }> {
  const { rows } = await byBuckets(db, { user, address });
  return { user: rows.find((row) => row.bucket === user), address: rows.find((row) => row.bucket === address) };
}

/** Nobody else counts in these buckets until this transaction ends; on SQLite there is only one writer. */
export async function lockFailures(tx: Tx, user: string, address: string): Promise<void> {
  if (tx.dialect !== 'postgres') return;
  const rows = [user, address].toSorted().map((bucket) => ({ bucket, failures: 0, since: tx.now }));
  // An update that changes nothing, because there may be no row yet to lock; in one order, so that none waits in a circle.
  await tx.sql
    .insertInto('login_attempts')
    .values(rows)
    .onConflict((conflict) =>
      conflict.column('bucket').doUpdateSet((eb) => ({ failures: eb.ref('login_attempts.failures') })),
    )
    .execute();
}

const upsert = prepared<LoginAttemptRow>((sql, slot) =>
  sql
    .insertInto('login_attempts')
    .values({ bucket: slot.bucket, failures: slot.failures, since: slot.since })
    .onConflict((conflict) => conflict.column('bucket').doUpdateSet({ failures: slot.failures, since: slot.since })),
);

/** In place of what was there; under the lock of `lockFailures`. */
export async function storeFailures(tx: Tx, bucket: string, count: FailureCount): Promise<void> {
  await upsert(tx, { bucket, failures: count.failures, since: count.since });
}

/** Of a username, when it has logged in; the address keeps its count. */
export async function clearFailures(tx: Tx, bucket: string): Promise<void> {
  await tx.sql.deleteFrom('login_attempts').where('bucket', '=', bucket).execute();
}
