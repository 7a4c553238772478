/**
 * Moving the key rings on: by schedule, by hand, after a compromise. Keys are made before the transaction, which then
 * decides again under the lock of the rings: so two at once leave one result.
 */
import type { App } from '../app.ts';
import { makeKey, type NewKey } from '../crypto/key-pair.ts';
import { type MasterKey, seal } from '../crypto/master-key.ts';
import type { KeyId } from '../domain/ids.ts';
import {
  decideKeyCompromise,
  decideKeyRotation,
  decideKeySchedule,
  type KeyChange,
  type KeyPolicy,
  type KeyRingName,
  type SigningKey,
} from '../domain/signing-key.ts';
import { durationMs, type EpochMs } from '../domain/time.ts';
import { Refusal } from '../refusal.ts';
import { listClients } from '../store/clients.ts';
import { recordEvent } from '../store/events.ts';
import { deleteKey, insertKey, listKeys, lockKeyRings, moveKey, type StoredKey } from '../store/signing-keys.ts';
import type { Reader, Tx } from '../store/store.ts';
import { sampleRevocable } from '../store/token-families.ts';
import { masterKeyInForce } from './master-key.ts';
import { revokeInBatches } from './revoke-batches.ts';

type Decide = (keys: readonly SigningKey[], now: Tx['now'], policy: KeyPolicy) => readonly KeyChange[];

/** What was done, in words of the domain; `replaced` are keys that stopped signing. */
export interface KeyRotation {
  readonly changes: readonly KeyChange[];
  /** Sessions that ended with it (a compromised refresh key). */
  readonly revoked: number;
}

/** The schedule in force. */
export async function keyPolicy(app: App, db: Reader): Promise<KeyPolicy> {
  const { tokens, keys } = app.config;
  const lifetimes = (await listClients(db)).map((client) => client.policy.refreshTokenTtl ?? tokens.refreshTokenTtl);
  return {
    algorithm: tokens.signingAlgorithm,
    rotateEvery: keys.rotateEvery,
    publishAhead: keys.publishAhead,
    accessTokenTtl: tokens.accessTokenTtl,
    longestRefreshTokenTtl: durationMs(Math.max(tokens.refreshTokenTtl, ...lifetimes)),
  };
}

/** Decides outside to know which keys to make, makes them, and decides again inside: what differs then is tried anew. */
async function changeKeys(app: App, decide: Decide): Promise<readonly KeyChange[]> {
  let master = await app.master();
  for (let tries = 0; tries < 5; tries += 1) {
    const planned = await app.store.read(async (db) =>
      decide(await listKeys(db), app.clock.now(), await keyPolicy(app, db)),
    );
    if (planned.length === 0) return [];
    const made: NewKey[] = [];
    for (const change of planned) if (change.kind === 'create') made.push(await makeKey(change.alg));

    const done = await app.store.write(async (tx) => {
      await lockKeyRings(tx);
      // Sealed under one that has been replaced, a new key would be lost at the next start.
      if ((await masterKeyInForce(tx)) !== master.id) return 'replaced' as const;
      const keys = await listKeys(tx);
      const changes = decide(keys, tx.now, await keyPolicy(app, tx));
      const stock = [...made];
      const isSupplied = changes.every(
        (change) => change.kind !== 'create' || takeFrom(stock, change.alg) !== undefined,
      );
      if (!isSupplied) return undefined;
      const byId = new Map(keys.map((key) => [key.kid, key]));
      await applyKeyChanges(
        { tx, stock: [...made], master, instance: app.instance, keys: byId, replaced: new Map() },
        changes,
      );
      return changes;
    });
    if (done === 'replaced') {
      master = await app.masterAgain();
    } else if (done !== undefined) {
      // The change is committed. A ring that cannot be read now, for the other one perhaps, is told of where it is used.
      await app.keys.reload().catch(() => undefined);
      return done;
    }
  }
  throw new Refusal('conflict', 'The keys were being changed by another process; try again.');
}

function takeFrom(stock: NewKey[], alg: NewKey['alg']): NewKey | undefined {
  const index = stock.findIndex((key) => key.alg === alg);
  return index === -1 ? undefined : stock.splice(index, 1)[0];
}

/** What the changes of one transaction share. */
export interface Changing {
  readonly tx: Tx;
  readonly stock: NewKey[];
  readonly master: MasterKey;
  readonly instance: string;
  readonly keys: ReadonlyMap<KeyId, StoredKey>;
  /** The key of each ring that has just stopped signing: the event of its successor names it. */
  readonly replaced: Map<KeyRingName, KeyId>;
}

/** @param changes whose new keys are all in stock */
export async function applyKeyChanges(changing: Changing, changes: readonly KeyChange[]): Promise<void> {
  for (const change of changes) {
    if (change.kind === 'remove') await deleteKey(changing.tx, change.kid);
    else if (change.kind === 'move') await applyMove(changing, change);
    else await applyCreate(changing, change);
  }
}

async function applyMove(
  { tx, keys, replaced }: Changing,
  change: Extract<KeyChange, { kind: 'move' }>,
): Promise<void> {
  const key = keys.get(change.kid);
  if (key === undefined) throw new Error('a key is gone that was read before');
  await moveKey(tx, key.kid, change.to, change.retiresAt);
  if (key.state === 'active') replaced.set(key.ring, key.kid);
  if (change.to === 'active') await recordRotation(tx, key, replaced);
  if (change.to === 'compromised') {
    tx.feed.push({ kid: key.kid });
    await recordEvent(tx, { type: 'key.compromised', data: { ring: key.ring, kid: key.kid } });
  }
}

async function applyCreate(
  changing: Changing,
  { ring, alg, state }: Extract<KeyChange, { kind: 'create' }>,
): Promise<void> {
  const { tx, stock, master, instance, replaced } = changing;
  const key = takeFrom(stock, alg);
  if (key === undefined) throw new Error('a key is missing that was counted before');
  await insertKey(tx, {
    kid: key.kid,
    ring,
    alg,
    state,
    publicJwk: key.publicJwk === null ? null : JSON.stringify(key.publicJwk),
    sealedKey: seal(master, key.material, { purpose: 'signing-key', id: key.kid, instance }),
    createdAt: tx.now,
    activatedAt: state === 'active' ? tx.now : null,
    retiresAt: null,
  });
  if (state === 'active') await recordRotation(tx, { ring, kid: key.kid }, replaced);
}

const recordRotation = (
  tx: Tx,
  { ring, kid }: Pick<SigningKey, 'ring' | 'kid'>,
  replaced: ReadonlyMap<KeyRingName, KeyId>,
): Promise<void> =>
  recordEvent(tx, { type: 'key.rotated', data: { ring, kid, previous_kid: replaced.get(ring) ?? null } });

/** What is due now: first keys, new `next` keys, hand-overs, ends. Safe beside other servers; nothing to do costs one read. */
export const moveKeysOn = (app: App): Promise<readonly KeyChange[]> =>
  changeKeys(app, (keys, now, policy) => [
    ...decideKeySchedule('access', keys, now, policy),
    ...decideKeySchedule('refresh', keys, now, policy),
  ]);

/** A hand-over now, whatever the ages. */
export async function rotateKeys(app: App, ring: KeyRingName): Promise<KeyRotation> {
  return {
    changes: await changeKeys(app, (keys, now, policy) => decideKeyRotation(ring, keys, now, policy)),
    revoked: 0,
  };
}

/**
 * The key that is meant by a compromise: the named one; without a name the one whose sessions are still being ended, because
 * that was interrupted, else the active one.
 * @throws Refusal not_found
 */
export async function compromisedKey(
  db: Reader,
  ring: KeyRingName,
  kid: KeyId | undefined,
  now: EpochMs,
): Promise<KeyId> {
  const ours = (await listKeys(db)).filter((key) => key.ring === ring);
  const meant =
    kid === undefined
      ? ((await unfinished(db, ours, now)) ?? ours.find((key) => key.state === 'active'))
      : ours.find((key) => key.kid === kid);
  if (meant === undefined) {
    throw new Refusal('not_found', 'There is no such key in this ring.', { remedy: 'auth-server keys list' });
  }
  return meant.kid;
}

/** A compromised refresh key that live sessions still stand on. */
async function unfinished(db: Reader, keys: readonly SigningKey[], now: EpochMs): Promise<SigningKey | undefined> {
  for (const key of keys) {
    if (key.ring !== 'refresh' || key.state !== 'compromised') continue;
    if ((await sampleRevocable(db, { kid: key.kid }, now, 1)).length > 0) return key;
  }
  return undefined;
}

/**
 * Declares a key compromised (see `compromisedKey` for which): from this commit on nothing new is made by it, and within two
 * seconds nothing accepts it again. An access key costs no session; with a refresh key every family whose current token it
 * signed ends, in bounded batches after that commit. Interrupted, it is to be run again, and ends the rest.
 * @throws Refusal not_found
 */
export async function declareKeyCompromised(
  app: App,
  ring: KeyRingName,
  kid?: KeyId,
  onProgress?: (ended: number) => void,
): Promise<KeyRotation> {
  const target = await app.store.read((db) => compromisedKey(db, ring, kid, app.clock.now()));
  const changes = await changeKeys(app, (keys, now, policy) =>
    decideKeyCompromise(ring, keys, { kids: new Set([target]), now }, policy),
  );
  if (ring === 'access') return { changes, revoked: 0 };
  const revoked = await revokeInBatches(app, { kid: target }, { cause: 'key_compromised' }, { onProgress });
  return { changes, revoked };
}
