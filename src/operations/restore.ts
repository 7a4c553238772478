/**
 * Making a copy the database again. A copy is a moment of the past: tokens that were spent since would live again, and a
 * key that was found to be stolen would sign again. So every family ends, and what is known of keys is carried over, before
 * the copy takes the place of the database; then nobody can have seen it otherwise.
 */
import type { App } from '../app.ts';
import type { KeyId } from '../domain/ids.ts';
import { Refusal } from '../refusal.ts';
import { copySqlite, createPrivate, removeSqlite } from '../store/backup.ts';
import { type Inspection, inspectSqlite, peekSqlite } from '../store/inspect.ts';
import { migrateUp } from '../store/migrate.ts';
import { checkUnused, replaceSqlite } from '../store/replace.ts';
import { listKeys } from '../store/signing-keys.ts';
import { endAll } from './end-all.ts';
import { declareKeyCompromised } from './keys.ts';

/** How an `App` on another database is had; operations do not open one themselves. */
export interface Opening {
  open(path: string): Promise<App>;
  close(app: App): Promise<void>;
}

export interface RestorePlan {
  /** The file to restore. */
  readonly from: string;
  /** The database. */
  readonly path: string;
  readonly copy: Inspection;
  /** What is there now; undefined for no file, or one that cannot be read. */
  readonly live: Omit<Inspection, 'bytes'> | undefined;
}

/**
 * Looks at both files and changes nothing.
 * @throws Refusal conflict when a process has the database open, when the file is none of ours or of another database;
 *   schema_behind when it is newer than this program; the file system's error
 */
export async function planRestore(from: string, path: string): Promise<RestorePlan> {
  const copy = await inspectSqlite(from);
  checkUnused(path);
  const live = await peekSqlite(path);
  if (live !== undefined && live.instance !== copy.instance) {
    throw new Refusal('conflict', `${from} is a copy of another database: its keys were sealed for that one.`, {
      remedy: `to take it all the same, move ${path} away, and give it the master key of that database`,
    });
  }
  return { from, path, copy, live };
}

export interface RestoreOptions extends Opening {
  readonly signal: AbortSignal;
  /** What was there gets this name. */
  readonly kept: string;
  /** Restores a copy whose keys nobody can open any more. */
  readonly withoutMasterKey: boolean;
  readonly onCopied: (bytes: number, total: number) => void;
  readonly onEnded: (families: number) => void;
}

export interface Restored {
  readonly revoked: number;
  /** Declared compromised after the copy was made. */
  readonly compromised: readonly KeyId[];
  /** Where what was replaced is; null when there was nothing. */
  readonly kept: string | null;
}

/**
 * Prepares the copy beside the database, then puts it in its place, with nothing in between that could be seen.
 * @throws what `planRestore` throws, Refusal master_key_unusable, the signal's reason
 */
export async function restore(plan: RestorePlan, options: RestoreOptions): Promise<Restored> {
  const { path } = plan;
  const prepared = `${path}.restoring-${process.pid}`;
  createPrivate(prepared);
  try {
    const { signal, onCopied } = options;
    await copySqlite(plan.from, prepared, { signal, onProgress: onCopied });
    const done = await prepare(prepared, plan, options);
    signal.throwIfAborted();
    const wasThere = replaceSqlite(path, prepared, options.kept);
    return { ...done, kept: wasThere ? options.kept : null };
  } finally {
    removeSqlite(prepared);
  }
}

async function prepare(
  prepared: string,
  plan: RestorePlan,
  { open, close, signal, withoutMasterKey, onEnded }: RestoreOptions,
): Promise<Omit<Restored, 'kept'>> {
  const app = await open(prepared);
  try {
    await migrateUp(app.store);
    const compromised = withoutMasterKey ? [] : await carryOver(app, plan);
    const onProgress = (ended: number): void => {
      signal.throwIfAborted();
      onEnded(ended);
    };
    const revoked = await endAll(app, { revocation: { cause: 'restored' }, onProgress });
    return { revoked, compromised };
  } finally {
    await close(app);
  }
}

/** Declares in the copy what was declared since. */
async function carryOver(app: App, { from, copy, live }: RestorePlan): Promise<KeyId[]> {
  if (copy.keys.length > 0) await checkMasterKey(app, from);
  const known = new Map((await app.store.read(listKeys)).map((key) => [key.kid, key]));
  const stolen = (live?.keys ?? []).filter(({ kid, state }) => {
    const before = known.get(kid)?.state;
    return state === 'compromised' && before !== undefined && before !== 'compromised';
  });
  for (const { ring, kid } of stolen) await declareKeyCompromised(app, ring, kid);
  return stolen.map(({ kid }) => kid);
}

/** A server could not use what it cannot open; better to hear of it while nothing has changed. */
async function checkMasterKey(app: App, from: string): Promise<void> {
  try {
    await app.master();
  } catch (error) {
    if (!(error instanceof Refusal) || error.code !== 'master_key_unusable') throw error;
    throw new Refusal('master_key_unusable', `The master key of this configuration does not open ${from}.`, {
      remedy: 'put the one of that time in place; lost for good: restore --without-master-key, then keys reset',
      cause: error,
    });
  }
}
