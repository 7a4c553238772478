/**
 * Everything Postgres does differently: a pool with time-outs below the request's, prepared statements by name, the
 * database's own clock, and retries of what the server asks to retry.
 */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { epochMs } from '../domain/time.ts';
import { Refusal } from '../refusal.ts';
import { numberFeed } from './revocations.ts';
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
  /** ms; together below `server.requestTimeout`. */
  poolWait: 2_000,
  statement: 5_000,
  /** The client's own patience, for a server that was stopped or a packet that was swallowed. */
  query: 6_000,
  idleInTransaction: 5_000,
  /** Attempts at a change that Postgres asks to repeat. */
  attempts: 3,
  namedStatements: 300,
  connectRetry: 250,
} as const;

const INT8 = 20;

/** Classes of SQLSTATE that mean trouble with the server, not with us (PostgreSQL, appendix A). */
const TROUBLE = /^(08|25006|40001|40P01|42501|53|55P03|57|58|XX)/;
const REPEATABLE = /^(40001|40P01)$/;
/** Wrong password, no such database or role, not allowed: waiting will not help. */
const MISCONFIGURED = /^(28|3D000|42501)/;

const sqlState = (error: unknown): string | undefined => (error instanceof pg.DatabaseError ? error.code : undefined);

/** An error without an SQLSTATE comes from the connection: reset, refused, timed out. */
function isTrouble(error: unknown): boolean {
  if (error instanceof Refusal) return false;
  const state = sqlState(error);
  return state === undefined ? error instanceof ConnectionTrouble : TROUBLE.test(state);
}

/** Marks what kept a connection from being made or broke it without an SQLSTATE, so that a bug in our code is not taken for it. */
class ConnectionTrouble extends Error {
  constructor(cause: unknown) {
    super('the connection to Postgres failed', { cause });
  }
}

const translate = (error: unknown): unknown => (isTrouble(error) ? unavailable(error) : error);

class PostgresConnection implements Connection {
  readonly #client: pg.PoolClient;
  readonly #names: Map<string, string>;

  constructor(client: pg.PoolClient, names: Map<string, string>) {
    this.#client = client;
    this.#names = names;
  }

  async execute(sql: string, parameters: readonly unknown[]): Promise<Result> {
    try {
      const result = await this.#client.query({ ...this.#named(sql), text: sql, values: [...parameters] });
      return { rows: result.rows, affected: result.rowCount ?? 0 };
    } catch (error) {
      throw error instanceof pg.DatabaseError ? error : new ConnectionTrouble(error);
    }
  }

  /** The server plans a named statement once for each connection. */
  #named(sql: string): { name?: string } {
    let name = this.#names.get(sql);
    if (name === undefined) {
      if (this.#names.size >= limits.namedStatements) return {};
      name = `s${this.#names.size}`;
      this.#names.set(sql, name);
    }
    return { name };
  }
}

const BEGIN = 'begin; select floor(extract(epoch from clock_timestamp()) * 1000)::bigint as now';

/** A connection on loan from the pool. */
interface Leased {
  readonly client: pg.PoolClient;
  readonly reader: Reader & { readonly sql: Tx['sql'] };
}

/** Lends connections, each with its kysely; names of statements are the same on all of them. */
function lender(pool: pg.Pool): () => Promise<Leased> {
  const names = new Map<string, string>();
  const readers = new WeakMap<pg.PoolClient, Leased['reader']>();
  return async () => {
    const client = await pool.connect().catch((error: unknown) => {
      // With an SQLSTATE too: a database taken offline (55000), dropped (3D000) or under another password (28P01) is away.
      throw new ConnectionTrouble(error);
    });
    let reader = readers.get(client);
    if (reader === undefined) {
      const connection = new PostgresConnection(client, names);
      reader = { dialect: 'postgres', connection, sql: kyselyOver('postgres', connection) };
      readers.set(client, reader);
    }
    return { client, reader };
  };
}

/** @returns the database's time, ms */
async function begin(client: pg.PoolClient): Promise<number> {
  try {
    // Several statements in one text give a list of results, which the library's types leave out.
    const results = (await client.query(BEGIN)) as unknown as pg.QueryResult<{ now: number }>[];
    return results[1]?.rows[0]?.now ?? 0;
  } catch (error) {
    throw error instanceof pg.DatabaseError ? error : new ConnectionTrouble(error);
  }
}

async function commit(client: pg.PoolClient): Promise<void> {
  const { command } = await client.query('commit').catch((error: unknown) => {
    throw new OutcomeUnknown(error);
  });
  if (command === 'ROLLBACK') throw new OutcomeUnknown(new Error('the transaction had been aborted'));
}

/** @returns an error when the connection cannot go back to the pool */
async function undo(client: pg.PoolClient, error: unknown): Promise<Error | undefined> {
  if (error instanceof OutcomeUnknown || error instanceof ConnectionTrouble) return error;
  try {
    await client.query('rollback');
    return undefined;
  } catch (failure) {
    return failure instanceof Error ? failure : new Error('rollback failed');
  }
}

async function transact<T>(
  lend: () => Promise<Leased>,
  change: (tx: Tx) => Promise<T>,
  options: StoreOptions,
): Promise<T> {
  const { client, reader } = await lend();
  let broken: Error | undefined;
  try {
    const databaseNow = await begin(client);
    const now = options.databaseClock ? epochMs(databaseNow) : options.now();
    const tx: Tx = { ...reader, ...txContext(now, options.random) };
    const value = await change(tx);
    await numberFeed(tx, options.accessTokenTtl);
    await commit(client);
    if (tx.feed.length > 0) options.onRevoked(tx.feed);
    return value;
  } catch (error) {
    broken = await undo(client, error);
    throw error;
  } finally {
    client.release(broken);
  }
}

async function query<T>(lend: () => Promise<Leased>, ask: (db: Reader) => Promise<T>): Promise<T> {
  const { client, reader } = await lend();
  let broken: Error | undefined;
  try {
    return await ask(reader);
  } catch (error) {
    if (error instanceof ConnectionTrouble) broken = error;
    throw error;
  } finally {
    client.release(broken);
  }
}

/** What meets a serialization failure or a deadlock runs again, three times in all. */
export interface PostgresStore extends Store {
  readonly dialect: 'postgres';
}

/** @throws Refusal database_unusable */
export async function openPostgres(url: string, options: StoreOptions): Promise<PostgresStore> {
  const label = labelOf(url);
  const pool = makePool(url, options);
  const lend = lender(pool);

  function told(error: unknown): unknown {
    if (error instanceof OutcomeUnknown || isTrouble(error)) options.onTrouble(error);
    return translate(error);
  }

  /** What Postgres asks to repeat has changed nothing, be it a transaction or the one statement of many rotations. */
  async function repeated<T>(attempt: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await attempt();
      } catch (error) {
        if (tries < limits.attempts && REPEATABLE.test(sqlState(error) ?? '')) continue;
        throw told(error);
      }
    }
  }

  await firstContact(pool, label, options.waitForDatabase);
  return {
    dialect: 'postgres',
    label,
    read: (ask) => repeated(() => query(lend, ask)),
    write: (change) => repeated(() => transact(lend, change, options)),
    close: () => pool.end(),
  };
}

function makePool(url: string, options: StoreOptions): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max: options.poolSize,
    connectionTimeoutMillis: limits.poolWait,
    statement_timeout: limits.statement,
    query_timeout: limits.query,
    idle_in_transaction_session_timeout: limits.idleInTransaction,
    keepAlive: true,
    application_name: 'auth-server',
    // bigint as number: every one of ours is a time in ms or a count.
    types: {
      getTypeParser: ((oid: number, format?: 'text') =>
        oid === INT8 ? Number : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser,
    },
  });
  // An idle connection that breaks is replaced at the next use; without a listener it would end the process.
  pool.on('error', options.onTrouble);
  // One that is lent can break as well, between two statements; who holds it hears of it at the next.
  pool.on('connect', (client) => client.on('error', options.onTrouble));
  return pool;
}

async function firstContact(pool: pg.Pool, label: string, patience: number): Promise<void> {
  const end = performance.now() + patience;
  for (;;) {
    try {
      (await pool.connect()).release();
      return;
    } catch (error) {
      const state = sqlState(error) ?? codeOf(error);
      if (performance.now() < end && !MISCONFIGURED.test(state)) {
        await delay(limits.connectRetry);
        continue;
      }
      await pool.end();
      throw new Refusal('database_unusable', `The database ${label} cannot be reached (${state || 'no answer'}).`, {
        remedy: 'check database.url and that Postgres runs and lets this user in: auth-server doctor',
        cause: error,
      });
    }
  }
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';

/** The address without user and password. */
function labelOf(url: string): string {
  try {
    const { host, pathname } = new URL(url);
    return `postgres://${host}${pathname}`;
  } catch {
    return 'postgres';
  }
}
