/** Reading the key rings out of the database, and finding the ring that knows a token's key. */

import type { App } from '../app.ts';
import { ACCESS_TOKEN_TYPE } from '../crypto/access-token.ts';
import { encodeHeader } from '../crypto/jws.ts';
import { importHmacSecret, importPrivateKey, importPublicJwk } from '../crypto/key-pair.ts';
import {
  type AccessKey,
  type ActiveAccessKey,
  type KeyRing,
  makeKeyRing,
  type RefreshKey,
} from '../crypto/key-ring.ts';
import { type MasterKey, unseal } from '../crypto/master-key.ts';
import { REFRESH_TOKEN_TYPE } from '../crypto/refresh-token.ts';
import type { KeyId } from '../domain/ids.ts';
import type { SigningAlgorithm } from '../domain/signing-key.ts';
import { Refusal } from '../refusal.ts';
import { listKeys, type StoredKey } from '../store/signing-keys.ts';
import type { Store } from '../store/store.ts';

const SOURCES = new WeakMap<KeyRing, string>();

/** Younger than this, a snapshot is not read again for a token that names an unknown key, ms: junk must cost no I/O. */
const UNKNOWN_KEY_AGE = 250;

/** @throws Refusal temporarily_unavailable when a ring has no active key that can be opened */
export async function loadKeyRing(
  store: Store,
  master: MasterKey,
  instance: string,
  previous: KeyRing | undefined,
): Promise<KeyRing> {
  const rows = await store.read(listKeys);
  const source = JSON.stringify(rows);
  // Opening keys costs a millisecond, and they change once a month.
  if (previous !== undefined && SOURCES.get(previous) === source) return previous;
  const ring = openKeyRing(rows, master, instance);
  SOURCES.set(ring, source);
  return ring;
}

function openKeyRing(rows: readonly StoredKey[], master: MasterKey, instance: string): KeyRing {
  const unreadable: KeyId[] = [];
  const access: AccessKey[] = [];
  const refresh: RefreshKey[] = [];
  let activeAccess: ActiveAccessKey | undefined;
  let activeRefresh: RefreshKey | undefined;

  for (const row of rows) {
    try {
      if (row.ring === 'access') {
        const key = openAccessKey(row);
        access.push(key);
        if (row.state === 'active')
          activeAccess = { ...key, state: 'active', privateKey: importPrivateKey(materialOf(row, master, instance)) };
      } else if (row.state !== 'compromised') {
        const key = openRefreshKey(row, materialOf(row, master, instance));
        refresh.push(key);
        if (row.state === 'active') activeRefresh = key;
      }
    } catch {
      unreadable.push(row.kid);
    }
  }
  if (activeAccess === undefined || activeRefresh === undefined) {
    throw new Refusal('temporarily_unavailable', 'No signing key is active; repeat the same request shortly.', {
      remedy: 'auth-server doctor names the key that cannot be opened; auth-server keys rotate makes a new one',
    });
  }
  return makeKeyRing({ access, activeAccess, refresh, activeRefresh, unreadable });
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
    publicKey: importPublicJwk(publicJwk),
    publicJwk,
    header: encodeHeader(alg, row.kid, ACCESS_TOKEN_TYPE),
  };
}

const openRefreshKey = (row: StoredKey, material: string): RefreshKey => ({
  kid: row.kid,
  secret: importHmacSecret(material),
  header: encodeHeader('HS256', row.kid, REFRESH_TOKEN_TYPE),
});

/**
 * The ring to judge these tokens by. A key that it does not know may have been made on another server a moment ago: then it
 * is read again, for all who wait at once, and not more often than every `UNKNOWN_KEY_AGE`.
 */
export async function keyRingFor(app: App, ...tokens: readonly string[]): Promise<KeyRing> {
  const ring = await app.keys.current();
  return tokens.every((token) => knows(ring, token)) ? ring : app.keys.current(UNKNOWN_KEY_AGE);
}

function knows(ring: KeyRing, token: string): boolean {
  const header = token.slice(0, token.indexOf('.'));
  return ring.access.byHeader.has(header) || ring.refresh.byHeader.has(header);
}
