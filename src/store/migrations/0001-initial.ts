/** The first schema: all tables of contract §10 but the deliveries, which come with the worker. */
import { sql } from 'kysely';
import type { Tx } from '../store.ts';

/** Also the rows that are there once: the instance's id, the feed's position, the client `default`. */
// biome-ignore lint/complexity/noExcessiveLinesPerFunction: a list of tables without a branch, read from top to bottom
export async function initial(tx: Tx): Promise<void> {
  const { schema } = tx.sql;
  const isSqlite = tx.dialect === 'sqlite';
  const integer = isSqlite ? 'integer' : 'bigint';
  // Ids and names are compared by their bytes on both databases: pages and short ids need one order.
  const text = isSqlite ? 'text' : sql`text collate "C"`;

  let families = schema
    .createTable('token_families')
    .addColumn('id', text, (c) => c.primaryKey().notNull())
    .addColumn('subject', text, (c) => c.notNull())
    .addColumn('client_id', text, (c) => c.notNull())
    .addColumn('generation', integer, (c) => c.notNull())
    .addColumn('jti', text, (c) => c.notNull())
    .addColumn('kid', text, (c) => c.notNull())
    .addColumn('issued_at', integer, (c) => c.notNull())
    .addColumn('expires_at', integer, (c) => c.notNull())
    .addColumn('idempotency_hash', 'text')
    .addColumn('created_at', integer, (c) => c.notNull())
    .addColumn('last_refreshed_at', integer, (c) => c.notNull())
    .addColumn('ends_at', integer, (c) => c.notNull())
    .addColumn('revoked_at', integer)
    .addColumn('revoke_reason', 'text')
    .addColumn('revoke_note', 'text')
    .addColumn('device', 'text')
    .addColumn('user_agent', 'text')
    .addColumn('ip', text);
  // Families are read and moved by id alone: stored in its order they need no second tree.
  if (isSqlite) families = families.modifyEnd(sql`without rowid`);
  await families.execute();
  await schema.createIndex('token_families_subject').on('token_families').columns(['subject', 'id']).execute();
  await schema.createIndex('token_families_client').on('token_families').columns(['client_id', 'id']).execute();
  await schema.createIndex('token_families_ip').on('token_families').columns(['ip', 'id']).execute();
  await schema.createIndex('token_families_kid').on('token_families').columns(['kid']).execute();
  await sql`create index token_families_revoked on token_families (revoked_at) where revoked_at is not null`.execute(
    tx.sql,
  );

  let timeline = schema
    .createTable('refresh_tokens')
    .addColumn('family_id', text, (c) => c.notNull())
    .addColumn('generation', integer, (c) => c.notNull())
    .addColumn('jti', text, (c) => c.notNull())
    .addColumn('issued_at', integer, (c) => c.notNull())
    .addColumn('ip', text)
    .addColumn('user_agent', 'text')
    .addPrimaryKeyConstraint('refresh_tokens_pk', ['family_id', 'generation']);
  if (isSqlite) timeline = timeline.modifyEnd(sql`without rowid`);
  await timeline.execute();

  await schema
    .createTable('signing_keys')
    .addColumn('kid', text, (c) => c.primaryKey().notNull())
    .addColumn('ring', 'text', (c) => c.notNull())
    .addColumn('alg', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('public_jwk', 'text')
    .addColumn('sealed_key', 'text')
    .addColumn('created_at', integer, (c) => c.notNull())
    .addColumn('activated_at', integer)
    .addColumn('retires_at', integer)
    .execute();
  // Whatever races, a ring never has two keys that sign.
  await sql`create unique index signing_keys_active on signing_keys (ring) where state = 'active'`.execute(tx.sql);

  await schema
    .createTable('clients')
    .addColumn('id', text, (c) => c.primaryKey().notNull())
    .addColumn('type', 'text', (c) => c.notNull())
    .addColumn('secret_hash', 'text')
    .addColumn('audiences', 'text', (c) => c.notNull())
    .addColumn('leeway', integer)
    .addColumn('refresh_token_ttl', integer)
    .addColumn('idle_timeout', integer)
    .addColumn('max_sessions', 'integer')
    .addColumn('refresh_alone', 'integer', (c) => c.notNull())
    .addColumn('created_at', integer, (c) => c.notNull())
    .addColumn('secret_rotated_at', integer)
    .execute();

  await schema
    .createTable('users')
    .addColumn('subject', text, (c) => c.primaryKey().notNull())
    .addColumn('username', text, (c) => c.notNull().unique())
    .addColumn('name', text, (c) => c.notNull())
    .addColumn('password_hash', 'text', (c) => c.notNull())
    .addColumn('created_at', integer, (c) => c.notNull())
    .addColumn('password_changed_at', integer, (c) => c.notNull())
    .addColumn('disabled_at', integer)
    .execute();

  await schema
    .createTable('login_attempts')
    .addColumn('bucket', text, (c) => c.primaryKey().notNull())
    .addColumn('failures', 'integer', (c) => c.notNull())
    .addColumn('since', integer, (c) => c.notNull())
    .execute();

  await schema
    .createTable('revocations')
    .addColumn('number', integer, (c) => c.primaryKey().notNull())
    .addColumn('family_id', text)
    .addColumn('kid', text)
    .addColumn('revoked_at', integer, (c) => c.notNull())
    .addColumn('until', integer, (c) => c.notNull())
    .execute();

  await schema
    .createTable('events')
    .addColumn('number', integer, (c) => {
      const key = c.primaryKey();
      return isSqlite ? key.autoIncrement() : key.generatedAlwaysAsIdentity();
    })
    .addColumn('id', text, (c) => c.notNull().unique())
    .addColumn('type', 'text', (c) => c.notNull())
    .addColumn('family_id', text)
    .addColumn('subject', text)
    .addColumn('timestamp', integer, (c) => c.notNull())
    .addColumn('data', 'text', (c) => c.notNull())
    .execute();
  await sql`create index events_family on events (family_id, number) where family_id is not null`.execute(tx.sql);

  await schema
    .createTable('settings')
    .addColumn('name', text, (c) => c.primaryKey().notNull())
    .addColumn('value', 'text', (c) => c.notNull())
    .execute();

  await schema
    .createTable('feed_position')
    .addColumn('id', 'integer', (c) => c.primaryKey().notNull())
    .addColumn('epoch', 'text', (c) => c.notNull())
    .addColumn('number', integer, (c) => c.notNull())
    .execute();

  await tx.sql.insertInto('feed_position').values({ id: 1, epoch: tx.newId(), number: 0 }).execute();
  await tx.sql
    .insertInto('settings')
    .values([
      { name: 'instance_id', value: tx.newId() },
      { name: 'key_lock', value: '' },
    ])
    .execute();
  await tx.sql
    .insertInto('clients')
    .values({
      // `as never`: a migration keeps its words when the types of the program change.
      id: 'default' as never,
      type: 'app',
      secret_hash: null,
      audiences: '[]',
      leeway: null,
      refresh_token_ttl: null,
      idle_timeout: null,
      max_sessions: null,
      refresh_alone: 0,
      created_at: tx.now,
      secret_rotated_at: null,
    })
    .execute();
}
