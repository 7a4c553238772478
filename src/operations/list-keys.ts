/** The key rings as people look at them: each key, its state and what comes next for it; and what a rotation would cost. */
import type { App } from '../app.ts';
import type { KeyId } from '../domain/ids.ts';
import {
  isRipe,
  KEY_STATES,
  type KeyPolicy,
  type KeyRingName,
  type KeyState,
  type SigningKey,
} from '../domain/signing-key.ts';
import { after, type EpochMs, epochMs } from '../domain/time.ts';
import { listKeys } from '../store/signing-keys.ts';
import { countRevocable } from '../store/token-families.ts';
import { compromisedKey, keyPolicy } from './keys.ts';

/** What happens to a key next, and not before when. */
export interface KeyStep {
  readonly to: Exclude<KeyState, 'next' | 'compromised'> | 'gone';
  readonly at: EpochMs;
}

/** `step` is null where no time is set: an `active` or `next` key without the other one. */
export interface KeyOutlook {
  readonly key: SigningKey;
  readonly step: KeyStep | null;
}

/** Access ring first; in each ring from `next` to those that are nearly gone. */
export async function listKeyOutlooks(app: App): Promise<readonly KeyOutlook[]> {
  return app.store.read(async (db) => {
    const keys: readonly SigningKey[] = await listKeys(db);
    const policy = await keyPolicy(app, db);
    const inOrder = keys.toSorted((left, right) => rank(left) - rank(right) || right.createdAt - left.createdAt);
    return inOrder.map((key) => ({ key, step: stepOf(key, keys, policy) }));
  });
}

const rank = ({ ring, state }: SigningKey): number =>
  (ring === 'access' ? 0 : KEY_STATES.length) + KEY_STATES.indexOf(state);

function stepOf(key: SigningKey, keys: readonly SigningKey[], policy: KeyPolicy): KeyStep | null {
  if (key.state === 'next' || key.state === 'active') {
    const at = handOverOf(key.ring, keys, policy);
    if (at === undefined) return null;
    return { to: key.state === 'next' ? 'active' : key.ring === 'access' ? 'retiring' : 'verify_only', at };
  }
  if (key.retiresAt === null) return null;
  return { to: key.state === 'retiring' ? 'verify_only' : 'gone', at: key.retiresAt };
}

/** When the active key is old enough and the next one has been published long enough. */
function handOverOf(ring: KeyRingName, keys: readonly SigningKey[], policy: KeyPolicy): EpochMs | undefined {
  const active = keys.find((key) => key.ring === ring && key.state === 'active');
  const next = keys.find((key) => key.ring === ring && key.state === 'next');
  if (active === undefined || next === undefined) return undefined;
  const due = after(active.activatedAt ?? active.createdAt, policy.rotateEvery);
  return epochMs(Math.max(due, after(next.createdAt, policy.publishAhead)));
}

/** What a hand-over now would do before its time. @returns when the next key is ripe; null when it is, or need not be */
export function unripeUntil(app: App, ring: KeyRingName): Promise<EpochMs | null> {
  return app.store.read(async (db) => {
    const next = (await listKeys(db)).find((key) => key.ring === ring && key.state === 'next');
    const policy = await keyPolicy(app, db);
    // Refresh keys are published to nobody.
    if (ring === 'refresh' || next === undefined || isRipe(next, app.clock.now(), policy)) return null;
    return after(next.createdAt, policy.publishAhead);
  });
}

/**
 * What declaring a key compromised would cost: the sessions that end with it.
 * @param kid without one, as `compromisedKey` chooses. @throws Refusal not_found
 */
export function previewCompromise(
  app: App,
  ring: KeyRingName,
  kid?: KeyId,
): Promise<{ readonly kid: KeyId; readonly sessions: number }> {
  return app.store.read(async (db) => {
    const now = app.clock.now();
    const target = await compromisedKey(db, ring, kid, now);
    return { kid: target, sessions: ring === 'refresh' ? await countRevocable(db, { kid: target }, now) : 0 };
  });
}
