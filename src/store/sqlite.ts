/**
 * Everything SQLite does differently: one writer whose waiting changes share a commit, one reader beside it (WAL), private
 * file modes, and a lock held by another process waited for from a timer, because the driver is synchronous and would
 * otherwise stop the whole server, health checks included.
 */
import { closeSync, existsSync, openSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import BetterSqlite3 from 'better-sqlite3';
import { Refusal } from '../refusal.ts';
import { numberFeed } from './revocations.ts';
import { type Connection, kyselyOver, OutcomeUnknown, type Reader, type Result, type Store, type StoreOptions, type Tx, txContext, unavailable } from './store.ts';

const limits = {
  /** How long a change waits for a lock that another process holds, ms; below `server.requestTimeout`. */
  lockWait: 2_000,
  lockRetry: 5,
  /** Changes in one commit: beyond it the commit gets no cheaper for anyone. */
  changesPerCommit: 256,
  statements: 500,
  /** Pages of the WAL before SQLite moves them into the file. */
  checkpointPages: 4_000,
} as const;

interface Waiting {
  readonly change: (tx: Tx) => Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

type Outcome = { readonly value: unknown } | { readonly error: unknown };

/** Primary result codes that mean trouble with the file or its disk, not with us (SQLite, "Result Codes"). */
const TROUBLE = /^SQLITE_(PERM|BUSY|LOCKED|READONLY|IOERR|CORRUPT|FULL|CANTOPEN|PROTOCOL|NOTADB|SCHEMA)/;

const codeOf = (error: unknown): string =>
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
  const db = open(path, { fileMustExist: true });
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.pragma('foreign_keys = ON');
  db.pragma(`wal_autocheckpoint = ${limits.checkpointPages}`);
  db.pragma('busy_timeout = 0');
  return db;
}

function openReader(path: string): BetterSqlite3.Database {
  const db = open(path, { fileMustExist: true, readonly: true });
  db.pragma('busy_timeout = 0');
  return db;
}

export interface SqliteStore extends Store {
  readonly dialect: 'sqlite';
  readonly path: string;
  /** Moves whenever any other connection, of any process, has committed (`PRAGMA data_version`). */
  dataVersion(): number;
}

/** @throws Refusal database_unusable */
export function openSqlite(path: string, options: StoreOptions): SqliteStore {
  let writer: BetterSqlite3.Database;
  let reader: BetterSqlite3.Database;
  try {
    writer = openWriter(path);
    reader = openReader(path);
  } catch (error) {
    throw new Refusal('database_unusable', `The database sqlite:${path} cannot be opened (${codeOf(error) || reasonOf(error)}).`, {
      remedy: 'check that the folder exists and is writable, and that the file is a SQLite database: auth-server doctor',
      cause: error,
    });
  }

  const writeConnection = new SqliteConnection(writer);
  const readConnection = new SqliteConnection(reader);
  const forWriting = { dialect: 'sqlite', connection: writeConnection, sql: kyselyOver('sqlite', writeConnection) } as const;
  const forReading: Reader = { dialect: 'sqlite', connection: readConnection, sql: kyselyOver('sqlite', readConnection) };
  const begin = writer.prepare('begin immediate');
  const commit = writer.prepare('commit');
  const rollback = writer.prepare('rollback');
  const dataVersion = reader.prepare('pragma data_version').pluck();

  const queue: Waiting[] = [];
  let draining: Promise<void> | undefined;

  async function run(change: Waiting['change']): Promise<unknown> {
    const tx: Tx = { ...forWriting, ...txContext(options.now(), options.random) };
    const value = await change(tx);
    await numberFeed(tx, options.accessTokenTtl);
    return value;
  }

  /** Takes the write lock, waiting from a timer while another process holds it. */
  async function beginImmediate(): Promise<void> {
    for (let waited = 0; ; waited += limits.lockRetry) {
      try {
        begin.run();
        return;
      } catch (error) {
        if (!isBusy(error) || waited >= limits.lockWait) throw error;
        await delay(limits.lockRetry);
      }
    }
  }

  /** All changes in one commit. A refusal is a value, so a throw is rare: then everything is undone, and each runs alone. */
  async function commitTogether(batch: readonly Waiting[]): Promise<Outcome[]> {
    await beginImmediate();
    const values: unknown[] = [];
    try {
      for (const { change } of batch) values.push(await run(change));
    } catch (error) {
      undo();
      if (batch.length === 1) return [{ error: translate(error) }];
      const outcomes: Outcome[] = [];
      for (const one of batch) outcomes.push(...(await settle([one])));
      return outcomes;
    }
    try {
      commit.run();
    } catch (error) {
      undo();
      options.onTrouble(error);
      return batch.map(() => ({ error: new OutcomeUnknown(error) }));
    }
    return values.map((value) => ({ value }));
  }

  function undo(): void {
    if (writer.inTransaction) rollback.run();
  }

  const settle = (batch: readonly Waiting[]): Promise<Outcome[]> =>
    commitTogether(batch).catch((error: unknown) => batch.map(() => ({ error: translate(error) })));

  async function drain(): Promise<void> {
    // Everything that this turn of the event loop asks for goes into one commit.
    await new Promise((resolve) => setImmediate(resolve));
    while (queue.length > 0) {
      const batch = queue.splice(0, limits.changesPerCommit);
      const outcomes = await settle(batch);
      for (const [index, waiting] of batch.entries()) {
        const outcome = outcomes[index] ?? { error: new Error('a change without an outcome') };
        if ('error' in outcome) waiting.reject(outcome.error);
        else waiting.resolve(outcome.value);
      }
      // Lets the answers leave, and the next requests in, before the next commit.
      if (queue.length > 0) await new Promise((resolve) => setImmediate(resolve));
    }
    draining = undefined;
  }

  async function read<T>(query: (db: Reader) => Promise<T>): Promise<T> {
    for (let waited = 0; ; waited += limits.lockRetry) {
      try {
        return await query(forReading);
      } catch (error) {
        if (!isBusy(error) || waited >= limits.lockWait) throw translate(error);
        await delay(limits.lockRetry);
      }
    }
  }

  return {
    dialect: 'sqlite',
    label: `sqlite:${path}`,
    path,
    read,
    write<T>(change: (tx: Tx) => Promise<T>): Promise<T> {
      return new Promise<T>((resolve, reject) => {
        queue.push({ change, resolve: resolve as (value: unknown) => void, reject });
        draining ??= drain();
      });
    },
    dataVersion: () => {
      try {
        return dataVersion.get() as number;
      } catch (error) {
        throw translate(error);
      }
    },
    async close() {
      await draining;
      reader.close();
      writer.close();
    },
  };
}

const reasonOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown reason';
