/**
 * What `doctor` looks at before there is a database: this program, the files and the disk that it stands on. It stands apart
 * because it is the machine's business, and works when nothing else does.
 */
import { type Stats, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Config } from '../src/config/config.ts';
import type { LoadedConfig } from '../src/config/load.ts';
import { listenComplaint } from '../src/config/rules.ts';
import { isLoopback } from '../src/config/values.ts';
import { type Finding, fail, ok, warn } from '../src/domain/finding.ts';
import { VERSION } from '../src/version.ts';

/** The oldest Node that has what this program is made of (argon2, since 24.7). */
const OLDEST_NODE = [24, 7] as const;

const MIB = 1024 * 1024;
/** Bytes below which the next commits may fail, and below which somebody should look. */
const ROOM = { broken: 64 * MIB, tight: 512 * MIB } as const;

/** Magic numbers of file systems over a network (`statfs(2)`): NFS, SMB, CIFS, SMB2. */
const NETWORK_FILE_SYSTEMS = new Set([0x6969, 0x517b, 0xff534d42, 0xfe534d42]);

/** Fails below Node 24.7; the executable brings its own. */
export function checkRuntime(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const message = `auth-server ${VERSION}, Node ${process.versions.node}`;
  const [oldest, least] = OLDEST_NODE;
  if (major > oldest || (major === oldest && minor >= least)) return ok('runtime', message);
  return fail('runtime', `${message} is too old`, 'take the executable, which has its own, or the Node of npm start');
}

/** One warning for each that the loader has. */
export function checkConfigFile({ file, warnings }: LoadedConfig): readonly Finding[] {
  const where = file ?? 'no file: defaults and environment';
  if (warnings.length === 0) return [ok('configuration', where)];
  return warnings.map((warning) => warn('configuration', warning, 'auth-server config check'));
}

/** What the issuer and the address to listen on say about each other. */
export function checkIssuer(config: Config): Finding {
  const complaint = listenComplaint(config);
  if (complaint !== undefined) return fail('issuer', complaint.message, complaint.remedy);
  const { issuer } = config;
  if (issuer.startsWith('https://')) return ok('issuer', issuer);
  const { hostname } = new URL(issuer);
  if (isLoopback(hostname.replace(/^\[|\]$/g, '')))
    return ok('issuer', `${issuer}: this machine only, for development`);
  return warn('issuer', `${issuer}: http is for development`, 'set issuer to the public https URL');
}

/** Modes of the files that hold secrets or sessions, and the room on their disk. What may not be looked at is a finding, too. */
export function checkFiles(config: Config): readonly Finding[] {
  try {
    return lookAtFiles(config);
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error && 'code' in error)) throw error;
    return [fail('files', `they cannot be looked at (${error.code})`, 'run as the user that serves')];
  }
}

function lookAtFiles(config: Config): readonly Finding[] {
  const findings: Finding[] = [];
  const { masterKey } = config;
  if (masterKey.kind === 'file') findings.push(...checkPrivate('master key file', masterKey.path));
  const [, path] = /^sqlite:(.*)$/s.exec(config.database.url.reveal()) ?? [];
  if (path === undefined) return findings;
  for (const suffix of ['', '-wal', '-shm'])
    findings.push(...checkPrivate(`database file${suffix}`, `${path}${suffix}`));
  return [...findings, ...checkLog(path), ...checkFolder(path), ...checkDisk(path)];
}

const statOf = (path: string): Stats | undefined => statSync(path, { throwIfNoEntry: false });

const octal = (mode: number): string => (mode & 0o777).toString(8).padStart(4, '0');

/** A file that is not there is the business of whoever opens it. */
function checkPrivate(name: string, path: string): readonly Finding[] {
  const stats = statOf(path);
  if (stats === undefined) return [];
  const mode = octal(stats.mode);
  if ((stats.mode & 0o077) !== 0) return [fail(name, `${path} is open to others, mode ${mode}`, `chmod 600 ${path}`)];
  const owner = process.geteuid?.();
  if (owner === undefined || owner === 0 || owner === stats.uid) return [ok(name, `${path}, mode ${mode}`)];
  return [
    fail(
      name,
      `${path} belongs to user ${stats.uid}, this runs as ${owner}`,
      `run as its owner, or chown ${owner} ${path}`,
    ),
  ];
}

/**
 * SQLite's log holds commits that are not in the file yet, after a crash until the next start. Both files beside the
 * database go at a clean stop, so an index without a log tells that somebody took the log away (security Q3).
 */
function checkLog(path: string): readonly Finding[] {
  const log = statOf(`${path}-wal`);
  const name = 'write-ahead log';
  if (log === undefined) {
    if (statOf(`${path}-shm`) === undefined) return [];
    const message = `${path}-wal is gone and ${path}-shm is not: the last commits may be lost, and revoked sessions live again`;
    return [warn(name, message, 'put it back; else restore the last backup, or: auth-server restore --in-place')];
  }
  if (log.size === 0) return [];
  const message = `${path}-wal, ${Math.ceil(log.size / 1024)} KiB: commits of their own; copy with auth-server backup, never the file alone`;
  return [ok(name, message)];
}

/** Whoever may write into the folder may put another file in the place of the database. */
function checkFolder(path: string): readonly Finding[] {
  const folder = dirname(path);
  const stats = statOf(folder);
  if (stats === undefined)
    return [
      fail('database folder', `there is no folder ${folder}`, `correct database.url, or: mkdir -m 700 ${folder}`),
    ];
  // With the sticky bit only the owner of a file may replace it.
  const isShared = (stats.mode & 0o002) !== 0 && (stats.mode & 0o1000) === 0;
  const name = 'database folder';
  if (isShared)
    return [warn(name, `${folder} can be written by others, mode ${octal(stats.mode)}`, `chmod o-w ${folder}`)];
  return [ok(name, `${folder}, mode ${octal(stats.mode)}`)];
}

function checkDisk(path: string): readonly Finding[] {
  const folder = dirname(path);
  if (statOf(folder) === undefined) return [];
  const { bavail, bsize, type } = statfsSync(folder);
  const free = bavail * bsize;
  const message = `${Math.floor(free / MIB).toLocaleString('en')} MiB free`;
  const remedy = 'make room; docs/runbook-full-disk.md';
  const room =
    free < ROOM.broken
      ? fail('disk', message, remedy)
      : free < ROOM.tight
        ? warn('disk', message, remedy)
        : ok('disk', message);
  if (!NETWORK_FILE_SYSTEMS.has(type)) return [room];
  return [
    room,
    warn('file system', 'the database is on a network: SQLite needs a local disk', 'move it, or use Postgres'),
  ];
}
