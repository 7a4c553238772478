/**
 * The master key: the one secret that is not in the database. It seals the private halves of all signing keys with
 * AES-256-GCM, each bound to its purpose, its key id and this instance, so that rows cannot be swapped.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import type { Sha256 } from '../domain/ids.ts';

/** Derived from 32 bytes: `key` seals (AES-256-GCM), `usernames` hashes names (HKDF of the same bytes, RFC 5869). */
export interface MasterKey {
  /** Short and public: tells which master key sealed a row. */
  readonly id: string;
  readonly key: KeyObject;
  readonly usernames: KeyObject;
}

/** What is sealed: its purpose, its id, and the instance it belongs to. */
export interface SealContext {
  readonly purpose: 'signing-key' | 'check' | 'cursor';
  readonly id: string;
  readonly instance: string;
}

const FORMAT = 'v1';
const TEXT = /^[A-Za-z0-9+/]{43}=$/;

/** @returns undefined unless the text is 32 bytes in base64 that are not all zero */
export function parseMasterKey(text: string): MasterKey | undefined {
  const line = text.replace(/\r?\n$/, '');
  const bytes = Buffer.from(line, 'base64');
  if (!TEXT.test(line) || bytes.length !== 32 || bytes.every((byte) => byte === 0)) return undefined;
  return {
    id: createHash('sha256').update('auth-server master key id').update(bytes).digest('base64url').slice(0, 8),
    key: createSecretKey(bytes),
    usernames: createSecretKey(Buffer.from(hkdfSync('sha256', bytes, '', 'auth-server usernames', 32))),
  };
}

/** What `parseMasterKey` reads: 32 random bytes in base64, without a line break. */
export const makeMasterKeyText = (): string => randomBytes(32).toString('base64');

/**
 * Never replaces a file; the whole file or none, and on the disk with its name before anything is sealed under it.
 * @throws the file system's error
 */
export function createMasterKeyFile(path: string): void {
  const temporary = `${path}.partial-${randomBytes(4).toString('hex')}`;
  const file = openSync(temporary, 'wx', 0o600);
  try {
    writeSync(file, `${makeMasterKeyText()}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  try {
    giveName(temporary, path);
  } finally {
    rmSync(temporary, { force: true });
  }
  const folder = openSync(dirname(path), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function giveName(temporary: string, path: string): void {
  try {
    linkSync(temporary, path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') throw error;
    // Some file systems have no second names.
    renameSync(temporary, path);
  }
}

/** `exposed`: others may read it. `malformed`: read, and not one line of 32 random bytes in base64. */
export type MasterKeyFile =
  | { readonly kind: 'read'; readonly key: MasterKey }
  | { readonly kind: 'missing' | 'unreadable' | 'exposed' | 'malformed' };

/**
 * Reads the file only if nobody but its owner can. A file of another owner can reach this process through its group alone
 * (a systemd credential, a mounted secret): then reading by the group is the point.
 */
export function readMasterKeyFile(path: string): MasterKeyFile {
  try {
    const stats = statSync(path);
    // The mode of a folder says nothing of a secret, and a pipe would be waited for.
    if (!stats.isFile()) return { kind: 'malformed' };
    const { mode, size, uid } = stats;
    if ((mode & (uid === process.geteuid?.() ? 0o077 : 0o037)) !== 0) return { kind: 'exposed' };
    const key = size > 1_024 ? undefined : parseMasterKey(readFileSync(path, 'utf8'));
    return key === undefined ? { kind: 'malformed' } : { kind: 'read', key };
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    return { kind: isMissing ? 'missing' : 'unreadable' };
  }
}

const boundTo = (context: SealContext): Buffer =>
  Buffer.from(JSON.stringify([context.purpose, context.id, context.instance]));

/** `v1.<master key id>.<nonce>.<ciphertext and tag>` */
export function seal(master: MasterKey, plain: string, context: SealContext): string {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', master.key, nonce).setAAD(boundTo(context));
  const sealed = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return [FORMAT, master.id, nonce.toString('base64url'), sealed.toString('base64url')].join('.');
}

/** The id of the master key that sealed it; undefined when it is nothing sealed. */
export function sealedBy(text: string): string | undefined {
  const [format, id, ...rest] = text.split('.');
  return format === FORMAT && rest.length === 2 ? id : undefined;
}

/** @returns undefined when it was sealed by another master key, for something else, or was changed */
export function unseal(master: MasterKey, text: string, context: SealContext): string | undefined {
  const [format, id, nonce, body] = text.split('.');
  if (format !== FORMAT || id !== master.id || nonce === undefined || body === undefined) return undefined;
  const sealed = Buffer.from(body, 'base64url');
  if (sealed.length < 16) return undefined;
  try {
    const decipher = createDecipheriv('aes-256-gcm', master.key, Buffer.from(nonce, 'base64url')).setAAD(
      boundTo(context),
    );
    decipher.setAuthTag(sealed.subarray(-16));
    return Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]).toString('utf8');
  } catch {
    return undefined;
  }
}

/** A name in events and throttle counters: the same for the same name, and of no use to whoever reads the database. */
export const hashUsername = (master: MasterKey, canonicalUsername: string): Sha256 =>
  createHmac('sha256', master.usernames).update(canonicalUsername).digest('base64url') as Sha256;
