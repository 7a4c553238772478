/** A copy of the database while it is in use; only SQLite needs us for it. */
import type { App } from '../app.ts';
import { Refusal } from '../refusal.ts';
import { backupSqlite, type CopyWatch } from '../store/backup.ts';

/** `took`: milliseconds. */
export interface Backup {
  readonly bytes: number;
  readonly took: number;
}

/** @throws Refusal invalid_request on Postgres, conflict when the file is there, the signal's reason, the file system's error */
export async function backup({ store, clock }: App, file: string, watch: CopyWatch): Promise<Backup> {
  if (store.dialect !== 'sqlite') {
    throw new Refusal('invalid_request', `${store.label} is Postgres, which has its own tools for copies.`, {
      remedy: `pg_dump --format=custom --file=${file} DATABASE; then docs/backup-restore.md`,
    });
  }
  const start = clock.monotonic();
  const bytes = await backupSqlite(store.path, file, watch);
  return { bytes, took: clock.monotonic() - start };
}
