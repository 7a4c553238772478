/** The schema as an operator meets it: brought up to date on request, and told when a server starts. */
import type { App } from '../app.ts';
import { DEFAULT_CLIENT } from '../domain/ids.ts';
import { Refusal } from '../refusal.ts';
import { listClients } from '../store/clients.ts';
import { postgresHealth } from '../store/health.ts';
import { migrateUp, type SchemaStatus, schemaStatus } from '../store/migrate.ts';
import { listUsers } from '../store/users.ts';

export interface Migration extends SchemaStatus {
  /** By this call; another process may have been faster. */
  readonly applied: readonly string[];
}

/** @throws Refusal schema_behind when the database is newer than this program */
export async function bringSchemaUp({ store }: App): Promise<Migration> {
  const applied = await migrateUp(store);
  return { ...(await schemaStatus(store)), applied };
}

/** Whether there is something to migrate before anything else can be shown. */
export async function isSchemaBehind({ store }: App): Promise<boolean> {
  return (await schemaStatus(store)).pending.length > 0;
}

/** For a server, which has to write; opening a SQLite file has shown it already. @throws Refusal database_unusable */
export async function requireWriteRight({ store }: App): Promise<void> {
  if (store.dialect === 'sqlite') return;
  const { isStandby, readOnlyTables } = await postgresHealth(store);
  if (!isStandby && readOnlyTables.length === 0) return;
  const what = isStandby ? 'is a standby' : `lets this user only read ${readOnlyTables.join(', ')}`;
  throw new Refusal('database_unusable', `The database ${store.label} ${what}.`, {
    remedy: isStandby
      ? 'point database.url at the primary'
      : `grant insert, update, delete on ${readOnlyTables.join(', ')}`,
  });
}

/** What a server has when it starts: enough to say what is still to do. */
export interface FirstLook {
  readonly schema: number;
  /** True where a user service knows them. */
  readonly hasUsers: boolean;
  /** Other than the built-in one. */
  readonly hasClients: boolean;
}

/** The schema must be up to date. @throws Refusal schema_behind, temporarily_unavailable */
export async function firstLook({ config, store }: App): Promise<FirstLook> {
  const { current } = await schemaStatus(store);
  return store.read(async (db) => ({
    schema: current,
    hasUsers: config.users.directory === 'http' || (await listUsers(db, 1)).length > 0,
    hasClients: (await listClients(db)).some((client) => client.id !== DEFAULT_CLIENT),
  }));
}
