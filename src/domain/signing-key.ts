/**
 * The life of a signing key: `next` → `active` → `retiring` → `verify_only` → gone, or `compromised` from anywhere.
 * Two rings share it: `access` (asymmetric, published) and `refresh` (HS256, never leaves the server). A refresh key is
 * never published, so it goes from `active` straight to `verify_only`.
 */
import type { KeyId } from './ids.ts';
import { after, DAY, type DurationMs, durationMs, type EpochMs } from './time.ts';

export const SIGNING_ALGORITHMS = ['ES256', 'EdDSA', 'RS256'] as const;
export type SigningAlgorithm = (typeof SIGNING_ALGORITHMS)[number];
export type KeyRingName = 'access' | 'refresh';
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

export interface KeyPolicy {
  readonly algorithm: SigningAlgorithm;
  readonly rotateEvery: DurationMs;
  readonly publishAhead: DurationMs;
  readonly accessTokenTtl: DurationMs;
  /** The longest refresh-token lifetime of any client: how long an old access token may still come to a refresh. */
  readonly longestRefreshTokenTtl: DurationMs;
}

export type KeyChange =
  | { readonly kind: 'create'; readonly ring: KeyRingName; readonly alg: SigningAlgorithm | 'HS256'; readonly state: 'next' | 'active' }
  | { readonly kind: 'move'; readonly kid: KeyId; readonly to: KeyState; readonly retiresAt: EpochMs | null }
  | { readonly kind: 'remove'; readonly kid: KeyId };

const algorithmOf = (ring: KeyRingName, policy: KeyPolicy): SigningAlgorithm | 'HS256' =>
  ring === 'access' ? policy.algorithm : 'HS256';

/** How long a key is known after it last signed: the longest life of what it signed, and a day for clocks. */
const remembered = (now: EpochMs, policy: KeyPolicy): EpochMs => after(now, policy.longestRefreshTokenTtl + DAY);

/** Takes over: the next key signs from now on, the active one is kept for what it signed, a new one is published. */
function handOver(
  ring: KeyRingName,
  next: SigningKey | undefined,
  active: SigningKey | undefined,
  now: EpochMs,
  policy: KeyPolicy,
): KeyChange[] {
  const changes: KeyChange[] = [];
  if (active !== undefined) changes.push(retire(active, now, policy));
  changes.push(
    next === undefined
      ? { kind: 'create', ring, alg: algorithmOf(ring, policy), state: 'active' }
      : { kind: 'move', kid: next.kid, to: 'active', retiresAt: null },
    { kind: 'create', ring, alg: algorithmOf(ring, policy), state: 'next' },
  );
  return changes;
}

const retire = (active: SigningKey, now: EpochMs, policy: KeyPolicy): KeyChange =>
  active.ring === 'access'
    ? { kind: 'move', kid: active.kid, to: 'retiring', retiresAt: after(now, policy.accessTokenTtl) }
    : { kind: 'move', kid: active.kid, to: 'verify_only', retiresAt: remembered(now, policy) };

/** What the schedule would do now with one ring. Idempotent: applied, it asks for nothing more until time has passed. */
export function decideKeySchedule(
  ring: KeyRingName,
  keys: readonly SigningKey[],
  now: EpochMs,
  policy: KeyPolicy,
): KeyChange[] {
  const ours = keys.filter((key) => key.ring === ring);
  const active = ours.find((key) => key.state === 'active');
  const next = ours.find((key) => key.state === 'next');
  const changes: KeyChange[] = [];

  if (active === undefined) {
    changes.push(...handOver(ring, next, undefined, now, policy));
  } else if (next === undefined) {
    changes.push({ kind: 'create', ring, alg: algorithmOf(ring, policy), state: 'next' });
  } else if (next.alg !== algorithmOf(ring, policy)) {
    // It never signed, so it can go; its replacement is published for its own time.
    changes.push({ kind: 'remove', kid: next.kid }, { kind: 'create', ring, alg: algorithmOf(ring, policy), state: 'next' });
  } else if (isRipe(next, now, policy) && isDue(active, now, policy)) {
    changes.push(...handOver(ring, next, active, now, policy));
  }

  for (const key of ours) {
    if (key.retiresAt === null || key.retiresAt > now) continue;
    if (key.state === 'retiring') {
      changes.push({ kind: 'move', kid: key.kid, to: 'verify_only', retiresAt: remembered(key.retiresAt, policy) });
    } else if (key.state === 'verify_only' || key.state === 'compromised') {
      changes.push({ kind: 'remove', kid: key.kid });
    }
  }
  return changes;
}

const isDue = (active: SigningKey, now: EpochMs, policy: KeyPolicy): boolean =>
  active.alg !== algorithmOf(active.ring, policy) || (active.activatedAt ?? active.createdAt) + policy.rotateEvery <= now;

/** Whether verifiers that cache the JWKS have had time to see the key. */
export const isRipe = (next: SigningKey, now: EpochMs, policy: KeyPolicy): boolean =>
  next.createdAt + policy.publishAhead <= now;

/** What a rotation by hand does, whatever the ages. */
export function decideKeyRotation(
  ring: KeyRingName,
  keys: readonly SigningKey[],
  now: EpochMs,
  policy: KeyPolicy,
): KeyChange[] {
  const ours = keys.filter((key) => key.ring === ring);
  return handOver(
    ring,
    ours.find((key) => key.state === 'next'),
    ours.find((key) => key.state === 'active'),
    now,
    policy,
  );
}

/**
 * What declaring keys compromised does: they are never accepted again, and a fresh key signs at once. The `next` key is
 * taken only when it is not itself declared compromised.
 */
export function decideKeyCompromise(
  ring: KeyRingName,
  keys: readonly SigningKey[],
  compromised: ReadonlySet<KeyId>,
  now: EpochMs,
  policy: KeyPolicy,
): KeyChange[] {
  const ours = keys.filter((key) => key.ring === ring);
  const changes: KeyChange[] = ours
    .filter((key) => compromised.has(key.kid) && key.state !== 'compromised')
    .map((key) => ({ kind: 'move', kid: key.kid, to: 'compromised', retiresAt: remembered(now, policy) }));
  const next = ours.find((key) => key.state === 'next' && !compromised.has(key.kid));
  const active = ours.find((key) => key.state === 'active' && !compromised.has(key.kid));
  if (active === undefined) changes.push(...handOver(ring, next, undefined, now, policy));
  else if (next === undefined) changes.push({ kind: 'create', ring, alg: algorithmOf(ring, policy), state: 'next' });
  return changes;
}

/** How long a verifier may keep the published keys without asking again. */
export const JWKS_MAX_AGE = durationMs(300_000);
