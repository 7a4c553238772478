/** Everything that a database holds, read beside whoever uses it: for what must not be there, or must not change. */
import BetterSqlite3 from 'better-sqlite3';
import pg from 'pg';

/** @param url of a database. @returns all rows of all its tables, as text */
export const allRows = (url: string): Promise<string> =>
  url.startsWith('sqlite:') ? sqliteRows(url.slice('sqlite:'.length)) : postgresRows(url);

type Table = readonly [name: string, rows: readonly unknown[]];

/** In an order that depends on nothing but the rows. */
const textOf = (tables: readonly Table[]): string =>
  JSON.stringify(
    tables.map(([name, rows]) => [name, rows.map((row) => JSON.stringify(row)).toSorted()]).toSorted(),
    null,
    1,
  );

async function sqliteRows(file: string): Promise<string> {
  const db = new BetterSqlite3(file, { readonly: true });
  const names = db.prepare<[], { name: string }>("select name from sqlite_master where type = 'table'").all();
  const tables = names.map(({ name }): Table => [name, db.prepare(`select * from "${name}"`).all()]);
  db.close();
  return textOf(tables);
}

async function postgresRows(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows: names } = await client.query<{ name: string }>(
    "select tablename as name from pg_tables where schemaname = 'public'",
  );
  const tables: Table[] = [];
  for (const { name } of names) tables.push([name, (await client.query(`select * from "${name}"`)).rows]);
  await client.end();
  return textOf(tables);
}
