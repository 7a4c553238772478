/** What the worker needs: events that are to be distributed, their deliveries, and the receivers that it has known. */
import { sql } from 'kysely';
import type { Tx } from '../store.ts';

/** Events that were recorded before enter the outbox. */
export async function deliveries(tx: Tx): Promise<void> {
  const { schema } = tx.sql;
  const isSqlite = tx.dialect === 'sqlite';
  const integer = isSqlite ? 'integer' : 'bigint';
  const text = isSqlite ? 'text' : sql`text collate "C"`;

  await schema
    .createTable('outbox')
    .addColumn('event_number', integer, (c) => c.primaryKey().notNull())
    .execute();
  await sql`insert into outbox (event_number) select number from events`.execute(tx.sql);

  await schema
    .createTable('receivers')
    .addColumn('key', text, (c) => c.primaryKey().notNull())
    .addColumn('label', 'text', (c) => c.notNull())
    .addColumn('since', integer, (c) => c.notNull())
    .addColumn('disabled_at', integer)
    .addColumn('disabled_reason', 'text')
    .execute();

  let table = schema
    .createTable('deliveries')
    .addColumn('receiver', text, (c) => c.notNull())
    .addColumn('event_number', integer, (c) => c.notNull())
    .addColumn('family_id', text)
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('attempts', 'integer', (c) => c.notNull())
    .addColumn('first_attempt_at', integer)
    .addColumn('next_attempt_at', integer, (c) => c.notNull())
    .addColumn('leased_until', integer)
    .addColumn('settled_at', integer)
    .addColumn('last_error', 'text')
    .addPrimaryKeyConstraint('deliveries_pk', ['receiver', 'event_number']);
  if (isSqlite) table = table.modifyEnd(sql`without rowid`);
  await table.execute();
  await schema.createIndex('deliveries_event').on('deliveries').columns(['event_number']).execute();
  // Whatever waits behind another is not in here: a dead receiver with a million events costs a claim no more than ten.
  await sql`create index deliveries_due on deliveries (receiver, next_attempt_at) where state = 'pending'`.execute(
    tx.sql,
  );
  await sql`create index deliveries_lane on deliveries (family_id, receiver, event_number)
    where family_id is not null and state in ('waiting', 'pending')`.execute(tx.sql);
  await sql`create index deliveries_dead on deliveries (event_number) where state = 'dead'`.execute(tx.sql);
}
