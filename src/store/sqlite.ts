/**
 * Everything SQLite does differently: one writer whose waiting changes share a commit, one reader beside it (WAL), private
 * file modes, and a lock held by another process waited for from a timer, because the driver is synchronous and would
 * otherwise stop the whole server, health checks included.
 */
import { closeSync, existsSync, openSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import BetterSqlite3 from 'better-sqlite3';
import { Refusal } from '../refusal.ts';
import { type Commits, makeGroupCommit } from './group-commit.ts';
import { type FeedEntry, numberFeed } from './revocations.ts';
import {
  type Connection,
  kyselyOver,
  OutcomeUnknown,
  type Reader,
  type Result,
  type Store,
  type StoreOptions,
  type Tx,
  txContext,
  unavailable,
} from './store.ts';

const limits = {
  /** How long a change waits for a lock that another process holds, ms; below `server.requestTimeout`. */
  lockWait: 2_000,
  lockRetry: 5,
  /** How often a reader looks whether the file is still in its place, ms. */
  placeCheck: 1_000,
  statements: 500,
  /** Pages of the WAL before SQLite moves them into the file. */
  checkpointPages: 4_000,
} as const;

/** Primary result codes that mean trouble with the file or its disk, not with us (SQLite, "Result Codes"). */
const TROUBLE = /^SQLITE_(PERM|BUSY|LOCKED|READONLY|IOERR|CORRUPT|FULL|CANTOPEN|PROTOCOL|NOTADB|SCHEMA)/;

/** SQLite's name of what went wrong; empty for what is not SQLite's. */
export const codeOf = (error: unknown): string =>
  error instanceof BetterSqlite3.SqliteError ? error.code : error instanceof TypeError ? 'closed' : '';

const isBusy = (error: unknown): boolean => /^SQLITE_(BUSY|LOCKED)/.test(codeOf(error));

const translate = (error: unknown): unknown => (TROUBLE.test(codeOf(error)) ? unavailable(error) : error);

class SqliteConnection implements Connection {
  readonly #db: BetterSqlite3.Database;
  readonly #statements = new Map<string, BetterSqlite3.Statement>();

  constructor(db: BetterSqlite3.Database) {
    this.#db = db;
  }

  /** Settles at once: the driver is synchronous, so a whole transaction runs within one turn of the event loop. */
  async execute(sql: string, parameters: readonly unknown[]): Promise<Result> {
    const statement = this.#prepare(sql);
    if (statement.reader) {
      const rows = statement.all(...parameters);
      return { rows, affected: rows.length };
    }
    return { rows: [], affected: statement.run(...parameters).changes };
  }

  #prepare(sql: string): BetterSqlite3.Statement {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    if (this.#statements.size >= limits.statements) this.#statements.clear();
    const statement = this.#db.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}

function open(path: string, options: BetterSqlite3.Options): BetterSqlite3.Database {
  const db = new BetterSqlite3(path, options);
  // Only while opening: switching to WAL needs a lock, and nothing else runs yet.
  db.pragma('busy_timeout = 2000');
  return db;
}

function openWriter(path: string): BetterSqlite3.Database {
  // Created here, because SQLite gives `-wal` and `-shm` the mode of the database, whatever the umask.
  if (!existsSync(path)) closeSync(openSync(path, 'a', 0o600));
  const db = openInPlace(path);
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.pragma('foreign_keys = ON');
  db.pragma(`wal_autocheckpoint = ${limits.checkpointPages}`);
  db.pragma('busy_timeout = 0');
  return db;
}

/**
 * A restore puts another file in this place while it holds the old one locked: whoever has waited for that lock has a file
 * that nobody else will look at again, and must not write a log under the name that is the new one's.
 */
function openInPlace(path: string): BetterSqlite3.Database {
  for (;;) {
    const before = fileAt(path);
    const db = open(path, { fileMustExist: true });
    try {
      // Waits for the lock.
      db.pragma('schema_version');
    } catch (error) {
      db.close();
      throw error;
    }
    if (fileAt(path) === before) return db;
    db.close();
  }
}

/** Tells one file from another that has its name later. */
const fileAt = (path: string): string | undefined => {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats === undefined ? undefined : `${stats.dev}:${stats.ino}`;
};

function openReader(path: string): BetterSqlite3.Database {
  const db = open(path, { fileMustExist: true, readonly: true });
  db.pragma('busy_timeout = 0');
  return db;
}

/** One writing connection and one reading, both synchronous: a statement holds the event loop while it runs. */
export interface SqliteStore extends Store {
  readonly dialect: 'sqlite';
  readonly path: string;
  /** Moves whenever any other connection, of any process, has committed (`PRAGMA data_version`). */
  dataVersion(): number;
}

interface Files {
  readonly writer: BetterSqlite3.Database;
  readonly reader: BetterSqlite3.Database;
}

function openFiles(path: string): Files {
  try {
    const writer = openWriter(path);
    try {
      return { writer, reader: openReader(path) };
    } catch (error) {
      writer.close();
      throw error;
    }
  } catch (error) {
    throw unusable(path, error);
  }
}

/** What opening it failed with, in words. */
export function unusable(path: string, error: unknown): Refusal {
  const reason = codeOf(error) || reasonOf(error);
  const owner = ownerOf(path);
  const isOthers = owner !== undefined && owner !== process.geteuid?.();
  return new Refusal('database_unusable', `The database sqlite:${path} cannot be opened (${reason}).`, {
    remedy: isOthers
      ? `run this as the user that owns the file (user id ${owner})`
      : 'check that its folder is there and writable, and that the file is a SQLite database: auth-server doctor',
    cause: error,
  });
}

function ownerOf(path: string): number | undefined {
  try {
    return statSync(path).uid;
  } catch {
    return undefined;
  }
}

/**
 * One look at a database that need not be ours, and nothing more. `guest` reads a file that is to stay as it is; `owner` puts
 * away what SQLite leaves beside a database, which a connection that may not write cannot.
 */
export async function readSqlite<T>(
  path: string,
  as: 'guest' | 'owner',
  query: (db: Reader) => Promise<T>,
): Promise<T> {
  const db = as === 'guest' ? openReader(path) : open(path, { fileMustExist: true });
  try {
    return await query(accessTo(db));
  } finally {
    db.close();
  }
}

/** Repeats from a timer what found the database locked by another process. */
async function whileBusy<T>(attempt: () => T | Promise<T>): Promise<T> {
  const end = performance.now() + limits.lockWait;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!isBusy(error) || performance.now() >= end) throw error;
      await delay(limits.lockRetry);
    }
  }
}

function accessTo(db: BetterSqlite3.Database) {
  const connection = new SqliteConnection(db);
  return { dialect: 'sqlite', connection, sql: kyselyOver('sqlite', connection) } as const;
}

/**
 * A file that was moved, deleted or replaced goes on for whoever has it open: changes would be confirmed and then be gone,
 * and a file put in its place would never be seen. Whoever puts the old one back is served again.
 */
function placeOf(path: string): { check(): void; checkNowAndThen(): void } {
  const opened = fileAt(path);
  let checkedAt = performance.now();
  function check(): void {
    if (fileAt(path) !== opened) throw unavailable(new Error(`${path} is no longer the file that was opened: restart`));
    checkedAt = performance.now();
  }
  return {
    check,
    checkNowAndThen: () => {
      if (performance.now() - checkedAt >= limits.placeCheck) check();
    },
  };
}

function commitsOf(writer: BetterSqlite3.Database, inPlace: () => void, options: StoreOptions): Commits<Tx> {
  const forWriting = accessTo(writer);
  const begin = writer.prepare('begin immediate');
  const commit = writer.prepare('commit');
  const rollback = writer.prepare('rollback');
  /** Of the changes that wait for the next commit. */
  let feed: FeedEntry[] = [];
  return {
    begin: async () => {
      feed = [];
      // At every commit: next to its sync this costs nothing.
      inPlace();
      await whileBusy(() => begin.run());
    },
    async run(change) {
      const tx: Tx = { ...forWriting, ...txContext(options.now(), options.random) };
      const value = await change(tx);
      await numberFeed(tx, options.accessTokenTtl);
      feed.push(...tx.feed);
      return value;
    },
    commit: () => {
      commit.run();
      if (feed.length > 0) options.onRevoked(feed);
    },
    rollback: () => {
      if (writer.inTransaction) rollback.run();
    },
    translate,
    outcomeUnknown(error) {
      options.onTrouble(error);
      return new OutcomeUnknown(error);
    },
  };
}

/** @throws Refusal database_unusable */
export function openSqlite(path: string, options: StoreOptions): SqliteStore {
  const { writer, reader } = openFiles(path);
  const forReading: Reader = accessTo(reader);
  const dataVersion = reader.prepare('pragma data_version').pluck();
  const place = placeOf(path);
  const { write, idle } = makeGroupCommit(commitsOf(writer, place.check, options));
  return {
    dialect: 'sqlite',
    label: `sqlite:${path}`,
    path,
    read: (query) =>
      whileBusy(() => {
        place.checkNowAndThen();
        return query(forReading);
      }).catch((error: unknown) => {
        throw translate(error);
      }),
    write,
    dataVersion() {
      try {
        return dataVersion.get() as number;
      } catch (error) {
        throw translate(error);
      }
    },
    async close() {
      await idle();
      reader.close();
      writer.close();
    },
  };
}

const reasonOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown reason';
