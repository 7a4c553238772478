/** What a database says about itself, for `doctor`: whether it keeps what it has confirmed, and whether it is whole. */
import { statfsSync, statSync } from 'node:fs';
import type { KeyId } from '../domain/ids.ts';
import { type EpochMs, epochMs } from '../domain/time.ts';
import type { PostgresStore } from './postgres.ts';
import { findSetting } from './settings.ts';
import type { SqliteStore } from './sqlite.ts';
import type { Reader } from './store.ts';

/** As the connection that reads sees it; `journalMode` is `wal` unless somebody changed the file. */
export interface SqliteHealth {
  readonly version: string;
  readonly journalMode: string;
  /** What `PRAGMA quick_check` found; empty when the file is whole. */
  readonly damage: readonly string[];
  /** The kind of network file system that the file is on. */
  readonly network: string | undefined;
}

/** By the type that statfs(2) tells. */
const NETWORK_FILE_SYSTEMS: Readonly<Record<number, string>> = {
  26985: 'NFS',
  20859: 'SMB',
  4283649346: 'SMB',
  4266872130: 'SMB',
  16914839: '9P',
  12805120: 'Ceph',
  1397113167: 'AFS',
  198183888: 'Lustre',
};

/** Faults that are named; a damaged file has one or thousands. */
const DAMAGE = 3;

/** Reads the whole file, seconds for gigabytes, unless it is to be quick. @throws Refusal temporarily_unavailable */
export function sqliteHealth(store: SqliteStore, isQuick = false): Promise<SqliteHealth> {
  return store.read(async (db) => {
    const findings = isQuick ? [] : await column(db, `pragma quick_check(${DAMAGE})`);
    return {
      version: (await column(db, 'select sqlite_version()'))[0] ?? '',
      journalMode: (await column(db, 'pragma journal_mode'))[0] ?? '',
      // Of each finding the first line is a title, and there may be hundreds of others.
      damage: findings
        .flatMap((finding) => finding.split('\n'))
        .filter((line) => line !== 'ok' && !line.startsWith('***'))
        .slice(0, DAMAGE),
      // A signed number on some machines.
      network: NETWORK_FILE_SYSTEMS[statfsSync(store.path).type >>> 0],
    };
  });
}

/**
 * Whether this process may write: takes the write lock, changes nothing.
 * @returns `PRAGMA synchronous` of the connection that writes: 2 is FULL, 3 EXTRA; below, a commit may be lost
 * @throws Refusal temporarily_unavailable
 */
export const tryWriteLock = (store: SqliteStore): Promise<number> =>
  store.write(async (tx) => Number((await column(tx, 'pragma synchronous'))[0]));

/** Bytes of SQLite's log that have not moved into the file yet; 0 when there is none. */
export const walBytes = ({ path }: SqliteStore): number =>
  statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;

/**
 * Good for differences. On Postgres rotations since it began to count, as its statistics have them, a second or two late; on
 * SQLite what servers have added up, some seconds late. @returns null where nobody counts
 */
export async function countRotations(db: Reader): Promise<number | null> {
  if (db.dialect === 'sqlite') return Number((await findSetting(db, 'rotations')) ?? 0);
  const { rows } = await db.connection.execute(ROTATIONS, []);
  const counted = (rows as readonly { readonly rotations: number | null }[])[0]?.rotations ?? null;
  return counted === null ? null : Number(counted);
}

/** Each login and each rotation adds to the timeline, and a login adds a family. */
const ROTATIONS = `
select max(n_tup_ins) filter (where relname = 'refresh_tokens')
  - max(n_tup_ins) filter (where relname = 'token_families') as rotations
from pg_stat_user_tables
where schemaname = current_schema() and relname in ('refresh_tokens', 'token_families')`;

async function column(db: Reader, sql: string): Promise<string[]> {
  const { rows } = await db.connection.execute(sql, []);
  return (rows as readonly Record<string, unknown>[]).map((row) => String(Object.values(row)[0]));
}

/** This program asks for the first and the last; a pooler in between may drop that. */
export type PostgresTimeout = 'statement_timeout' | 'lock_timeout' | 'idle_in_transaction_session_timeout';

/** Settings as `current_setting` spells them. */
export interface PostgresHealth {
  readonly version: string;
  readonly fsync: string;
  readonly synchronousCommit: string;
  readonly fullPageWrites: string;
  /** Time-outs as this connection has them; a setting of 0 is none. */
  readonly timeouts: Readonly<Record<PostgresTimeout, string>>;
  /** `synchronous_standby_names`; empty when a commit waits for no standby. */
  readonly synchronousStandbys: string;
  /** Servers that follow this one now. */
  readonly standbys: number;
  /** This is a standby itself. */
  readonly isStandby: boolean;
  /** Tables that this user may not change. */
  readonly readOnlyTables: readonly string[];
  readonly now: EpochMs;
}

const HEALTH = `
select current_setting('server_version') as version, current_setting('fsync') as fsync,
  current_setting('synchronous_commit') as synchronous_commit,
  current_setting('full_page_writes') as full_page_writes,
  current_setting('statement_timeout') as statement_timeout, current_setting('lock_timeout') as lock_timeout,
  current_setting('idle_in_transaction_session_timeout') as idle_in_transaction_session_timeout,
  current_setting('synchronous_standby_names') as synchronous_standbys,
  (select count(*)::int from pg_stat_replication) as standbys, pg_is_in_recovery() as is_standby,
  floor(extract(epoch from clock_timestamp()) * 1000)::bigint as now`;

const READ_ONLY = `
select tablename as name from pg_tables
where schemaname = any(current_schemas(false)) and tablename = any($1::text[])
  and not (has_table_privilege(format('%I.%I', schemaname, tablename), 'insert')
    and has_table_privilege(format('%I.%I', schemaname, tablename), 'update'))
order by tablename`;

const WRITTEN = [
  'token_families',
  'refresh_tokens',
  'signing_keys',
  'clients',
  'users',
  'revocations',
  'events',
  'settings',
];

interface HealthRow extends Readonly<Record<PostgresTimeout, string>> {
  readonly version: string;
  readonly fsync: string;
  readonly synchronous_commit: string;
  readonly full_page_writes: string;
  readonly synchronous_standbys: string;
  readonly standbys: number;
  readonly is_standby: boolean;
  readonly now: number;
}

/** @throws Refusal temporarily_unavailable */
export function postgresHealth(store: PostgresStore): Promise<PostgresHealth> {
  return store.read(async (db) => {
    const tables = (await db.connection.execute(READ_ONLY, [WRITTEN])).rows as readonly { readonly name: string }[];
    const [row] = (await db.connection.execute(HEALTH, [])).rows as readonly HealthRow[];
    if (row === undefined) throw new Error('Postgres said nothing about itself');
    return {
      version: row.version,
      fsync: row.fsync,
      synchronousCommit: row.synchronous_commit,
      fullPageWrites: row.full_page_writes,
      timeouts: {
        statement_timeout: row.statement_timeout,
        lock_timeout: row.lock_timeout,
        idle_in_transaction_session_timeout: row.idle_in_transaction_session_timeout,
      },
      synchronousStandbys: row.synchronous_standbys,
      standbys: row.standbys,
      isStandby: row.is_standby,
      readOnlyTables: tables.map(({ name }) => name),
      now: epochMs(row.now),
    };
  });
}

/** The keys that current refresh tokens are signed by. Reads an index from end to end. */
export async function listKeysInUse(db: Reader): Promise<readonly KeyId[]> {
  return (await db.sql.selectFrom('token_families').select('kid').distinct().execute()).map((row) => row.kid);
}

/** When the youngest thing in the database was made; null when there is nothing. */
export async function youngestTime(db: Reader): Promise<EpochMs | null> {
  const event = await db.sql
    .selectFrom('events')
    .select('timestamp')
    .orderBy('number', 'desc')
    .limit(1)
    .executeTakeFirst();
  const family = await db.sql
    .selectFrom('token_families')
    .select('created_at')
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst();
  const times = [event?.timestamp, family?.created_at].filter((time) => time !== undefined);
  return times.length === 0 ? null : epochMs(Math.max(...times));
}
