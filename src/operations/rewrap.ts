/**
 * Another master key for the same signing keys. One transaction seals all of them anew with the check value, so a start
 * finds the one or the other in force, and servers that run keep what they have opened.
 */
import type { App } from '../app.ts';
import type { SecretSource } from '../config/config.ts';
import { type MasterKey, seal } from '../crypto/master-key.ts';
import { shortKid } from '../domain/ids.ts';
import { Refusal } from '../refusal.ts';
import { listKeys, lockKeyRings, resealKey, type StoredKey } from '../store/signing-keys.ts';
import type { Tx } from '../store/store.ts';
import { materialOf } from './key-ring.ts';
import {
  isMasterKeyMissing,
  masterKeyInForce,
  opensCheck,
  readMasterKey,
  readOrMakeMasterKey,
  storeCheck,
} from './master-key.ts';

export interface Rewrap {
  /** Keys that were sealed anew; 0 when the new master key is in force already, because an earlier call was interrupted late. */
  readonly keys: number;
  /** Public: tells which master key sealed a row. Null when it would be made. */
  readonly masterKeyId: string | null;
  /** The file was not there, and was made. */
  readonly isMade: boolean;
}

/** What `rewrapKeys` would do; makes no file. @throws Refusal master_key_unusable */
export async function previewRewrap(app: App, to: SecretSource): Promise<Rewrap> {
  const isMade = isMasterKeyMissing(to);
  const next = isMade ? undefined : readMasterKey(to);
  const isDone = next !== undefined && (await isInForce(app, next));
  if (!isDone) await app.master();
  const sealed = (await app.store.read(listKeys)).filter((key) => key.sealedKey !== null);
  return { keys: isDone ? 0 : sealed.length, masterKeyId: next?.id ?? null, isMade };
}

const isInForce = async (app: App, master: MasterKey): Promise<boolean> =>
  (await app.store.read((db) => opensCheck(db, master, app.instance))) === true;

/**
 * @param to where the new master key is; a file that is not there is made
 * @throws Refusal master_key_unusable, conflict when another process replaces it at the same time
 */
export async function rewrapKeys(app: App, to: SecretSource): Promise<Rewrap> {
  if (isMasterKeyMissing(to)) await app.master();
  const { master: next, isMade } = readOrMakeMasterKey(to);
  if (await isInForce(app, next)) return { keys: 0, masterKeyId: next.id, isMade };
  const master = await app.master();
  const keys = await app.store.write(async (tx) => {
    await lockKeyRings(tx);
    if ((await masterKeyInForce(tx)) !== master.id) {
      throw new Refusal('conflict', 'Another process has replaced the master key meanwhile.', {
        remedy: 'put the master key that is in force in place, then the same command again',
      });
    }
    const sealed = (await listKeys(tx)).filter((key) => key.sealedKey !== null);
    for (const key of sealed) await reseal(tx, key, { master, next, instance: app.instance });
    await storeCheck(tx, next, app.instance);
    return sealed.length;
  });
  return { keys, masterKeyId: next.id, isMade };
}

async function reseal(
  tx: Tx,
  key: StoredKey,
  { master, next, instance }: { readonly master: MasterKey; readonly next: MasterKey; readonly instance: string },
): Promise<void> {
  await resealKey(
    tx,
    key.kid,
    seal(next, materialIn(key, master, instance), { purpose: 'signing-key', id: key.kid, instance }),
  );
}

/** One that cannot be opened would be lost for good with the old master key. */
function materialIn(key: StoredKey, master: MasterKey, instance: string): string {
  try {
    return materialOf(key, master, instance);
  } catch (cause) {
    throw new Refusal('master_key_unusable', `The key ${shortKid(key.kid)} cannot be opened; nothing was changed.`, {
      remedy: 'auth-server keys rotate replaces an active or next key; auth-server doctor names all',
      cause,
    });
  }
}
