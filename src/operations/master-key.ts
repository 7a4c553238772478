/** Opening the master key, and making sure that it is the one that sealed this database. */
import type { SecretSource } from '../config/config.ts';
import {
  createMasterKeyFile,
  type MasterKey,
  parseMasterKey,
  readMasterKeyFile,
  seal,
  unseal,
} from '../crypto/master-key.ts';
import { Refusal } from '../refusal.ts';
import { findSetting, storeSetting } from '../store/settings.ts';
import { listKeys } from '../store/signing-keys.ts';
import type { Store, Tx } from '../store/store.ts';

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
  const master =
    source.kind === 'file' ? await readOrCreate(source.path, request) : parseMasterKey(source.value.reveal());
  if (master === undefined) {
    const where = source.kind === 'env' ? `in the environment variable ${source.name}` : 'in the configuration';
    throw refusal(
      `The master key ${where} is not 32 random bytes in base64.`,
      'head -c 32 /dev/urandom | base64 makes one',
    );
  }
  const isRight = await store.write((tx) => matchesCheck(tx, master, instance));
  if (!isRight) {
    throw refusal(
      `${nameOf(source)} is not the master key that sealed the keys in ${store.label}.`,
      'use the key that belongs to this database; lost for good: auth-server keys reset --lost-master-key',
    );
  }
  return master;
}

export const nameOf = (source: SecretSource): string =>
  source.kind === 'file'
    ? source.path
    : source.kind === 'env'
      ? `The value of ${source.name}`
      : 'The configured masterKey';

async function readOrCreate(path: string, { store, mayCreate }: MasterKeyRequest): Promise<MasterKey> {
  let file = readMasterKeyFile(path);
  if (file.kind === 'missing' && mayCreate) {
    const keys = await store.read(listKeys);
    // A fresh key would open none of them: every session would be lost in silence.
    if (keys.length > 0) throw refusal(`${store.label} exists, its master key ${path} does not.`, LOST);
    createMasterKeyFile(path);
    file = readMasterKeyFile(path);
  }
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

/** The first master key leaves a check value; every later one must open it, before anything else is written. */
async function matchesCheck(tx: Tx, master: MasterKey, instance: string): Promise<boolean> {
  const context = { purpose: 'check', id: 'master', instance } as const;
  const check = await findSetting(tx, 'master_key_check');
  if (check !== undefined) return unseal(master, check, context) === CHECK_PLAIN;
  await storeSetting(tx, 'master_key_check', seal(master, CHECK_PLAIN, context));
  return true;
}
