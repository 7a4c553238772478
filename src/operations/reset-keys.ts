/**
 * The way out when the master key is lost: nothing in the database can be opened any more, so there are new key rings under
 * a new master key. Every refresh token dies with its key, and so every family ends; users, clients and history stay.
 */
import type { App } from '../app.ts';
import { makeKey, type NewKey } from '../crypto/key-pair.ts';
import type { MasterKey } from '../crypto/master-key.ts';
import { decideKeySchedule, type KeyChange } from '../domain/signing-key.ts';
import { Refusal } from '../refusal.ts';
import { deleteKey, listKeys, lockKeyRings } from '../store/signing-keys.ts';
import type { Tx } from '../store/store.ts';
import { countLive, endAll } from './end-all.ts';
import { applyKeyChanges, keyPolicy } from './keys.ts';
import {
  isMasterKeyMissing,
  nameOf,
  opensCheck,
  readMasterKey,
  readOrMakeMasterKey,
  storeCheck,
} from './master-key.ts';

export interface ResetPlan {
  /** Sessions that will end. */
  readonly sessions: number;
  readonly keys: number;
  /** Where the new master key is, or will be made. */
  readonly masterKey: string;
  readonly isMade: boolean;
}

/** Kept with each family that ends: it is an administrator's act, and nobody else had the key. */
const REVOCATION = { cause: 'admin', note: 'the master key was lost' } as const;

/** @throws Refusal conflict when the configured master key opens the database; master_key_unusable when it is none */
export async function planReset(app: App): Promise<ResetPlan> {
  const { masterKey } = app.config;
  const isMade = isMasterKeyMissing(masterKey);
  if (!isMade) await checkLost(app, readMasterKey(masterKey));
  const keys = await app.store.read(listKeys);
  return { sessions: await countLive(app), keys: keys.length, masterKey: nameOf(masterKey), isMade };
}

async function checkLost(app: App, master: MasterKey): Promise<void> {
  const opens = await app.store.read((db) => opensCheck(db, master, app.instance));
  if (opens === false) return;
  throw new Refusal('conflict', `The master key is not lost: ${nameOf(app.config.masterKey)} opens this database.`, {
    remedy: 'for a key that others have: auth-server keys rotate --compromised for both rings, then keys rewrap',
  });
}

/**
 * Ends the families in bounded batches; the last one carries the new rings and the check value of the new master key. Until
 * then the old one counts as lost, so an interrupted call is simply repeated. @returns sessions that ended
 * @throws what `planReset` throws
 */
export async function resetKeys(app: App, onProgress?: (ended: number) => void): Promise<number> {
  if (!isMasterKeyMissing(app.config.masterKey)) await checkLost(app, readMasterKey(app.config.masterKey));
  const { master } = readOrMakeMasterKey(app.config.masterKey);
  const { signingAlgorithm } = app.config.tokens;
  const stock = [
    ...(await Promise.all([makeKey(signingAlgorithm), makeKey(signingAlgorithm)])),
    ...(await Promise.all([makeKey('HS256'), makeKey('HS256')])),
  ];
  const ended = await endAll(app, {
    revocation: REVOCATION,
    onProgress,
    finish: (tx) => replaceRings(app, tx, master, stock),
  });
  await app.masterAgain();
  await app.keys.reload();
  return ended;
}

async function replaceRings(app: App, tx: Tx, master: MasterKey, made: readonly NewKey[]): Promise<void> {
  await lockKeyRings(tx);
  // Another process has done the same with the same master key.
  if ((await opensCheck(tx, master, app.instance)) === true) return;
  for (const { ring, kid } of await listKeys(tx)) {
    await deleteKey(tx, kid);
    // Verifiers keep published keys for minutes; the feed tells them at once.
    if (ring === 'access') tx.feed.push({ kid });
  }
  await storeCheck(tx, master, app.instance);
  const policy = await keyPolicy(app, tx);
  const changes: KeyChange[] = (['access', 'refresh'] as const).flatMap((ring) =>
    decideKeySchedule(ring, [], tx.now, policy),
  );
  const changing = { tx, stock: [...made], master, instance: app.instance, keys: new Map(), replaced: new Map() };
  await applyKeyChanges(changing, changes);
}
