/**
 * The key rings as requests use them: an immutable snapshot, replaced whole when a key changed. Two rings, never mixed:
 * asymmetric keys sign access tokens and are published, HS256 keys sign refresh tokens and never leave the server.
 */
import { createHash, type KeyObject } from 'node:crypto';
import type { KeyId } from '../domain/ids.ts';
import type { KeyState, SigningAlgorithm } from '../domain/signing-key.ts';

/** What checks the access tokens of one key, in any state but forgotten. */
export interface AccessKey {
  readonly kid: KeyId;
  readonly alg: SigningAlgorithm;
  readonly state: KeyState;
  readonly publicKey: KeyObject;
  readonly publicJwk: Readonly<Record<string, unknown>>;
  /** Of every token it signs. */
  readonly header: string;
}

/** Only an active key has its private half here, so nothing else can sign. */
export interface ActiveAccessKey extends AccessKey {
  readonly state: 'active';
  readonly privateKey: KeyObject;
}

/** What makes and checks the refresh tokens of one key; which one makes them is `KeyRings.refresh.active`. */
export interface RefreshKey {
  readonly kid: KeyId;
  readonly secret: KeyObject;
  readonly header: string;
}

/** A JWK Set as it is served (RFC 7517 §5). */
export interface PublishedKeys {
  readonly text: string;
  readonly etag: string;
}

/** Both rings at one moment: a token of either kind is judged by one value, and a change replaces both. */
export interface KeyRings {
  readonly access: {
    readonly active: ActiveAccessKey;
    /** All but the forgotten ones, compromised ones marked by their state. */
    readonly byHeader: ReadonlyMap<string, AccessKey>;
    readonly byId: ReadonlyMap<KeyId, AccessKey>;
  };
  readonly refresh: {
    readonly active: RefreshKey;
    readonly byHeader: ReadonlyMap<string, RefreshKey>;
    readonly byId: ReadonlyMap<KeyId, RefreshKey>;
  };
  readonly jwks: PublishedKeys;
  /** Keys whose row cannot be read; the server goes on without them, degraded. */
  readonly unreadable: readonly KeyId[];
}

const PUBLISHED: ReadonlySet<KeyState> = new Set(['next', 'active', 'retiring']);

/** All keys that could be opened, and which of them sign. */
export interface OpenKeys {
  readonly access: readonly AccessKey[];
  readonly activeAccess: ActiveAccessKey;
  readonly refresh: readonly RefreshKey[];
  readonly activeRefresh: RefreshKey;
  readonly unreadable: readonly KeyId[];
}

/** Looks keys up by the whole header of a token, and by `kid`; the JWKS is rendered once. */
export function makeKeyRings(keys: OpenKeys): KeyRings {
  return {
    access: {
      active: keys.activeAccess,
      byHeader: new Map(keys.access.map((key) => [key.header, key])),
      byId: new Map(keys.access.map((key) => [key.kid, key])),
    },
    refresh: {
      active: keys.activeRefresh,
      byHeader: new Map(keys.refresh.map((key) => [key.header, key])),
      byId: new Map(keys.refresh.map((key) => [key.kid, key])),
    },
    jwks: publish(keys.access),
    unreadable: keys.unreadable,
  };
}

function publish(keys: readonly AccessKey[]): PublishedKeys {
  const published = keys
    .filter((key) => PUBLISHED.has(key.state))
    .map((key) => ({ ...key.publicJwk, kid: key.kid, alg: key.alg, use: 'sig' }));
  const text = JSON.stringify({ keys: published });
  return { text, etag: `"${createHash('sha256').update(text).digest('base64url').slice(0, 22)}"` };
}
