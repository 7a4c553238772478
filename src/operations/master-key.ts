/** Opening the master key, and making sure that it is the one that sealed this database. */
import type { SecretSource } from '../config/config.ts';
import {
  createMasterKeyFile,
  type MasterKey,
  parseMasterKey,
  readMasterKeyFile,
  seal,
  sealedBy,
  unseal,
} from '../crypto/master-key.ts';
import { Refusal } from '../refusal.ts';
import { findSetting, storeSetting } from '../store/settings.ts';
import { listKeys, lockKeyRings } from '../store/signing-keys.ts';
import type { Reader, Store, Tx } from '../store/store.ts';

export interface MasterKeyRequest {
  readonly source: SecretSource;
  readonly store: Store;
  readonly instance: string;
  /** A missing file is made, but only while the database holds no keys. */
  readonly mayCreate: boolean;
}

const CHECK_PLAIN = 'auth-server';

const refusal = (description: string, remedy: string): Refusal =>
  new Refusal('master_key_unusable', description, { remedy });

const LOST = 'put it back; lost for good: auth-server keys reset --lost-master-key';

/** @throws Refusal master_key_unusable */
export async function openMasterKey(request: MasterKeyRequest): Promise<MasterKey> {
  const { source, store, instance } = request;
  if (source.kind === 'file' && request.mayCreate) await createMissing(source.path, store);
  const master = readMasterKey(source);
  const isRight =
    (await store.read((db) => opensCheck(db, master, instance))) ??
    // The first one leaves a check value; every later one must open it, before anything else is written.
    (await store.write(async (tx) => {
      // Two servers with a key each, at the first start of both: one of them is right.
      await lockKeyRings(tx);
      const opens = await opensCheck(tx, master, instance);
      if (opens === undefined) await storeCheck(tx, master, instance);
      return opens ?? true;
    }));
  if (!isRight) {
    throw refusal(
      `${nameOf(source)} is not the master key that sealed the keys in ${store.label}.`,
      'use the key that belongs to this database; lost for good: auth-server keys reset --lost-master-key',
    );
  }
  return master;
}

/** How a message begins that speaks of it: a path, a variable; never what it is. */
export const nameOf = (source: SecretSource): string =>
  source.kind === 'file'
    ? source.path
    : source.kind === 'env'
      ? `The value of ${source.name}`
      : 'The configured masterKey';

async function createMissing(path: string, store: Store): Promise<void> {
  if (readMasterKeyFile(path).kind !== 'missing') return;
  const keys = await store.read(listKeys);
  // A fresh key would open none of them: every session would be lost in silence.
  if (keys.length > 0) throw refusal(`${store.label} exists, its master key ${path} does not.`, LOST);
  createMasterKeyFile(path);
}

/** Whether it is one, not yet whether it is the right one. @throws Refusal master_key_unusable */
export function readMasterKey(source: SecretSource): MasterKey {
  if (source.kind === 'file') return readFile(source.path);
  const master = parseMasterKey(source.value.reveal());
  if (master !== undefined) return master;
  const where = source.kind === 'env' ? `in the environment variable ${source.name}` : 'in the configuration';
  throw refusal(
    `The master key ${where} is not 32 random bytes in base64.`,
    'head -c 32 /dev/urandom | base64 makes one',
  );
}

function readFile(path: string): MasterKey {
  const file = readMasterKeyFile(path);
  switch (file.kind) {
    case 'read':
      return file.key;
    case 'missing':
      throw refusal(`The master key ${path} does not exist.`, LOST);
    case 'exposed':
      throw refusal(`The master key ${path} can be read by others.`, `chmod 600 ${path}`);
    case 'unreadable':
      throw refusal(
        `The master key ${path} cannot be read by this user.`,
        'run as the user that owns it: auth-server doctor',
      );
    case 'malformed':
      throw refusal(`The master key ${path} is not 32 random bytes in base64 on one line.`, LOST);
  }
}

/** Reads it, or makes it first: for one that is to come into force. @throws Refusal master_key_unusable */
export function readOrMakeMasterKey(source: SecretSource): { readonly master: MasterKey; readonly isMade: boolean } {
  const isMissing = isMasterKeyMissing(source);
  if (source.kind === 'file' && isMissing) makeFile(source.path);
  return { master: readMasterKey(source), isMade: isMissing };
}

function makeFile(path: string): void {
  try {
    createMasterKeyFile(path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
    // Somebody else makes it at this moment: then it is theirs that counts.
    if (code !== 'EEXIST') throw refusal(`${path} cannot be made (${code}).`, 'name a file in a folder that is there');
  }
}

/** Only a file can be: what came from a variable or the configuration was read with it. */
export const isMasterKeyMissing = (source: SecretSource): boolean =>
  source.kind === 'file' && readMasterKeyFile(source.path).kind === 'missing';

const checkContext = (instance: string) => ({ purpose: 'check', id: 'master', instance }) as const;

/** @returns undefined while no master key is in force */
export async function opensCheck(db: Reader, master: MasterKey, instance: string): Promise<boolean | undefined> {
  const check = await findSetting(db, 'master_key_check');
  return check === undefined ? undefined : unseal(master, check, checkContext(instance)) === CHECK_PLAIN;
}

/** From this commit on it is the one in force. */
export const storeCheck = (tx: Tx, master: MasterKey, instance: string): Promise<void> =>
  storeSetting(tx, 'master_key_check', seal(master, CHECK_PLAIN, checkContext(instance)));

/** The id of the master key in force; another process may have replaced it. */
export async function masterKeyInForce(db: Reader): Promise<string | undefined> {
  const check = await findSetting(db, 'master_key_check');
  return check === undefined ? undefined : sealedBy(check);
}
