/** Reading the key rings out of the database, and finding the ring that knows a token's key. */

import type { App } from '../app.ts';
import { ACCESS_TOKEN_TYPE } from '../crypto/access-token.ts';
import { encodeHeader, isHeaderOfOurs } from '../crypto/jws.ts';
import { importHmacSecret, importPrivateKey, importStoredJwk } from '../crypto/key-pair.ts';
import {
  type AccessKey,
  type ActiveAccessKey,
  type KeyRings,
  makeKeyRings,
  type RefreshKey,
} from '../crypto/key-ring.ts';
import { type MasterKey, sealedBy, unseal } from '../crypto/master-key.ts';
import { REFRESH_TOKEN_TYPE } from '../crypto/refresh-token.ts';
import type { KeyId } from '../domain/ids.ts';
import type { SigningAlgorithm } from '../domain/signing-key.ts';
import { Refusal } from '../refusal.ts';
import { listKeys, type StoredKey } from '../store/signing-keys.ts';
import type { Store } from '../store/store.ts';
import { masterKeyInForce } from './master-key.ts';

type KeyObject = ReturnType<typeof importPrivateKey>;

/** What a ring was made of, so that the next one need not be made, or not from nothing. */
interface Making {
  readonly source: string;
  /** Private halves and secrets. They outlive a rewrap: what they open with is another master key then, they are the same. */
  readonly opened: ReadonlyMap<KeyId, KeyObject>;
  /** Some row is sealed under a master key that this process does not have yet. */
  readonly isWaiting: boolean;
}

const MAKINGS = new WeakMap<KeyRings, Making>();

/**
 * Between two reads for tokens that name unknown keys, ms. A token may be older by a network's way only than the key that
 * signed it, so it waits for a read that begins after it came; and invented ones cost 50 reads a second, whatever there is of them.
 */
const UNKNOWN_KEY_SPACING = 20;

/** Where the keys are, and what opens them. */
export interface KeySource {
  readonly store: Store;
  readonly instance: string;
  /** @throws Refusal master_key_unusable */
  readonly master: () => Promise<MasterKey>;
  /** Looks whether the master key has been replaced where it is kept. @throws Refusal master_key_unusable */
  readonly masterAgain: () => Promise<MasterKey>;
}

/** @throws Refusal temporarily_unavailable when a ring has no active key that can be opened */
export async function loadKeyRing(from: KeySource, previous: KeyRings | undefined): Promise<KeyRings> {
  const { rows, inForce } = await from.store.read(async (db) => ({
    rows: await listKeys(db),
    inForce: await masterKeyInForce(db),
  }));
  const before = previous === undefined ? undefined : MAKINGS.get(previous);
  const source = JSON.stringify(rows);
  // Opening keys costs a millisecond, and they change once a month.
  if (previous !== undefined && before?.source === source && !before.isWaiting) return previous;
  let master = await from.master();
  // After a rewrap the new one may be in place already; until it is, what was opened before will do.
  if (inForce !== master.id) master = await from.masterAgain().catch(() => master);
  return openKeyRing(rows, { master, instance: from.instance, before }, source);
}

interface Opening {
  readonly master: MasterKey;
  readonly instance: string;
  readonly before: Making | undefined;
}

/** What has been opened so far. */
interface Opened {
  readonly access: AccessKey[];
  readonly refresh: RefreshKey[];
  readonly byId: Map<KeyId, KeyObject>;
  activeAccess?: ActiveAccessKey;
  activeRefresh?: RefreshKey;
}

function openKeyRing(rows: readonly StoredKey[], opening: Opening, source: string): KeyRings {
  const unreadable: KeyId[] = [];
  const opened: Opened = { access: [], refresh: [], byId: new Map() };
  for (const row of rows) {
    try {
      if (row.ring === 'access') openAccess(row, opening, opened);
      else if (row.state !== 'compromised') openRefresh(row, opening, opened);
    } catch {
      unreadable.push(row.kid);
    }
  }
  const { access, refresh, activeAccess, activeRefresh } = opened;
  if (activeAccess === undefined || activeRefresh === undefined) {
    throw new Refusal('temporarily_unavailable', 'No signing key is active; repeat the same request shortly.', {
      remedy: 'auth-server doctor names the key that cannot be opened; auth-server keys rotate makes a new one',
    });
  }
  const ring = makeKeyRings({ access, activeAccess, refresh, activeRefresh, unreadable });
  const isWaiting = rows.some((row) => unreadable.includes(row.kid) && isForeign(row, opening.master));
  MAKINGS.set(ring, { source, opened: opened.byId, isWaiting });
  return ring;
}

/** The private half only of a key that signs, or will. @throws when the row was changed */
function openAccess(row: StoredKey, opening: Opening, opened: Opened): void {
  const key = openAccessKey(row);
  opened.access.push(key);
  if (row.state !== 'active' && row.state !== 'next') return;
  const privateKey = openMaterial(row, opening, importPrivateKey);
  opened.byId.set(row.kid, privateKey);
  if (row.state === 'active') opened.activeAccess = { ...key, state: 'active', privateKey };
}

/** @throws when the row was changed */
function openRefresh(row: StoredKey, opening: Opening, opened: Opened): void {
  if (row.alg !== 'HS256') throw new Error(`the key ${row.kid} is of the other ring`);
  const key = refreshKeyOf(row, openMaterial(row, opening, importHmacSecret));
  opened.byId.set(row.kid, key.secret);
  opened.refresh.push(key);
  if (row.state === 'active') opened.activeRefresh = key;
}

/** Sealed under another master key than ours, as far as the row says. */
function isForeign(row: StoredKey, master: MasterKey): boolean {
  const by = row.sealedKey === null ? undefined : sealedBy(row.sealedKey);
  return by !== undefined && by !== master.id;
}

/** @throws when the row was changed, or sealed by a master key that this process does not have */
function openMaterial(
  row: StoredKey,
  { master, instance, before }: Opening,
  read: (material: string) => KeyObject,
): KeyObject {
  const known = isForeign(row, master) ? before?.opened.get(row.kid) : undefined;
  return known ?? read(materialOf(row, master, instance));
}

/** @throws when the row was changed, or sealed by another master key */
export function materialOf(row: StoredKey, master: MasterKey, instance: string): string {
  const material =
    row.sealedKey === null
      ? undefined
      : unseal(master, row.sealedKey, { purpose: 'signing-key', id: row.kid, instance });
  if (material === undefined) throw new Error(`the key ${row.kid} cannot be opened`);
  return material;
}

function openAccessKey(row: StoredKey): AccessKey {
  const publicJwk = JSON.parse(row.publicJwk ?? 'null') as Record<string, unknown>;
  const alg = row.alg as SigningAlgorithm;
  return {
    kid: row.kid,
    alg,
    state: row.state,
    publicKey: importStoredJwk(publicJwk, row.kid, alg),
    publicJwk,
    header: encodeHeader(alg, row.kid, ACCESS_TOKEN_TYPE),
  };
}

const refreshKeyOf = (row: StoredKey, secret: KeyObject): RefreshKey => ({
  kid: row.kid,
  secret,
  header: encodeHeader('HS256', row.kid, REFRESH_TOKEN_TYPE),
});

/**
 * The ring to judge these tokens by. A key that it does not know may have been made on another server a moment ago: then it
 * is read again, for all who wait at once.
 */
export async function keyRingsFor(app: App, ...tokens: readonly string[]): Promise<KeyRings> {
  const ring = await app.keys.current();
  return tokens.some((token) => isOfAnother(ring, token)) ? app.keys.reload(UNKNOWN_KEY_SPACING) : ring;
}

/** Whether a key that the ring does not know may have signed it; junk is known for what it is. */
function isOfAnother(ring: KeyRings, token: string): boolean {
  const header = token.slice(0, token.indexOf('.'));
  return !ring.access.byHeader.has(header) && !ring.refresh.byHeader.has(header) && isHeaderOfOurs(header);
}
