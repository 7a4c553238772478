/** What a file is that somebody wants to make the database: looked at without an `App`, which could open only ours. */
import { statSync } from 'node:fs';
import { Refusal } from '../refusal.ts';
import { schemaStatus } from './migrate.ts';
import { findSetting } from './settings.ts';
import { listKeys, type StoredKey } from './signing-keys.ts';
import { codeOf, readSqlite } from './sqlite.ts';
import type { Reader } from './store.ts';

/** What a file is, as far as it tells without its master key. */
export interface Inspection {
  readonly bytes: number;
  /** How many migrations it has. */
  readonly schema: number;
  /** The id of the database that it is a copy of. */
  readonly instance: string;
  readonly keys: readonly StoredKey[];
}

const unfit = (path: string, why: string): Refusal =>
  new Refusal('conflict', `${path} ${why}.`, { remedy: 'name a file that auth-server backup made' });

/** Reads the whole file. @throws Refusal conflict, schema_behind when it is newer than this program; the file system's error */
export async function inspectSqlite(path: string): Promise<Inspection> {
  const stats = statSync(path);
  if (!stats.isFile()) throw unfit(path, 'is not a file');
  try {
    return { bytes: stats.size, ...(await readSqlite(path, 'guest', (db) => look(db, path))) };
  } catch (error) {
    const code = codeOf(error);
    if (code === 'SQLITE_NOTADB') throw unfit(path, 'is not a SQLite database');
    if (/^SQLITE_(CORRUPT|IOERR)/.test(code)) throw unfit(path, `is damaged (${code})`);
    if (code.startsWith('SQLITE_')) throw unfit(path, `cannot be read (${code})`);
    throw error;
  }
}

/** The same, as far as it can be read, of what is there now: it may be the damaged one. */
export async function peekSqlite(path: string): Promise<Omit<Inspection, 'bytes'> | undefined> {
  try {
    return await readSqlite(path, 'owner', (db) => identify(db, path));
  } catch {
    return undefined;
  }
}

async function look(db: Reader, path: string): Promise<Omit<Inspection, 'bytes'>> {
  const { rows } = await db.connection.execute('pragma integrity_check(1)', []);
  const finding = String(Object.values(rows[0] ?? {})[0]);
  if (finding !== 'ok') throw unfit(path, `is damaged (${finding})`);
  return identify(db, path);
}

async function identify(db: Reader, path: string): Promise<Omit<Inspection, 'bytes'>> {
  const { current } = await schemaStatus({ read: (query) => query(db) });
  const instance = current === 0 ? undefined : await findSetting(db, 'instance_id');
  if (instance === undefined) throw unfit(path, 'is no database of auth-server');
  return { schema: current, instance, keys: await listKeys(db) };
}
