/**
 * Putting another file in the place of a SQLite database, which must be nobody's at that moment. In WAL mode every
 * connection, of any process, keeps a shared lock on the file until it closes; so whoever gets the exclusive lock knows to
 * be alone, and stays alone until the new file is in place.
 */
import { chownSync, existsSync, linkSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import BetterSqlite3 from 'better-sqlite3';
import { Refusal } from '../refusal.ts';
import { COMPANIONS, isWithoutLinks, syncFolder } from './backup.ts';
import { codeOf, unusable } from './sqlite.ts';

/** What cannot be read as a database cannot be locked as one either. */
const DAMAGED = /^SQLITE_(NOTADB|CORRUPT|IOERR)/;

type Hold = { readonly kind: 'held'; readonly db: BetterSqlite3.Database } | { readonly kind: 'damaged' };

const inUse = (path: string): Refusal =>
  new Refusal('conflict', `A process has the database sqlite:${path} open.`, {
    remedy: 'stop every serve, worker and tui that uses it, then the same command again',
  });

/** Takes the database for this process alone. @throws Refusal conflict when another has it open, database_unusable */
function hold(path: string): Hold {
  let db: BetterSqlite3.Database | undefined;
  try {
    db = new BetterSqlite3(path, { fileMustExist: true });
    db.pragma('busy_timeout = 0');
    // Before anything is read: then the lock is taken for good with the first transaction.
    db.pragma('locking_mode = EXCLUSIVE');
    db.exec('begin exclusive; commit');
    return { kind: 'held', db };
  } catch (error) {
    db?.close();
    const code = codeOf(error);
    if (/^SQLITE_(BUSY|LOCKED)/.test(code)) throw inUse(path);
    if (!DAMAGED.test(code)) throw unusable(path, error);
    if (hasLocks(path)) throw inUse(path);
    return { kind: 'damaged' };
  }
}

/**
 * Whether the kernel knows of a lock on the file or its shared memory: for a file that is too damaged to ask SQLite. Seen
 * is what this machine, or this container, may see. By the number of the file alone: some file systems tell two devices.
 */
function hasLocks(path: string): boolean {
  let table: string;
  try {
    table = readFileSync('/proc/locks', 'utf8');
  } catch {
    return false;
  }
  const held = new Set(Array.from(table.matchAll(/:(\d+) \S+ \S+$/gm), (match) => match[1]));
  return [path, `${path}-shm`].some((file) => held.has(String(statSync(file, { throwIfNoEntry: false })?.ino)));
}

/** Asks without changing anything. @throws Refusal conflict when a process has it open, database_unusable */
export function checkUnused(path: string): void {
  if (existsSync(path)) {
    const held = hold(path);
    if (held.kind === 'held') held.db.close();
  } else {
    checkNoRemains(path);
  }
}

/** A log of a database that has something in it. */
const logOf = (path: string): string | undefined =>
  ['-wal', '-journal']
    .map((suffix) => `${path}${suffix}`)
    .find((file) => (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > 0);

/** SQLite would take the log of a database that is gone for that of the new one. */
function checkNoRemains(path: string): void {
  const remains = logOf(path);
  if (remains === undefined) return;
  throw new Refusal('conflict', `${remains} is there, and the database that it belongs to is not.`, {
    remedy: 'put the database back beside it, or move it away',
  });
}

/**
 * `prepared` becomes `path`, and what was there becomes `kept`. Nothing in here waits, so no signal comes in between; a
 * power loss leaves the one file or the other at `path`, never none.
 * @returns whether there was a file to keep
 * @throws Refusal conflict when a process has it open, or when `prepared` is not whole without its log; database_unusable
 */
export function replaceSqlite(path: string, prepared: string, kept: string): boolean {
  // SQLite says nothing when, on a full disk, the last to close cannot move the log into the file. What is in there would be
  // lost with its name: that every session has ended.
  if (logOf(prepared) !== undefined) {
    throw new Refusal('conflict', 'The copy could not be written whole; nothing was replaced.', {
      remedy: `make room on the disk of ${path}, then the same command again`,
    });
  }
  const before = statSync(path, { throwIfNoEntry: false });
  if (before === undefined) {
    checkNoRemains(path);
    renameSync(prepared, path);
    syncFolder(path);
    return false;
  }
  const held = hold(path);
  try {
    if (held.kind === 'held') makeWhole(held.db, path);
    giveOwner(prepared, before);
    keep(path, kept);
    renameSync(prepared, path);
    syncFolder(path);
  } finally {
    if (held.kind === 'held') held.db.close();
  }
  return true;
}

/** Moves the log into the file, so that the file alone is the database; and keeps the lock. */
function makeWhole(db: BetterSqlite3.Database, path: string): void {
  db.pragma('journal_mode = DELETE');
  // From here on nothing of this connection has a name in the folder: it would be the new database's.
  db.pragma('journal_mode = MEMORY');
  db.exec('begin exclusive');
  for (const suffix of COMPANIONS) rmSync(`${path}${suffix}`, { force: true });
}

/** root restores for the user that runs the server. */
function giveOwner(prepared: string, { uid, gid }: { readonly uid: number; readonly gid: number }): void {
  const { uid: ours, gid: group } = statSync(prepared);
  if (ours !== uid || group !== gid) chownSync(prepared, uid, gid);
}

function keep(path: string, kept: string): void {
  try {
    linkSync(path, kept);
  } catch (error) {
    if (!isWithoutLinks(error)) throw error;
    renameSync(path, kept);
  }
  rmSync(`${path}-shm`, { force: true });
  // Only a damaged database has these left; they are part of what is kept.
  for (const suffix of ['-wal', '-journal']) {
    if (existsSync(`${path}${suffix}`)) renameSync(`${path}${suffix}`, `${kept}${suffix}`);
  }
}
