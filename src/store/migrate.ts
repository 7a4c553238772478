/**
 * Forward-only migrations. All that are pending run in one transaction, alone: SQLite lets one writer in, Postgres gives an
 * advisory lock; so it is safe from many processes at once, and a kill leaves the schema as it was.
 */
import { Refusal } from '../refusal.ts';
import { initial } from './migrations/0001-initial.ts';
import { deliveries } from './migrations/0002-deliveries.ts';
import type { Reader, Store, Tx } from './store.ts';

/** In order; a released one never changes. */
const MIGRATIONS: readonly { readonly name: string; readonly up: (tx: Tx) => Promise<void> }[] = [
  { name: '0001-initial', up: initial },
  { name: '0002-deliveries', up: deliveries },
];

/** Any number will do that nobody else uses in this database. */
const ADVISORY_LOCK = 4_207_115_001;

/** `current` counts what was applied; equal to `latest` when nothing is `pending`. */
export interface SchemaStatus {
  /** How many migrations the database has. */
  readonly current: number;
  readonly latest: number;
  readonly pending: readonly string[];
}

async function appliedNames(db: Reader): Promise<readonly string[]> {
  const table =
    db.dialect === 'sqlite'
      ? "select name from sqlite_master where type = 'table' and name = 'migrations'"
      : "select tablename as name from pg_tables where schemaname = any(current_schemas(false)) and tablename = 'migrations'";
  if ((await db.connection.execute(table, [])).rows.length === 0) return [];
  return (await db.sql.selectFrom('migrations').select('name').orderBy('name').execute()).map((row) => row.name);
}

function statusOf(applied: readonly string[]): SchemaStatus {
  const unknown = applied.find((name) => !MIGRATIONS.some((migration) => migration.name === name));
  if (unknown !== undefined) {
    throw new Refusal(
      'schema_behind',
      `The database has schema ${applied.length} (${unknown}), this program knows ${MIGRATIONS.length}.`,
      { remedy: 'run the newer auth-server that migrated it' },
    );
  }
  return {
    current: applied.length,
    latest: MIGRATIONS.length,
    pending: MIGRATIONS.filter((migration) => !applied.includes(migration.name)).map((migration) => migration.name),
  };
}

/** @throws Refusal schema_behind when the database is newer than this program */
export const schemaStatus = (store: Pick<Store, 'read'>): Promise<SchemaStatus> =>
  store.read(async (db) => statusOf(await appliedNames(db)));

/** Brings the schema up to date. @returns the names of the migrations that this call applied */
export function migrateUp(store: Store): Promise<readonly string[]> {
  return store.write(async (tx) => {
    if (tx.dialect === 'postgres') {
      await tx.connection.execute('select pg_advisory_xact_lock($1)', [ADVISORY_LOCK]);
    }
    await tx.sql.schema
      .createTable('migrations')
      .ifNotExists()
      .addColumn('name', 'text', (c) => c.primaryKey().notNull())
      .addColumn('applied_at', tx.dialect === 'sqlite' ? 'integer' : 'bigint', (c) => c.notNull())
      .execute();
    const { pending } = statusOf(await appliedNames(tx));
    for (const migration of MIGRATIONS) {
      if (!pending.includes(migration.name)) continue;
      await migration.up(tx);
      await tx.sql.insertInto('migrations').values({ name: migration.name, applied_at: tx.now }).execute();
    }
    return pending;
  });
}
