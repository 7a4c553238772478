/**
 * The life of a signing key: `next` → `active` → `retiring` → `verify_only` → gone, or `compromised` from anywhere.
 * Two rings share it: `access` (asymmetric, published) and `refresh` (HS256, never leaves the server). A refresh key is
 * never published, so it goes from `active` straight to `verify_only`.
 */
import type { KeyId } from './ids.ts';
import { after, DAY, type DurationMs, durationMs, type EpochMs } from './time.ts';

/** Of access tokens (RFC 7518 §3.1; EdDSA is Ed25519, RFC 8037 §3.1). Refresh tokens are always HS256. */
export const SIGNING_ALGORITHMS = ['ES256', 'EdDSA', 'RS256'] as const;
export type SigningAlgorithm = (typeof SIGNING_ALGORITHMS)[number];
/** What its keys sign: access tokens, or refresh tokens. */
export type KeyRingName = 'access' | 'refresh';
/** In the order of a life; `compromised` can follow each of the others. */
export const KEY_STATES = ['next', 'active', 'retiring', 'verify_only', 'compromised'] as const;
export type KeyState = (typeof KEY_STATES)[number];

/** What the schedule needs to know of a key; its material is elsewhere. */
export interface SigningKey {
  readonly kid: KeyId;
  readonly ring: KeyRingName;
  readonly alg: SigningAlgorithm | 'HS256';
  readonly state: KeyState;
  readonly createdAt: EpochMs;
  readonly activatedAt: EpochMs | null;
  /** When a `retiring` key leaves the JWKS; when a `verify_only` or `compromised` key is forgotten. */
  readonly retiresAt: EpochMs | null;
}

/** The schedule in force, from the configuration and the clients. */
export interface KeyPolicy {
  readonly algorithm: SigningAlgorithm;
  readonly rotateEvery: DurationMs;
  readonly publishAhead: DurationMs;
  readonly accessTokenTtl: DurationMs;
  /** The longest refresh-token lifetime of any client: how long an old access token may still come to a refresh. */
  readonly longestRefreshTokenTtl: DurationMs;
}

/** One step that the rules ask for. Of a key to create they know no more than this: its material is made elsewhere. */
export type KeyChange =
  | {
      readonly kind: 'create';
      readonly ring: KeyRingName;
      readonly alg: SigningAlgorithm | 'HS256';
      readonly state: 'next' | 'active';
    }
  | { readonly kind: 'move'; readonly kid: KeyId; readonly to: KeyState; readonly retiresAt: EpochMs | null }
  | { readonly kind: 'remove'; readonly kid: KeyId };

const algorithmOf = (ring: KeyRingName, policy: KeyPolicy): SigningAlgorithm | 'HS256' =>
  ring === 'access' ? policy.algorithm : 'HS256';

/** How long a key is known after it last signed: the longest life of what it signed, and a day for clocks. */
const remembered = (now: EpochMs, policy: KeyPolicy): EpochMs => after(now, policy.longestRefreshTokenTtl + DAY);

/** One ring as the rules look at it. */
interface Ring {
  readonly name: KeyRingName;
  readonly keys: readonly SigningKey[];
  readonly active: SigningKey | undefined;
  readonly next: SigningKey | undefined;
}

function ringOf(name: KeyRingName, all: readonly SigningKey[], without: ReadonlySet<KeyId> = new Set()): Ring {
  const keys = all.filter((key) => key.ring === name);
  const inState = (state: KeyState): SigningKey | undefined =>
    keys.find((key) => key.state === state && !without.has(key.kid));
  return { name, keys, active: inState('active'), next: inState('next') };
}

const createKey = (ring: Ring, state: 'next' | 'active', policy: KeyPolicy): KeyChange => ({
  kind: 'create',
  ring: ring.name,
  alg: algorithmOf(ring.name, policy),
  state,
});

/** Takes over: the next key signs from now on, the active one is kept for what it signed, a new one is published. */
function handOver(ring: Ring, now: EpochMs, policy: KeyPolicy): KeyChange[] {
  const { active, next } = ring;
  return [
    ...(active === undefined ? [] : [retire(active, now, policy)]),
    next === undefined
      ? createKey(ring, 'active', policy)
      : { kind: 'move', kid: next.kid, to: 'active', retiresAt: null },
    createKey(ring, 'next', policy),
  ];
}

const retire = (active: SigningKey, now: EpochMs, policy: KeyPolicy): KeyChange =>
  active.ring === 'access'
    ? { kind: 'move', kid: active.kid, to: 'retiring', retiresAt: after(now, policy.accessTokenTtl) }
    : { kind: 'move', kid: active.kid, to: 'verify_only', retiresAt: remembered(now, policy) };

/** What the schedule would do now with one ring. Idempotent: applied, it asks for nothing more until time has passed. */
export function decideKeySchedule(
  name: KeyRingName,
  keys: readonly SigningKey[],
  now: EpochMs,
  policy: KeyPolicy,
): KeyChange[] {
  const ring = ringOf(name, keys);
  return [...decideSuccession(ring, now, policy), ...ring.keys.flatMap((key) => decideRetirement(key, now, policy))];
}

function decideSuccession(ring: Ring, now: EpochMs, policy: KeyPolicy): KeyChange[] {
  const { active, next } = ring;
  if (active === undefined) return handOver(ring, now, policy);
  if (next === undefined) return [createKey(ring, 'next', policy)];
  // It never signed, so it can go; its replacement is published for its own time.
  if (next.alg !== algorithmOf(ring.name, policy))
    return [{ kind: 'remove', kid: next.kid }, createKey(ring, 'next', policy)];
  return isRipe(next, now, policy) && isDue(active, now, policy) ? handOver(ring, now, policy) : [];
}

function decideRetirement(key: SigningKey, now: EpochMs, policy: KeyPolicy): KeyChange[] {
  if (key.retiresAt === null || key.retiresAt > now) return [];
  if (key.state === 'retiring') {
    const forgottenAt = remembered(key.retiresAt, policy);
    // After a long stop both ends may have passed.
    if (forgottenAt > now) return [{ kind: 'move', kid: key.kid, to: 'verify_only', retiresAt: forgottenAt }];
    return [{ kind: 'remove', kid: key.kid }];
  }
  return key.state === 'verify_only' || key.state === 'compromised' ? [{ kind: 'remove', kid: key.kid }] : [];
}

const isDue = (active: SigningKey, now: EpochMs, policy: KeyPolicy): boolean =>
  active.alg !== algorithmOf(active.ring, policy) ||
  (active.activatedAt ?? active.createdAt) + policy.rotateEvery <= now;

/** Whether verifiers that cache the JWKS have had time to see the key. */
export const isRipe = (next: SigningKey, now: EpochMs, policy: KeyPolicy): boolean =>
  next.createdAt + policy.publishAhead <= now;

/** What a rotation by hand does, whatever the ages. */
export const decideKeyRotation = (
  name: KeyRingName,
  keys: readonly SigningKey[],
  now: EpochMs,
  policy: KeyPolicy,
): KeyChange[] => handOver(ringOf(name, keys), now, policy);

/**
 * What declaring keys compromised does: they are never accepted again, and another key signs at once. The `next` key is
 * taken only when it is not itself declared compromised.
 */
export function decideKeyCompromise(
  name: KeyRingName,
  keys: readonly SigningKey[],
  { kids, now }: { readonly kids: ReadonlySet<KeyId>; readonly now: EpochMs },
  policy: KeyPolicy,
): KeyChange[] {
  const ring = ringOf(name, keys, kids);
  const ended = ring.keys.filter((key) => kids.has(key.kid) && key.state !== 'compromised');
  const changes: KeyChange[] = ended.map((key) => ({
    kind: 'move',
    kid: key.kid,
    to: 'compromised',
    retiresAt: remembered(now, policy),
  }));
  if (ring.active === undefined) return [...changes, ...handOver(ring, now, policy)];
  return ring.next === undefined ? [...changes, createKey(ring, 'next', policy)] : changes;
}

/** How long a verifier may keep the published keys without asking again. */
export const JWKS_MAX_AGE = durationMs(300_000);
