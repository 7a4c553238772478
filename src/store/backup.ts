/**
 * A copy of a live SQLite database that is one moment of its history, checked before it gets its name. It stands apart
 * because it handles files: whatever goes wrong, there is the whole copy or none.
 */
import { chmodSync, closeSync, existsSync, fsyncSync, linkSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import BetterSqlite3 from 'better-sqlite3';
import { Refusal } from '../refusal.ts';
import { codeOf } from './sqlite.ts';

export interface CopyWatch {
  /** Ends the copy; what there is of it goes. */
  readonly signal: AbortSignal;
  readonly onProgress?: ((bytes: number, total: number) => void) | undefined;
}

/** Pages in one step, 4 MiB: between two steps signals and timers get their turn. */
const STEP = 1_000;

/** What SQLite may put beside a file. */
export const COMPANIONS = ['-wal', '-shm', '-journal'] as const;

/**
 * Copies page by page into an empty file of ours, while others read and write. @throws SQLite's error, or the signal's reason
 */
export async function copySqlite(source: string, target: string, { signal, onProgress }: CopyWatch): Promise<void> {
  const db = new BetterSqlite3(source, { fileMustExist: true, readonly: true });
  try {
    // One reading transaction around the whole copy. Without it every commit of another process makes SQLite begin again:
    // measured, a copy beside one writer never ends.
    db.exec('begin');
    db.prepare('select count(*) from sqlite_master').get();
    const pageSize = Number(db.pragma('page_size', { simple: true }));
    await db.backup(target, {
      progress({ totalPages, remainingPages }) {
        signal.throwIfAborted();
        onProgress?.((totalPages - remainingPages) * pageSize, totalPages * pageSize);
        return STEP;
      },
    });
    signal.throwIfAborted();
  } finally {
    db.close();
  }
}

/** Makes one file of it, without companions. @returns the first damage that SQLite finds, undefined when it is whole */
function settleCopy(path: string): string | undefined {
  const db = new BetterSqlite3(path, { fileMustExist: true });
  try {
    db.pragma('journal_mode = DELETE');
    const finding = String(db.pragma('integrity_check(1)', { simple: true }));
    return finding === 'ok' ? undefined : finding;
  } finally {
    db.close();
  }
}

const taken = (target: string): Refusal =>
  new Refusal('conflict', `${target} exists already, and a backup replaces nothing.`, { remedy: 'name another file' });

/**
 * Writes the copy. @returns its size in bytes
 * @throws Refusal conflict, the signal's reason, the file system's error
 */
export async function backupSqlite(source: string, target: string, watch: CopyWatch): Promise<number> {
  const companions = COMPANIONS.map((suffix) => resolve(`${source}${suffix}`));
  if (existsSync(target) || companions.includes(resolve(target))) throw taken(target);
  const temporary = `${target}.partial-${process.pid}`;
  createPrivate(temporary);
  try {
    await copyInto(source, temporary, watch);
    const damage = settleCopy(temporary);
    watch.signal.throwIfAborted();
    if (damage !== undefined) {
      throw new Refusal('conflict', `The copy is damaged, and so is the database (${damage}).`, {
        remedy: 'auth-server doctor; keep the backups that you have',
      });
    }
    const { size } = statSync(temporary);
    publish(temporary, target);
    return size;
  } finally {
    removeSqlite(temporary);
  }
}

async function copyInto(source: string, temporary: string, watch: CopyWatch): Promise<void> {
  try {
    await copySqlite(source, temporary, watch);
  } catch (error) {
    const code = codeOf(error);
    if (!code.startsWith('SQLITE_')) throw error;
    throw new Refusal('conflict', `The copy could not be made (${code}).`, {
      remedy: 'look for room on the disk of the copy, and for damage with auth-server doctor',
      cause: error,
    });
  }
}

/** An empty file that is nobody else's to read, whatever the umask. @throws when there is one */
export function createPrivate(path: string): void {
  closeSync(openSync(path, 'wx', 0o600));
  chmodSync(path, 0o600);
}

/** With what SQLite may have put beside it. */
export function removeSqlite(path: string): void {
  for (const suffix of ['', ...COMPANIONS]) rmSync(`${path}${suffix}`, { force: true });
}

/** Gives a finished file its name, and never takes one away from another file. */
function publish(temporary: string, target: string): void {
  try {
    linkSync(temporary, target);
  } catch (error) {
    if (existsSync(target)) throw taken(target);
    // Some file systems have no second names. Nobody else had this one a moment ago.
    if (!isWithoutLinks(error)) throw error;
    renameSync(temporary, target);
  }
  rmSync(temporary, { force: true });
  syncFolder(target);
}

/** Whether a file system says that it has no hard links. */
export const isWithoutLinks = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && /^(EPERM|ENOTSUP|EOPNOTSUPP|ENOSYS|EMLINK)$/.test(String(error.code));

/** A name survives a power loss only when its folder is written out. */
export function syncFolder(path: string): void {
  const folder = openSync(dirname(path), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
