/**
 * Ending families on an administrator's word: one, or all of a subject, a client, an address, everybody. What it would end
 * can be seen before.
 */
import type { App } from '../app.ts';
import type { ClientId, FamilyId, Subject } from '../domain/ids.ts';
import { isPrintable } from '../domain/printable.ts';
import type { RevocationSelectorName } from '../domain/security-event.ts';
import { type EpochMs, toRfc3339 } from '../domain/time.ts';
import { Refusal } from '../refusal.ts';
import { recordEvent } from '../store/events.ts';
import type { Tx } from '../store/store.ts';
import { countRevocable, type FamilySelector, type Revocation, sampleRevocable } from '../store/token-families.ts';
import { idleTimeouts } from './policy.ts';
import { revokeInBatches } from './revoke-batches.ts';
import { type FamilyView, familyView } from './views.ts';

const limits = {
  /** Families that a dry run shows. */
  sample: 10,
  /** Characters of what an administrator says about it. */
  reason: 256,
} as const;

export interface RevocationRequest {
  readonly which:
    | { readonly family: FamilyId }
    | { readonly subject: Subject }
    | { readonly client: ClientId }
    | { readonly ip: string }
    | { readonly all: true };
  /** Only families whose login was earlier. */
  readonly issuedBefore?: EpochMs | undefined;
  /** Kept with each family and in its event. */
  readonly reason?: string | undefined;
  /** Called after each batch with the number of families that have ended so far. */
  readonly onProgress?: ((revoked: number) => void) | undefined;
}

const selectorOf = ({ which, issuedBefore }: RevocationRequest): FamilySelector =>
  issuedBefore === undefined ? which : { ...which, issuedBefore };

/** @throws Refusal invalid_request */
function checkReason(reason: string | undefined): void {
  if (reason === undefined) return;
  if (reason === '' || reason.length > limits.reason || !isPrintable(reason)) {
    throw new Refusal('invalid_request', `A reason is 1 to ${limits.reason} characters without control characters.`);
  }
}

/** What `revoke` would end: counted exactly, and the newest of them. @throws Refusal invalid_request */
export async function previewRevocation(
  app: App,
  request: RevocationRequest,
): Promise<{ readonly count: number; readonly sample: readonly FamilyView[] }> {
  checkReason(request.reason);
  const idleTimeout = await idleTimeouts(app);
  return app.store.read(async (db) => {
    const now = app.clock.now();
    const which = selectorOf(request);
    const families = await sampleRevocable(db, which, now, limits.sample);
    return {
      count: await countRevocable(db, which, now),
      sample: families.map((family) => familyView(family, idleTimeout(family.clientId), now)),
    };
  });
}

/**
 * Ends them. An unknown family, and one that has ended before, is nothing to end.
 * @throws Refusal invalid_request
 */
export async function revoke(app: App, request: RevocationRequest): Promise<{ readonly revoked: number }> {
  checkReason(request.reason);
  const which = selectorOf(request);
  const revocation: Revocation = { cause: 'admin', note: request.reason };
  const revoked = await revokeInBatches(app, which, revocation, {
    onProgress: request.onProgress,
    finish: (tx, count) => recordBulk(tx, request, count),
  });
  return { revoked };
}

/** One family has its own event; of many there is one more that says how they were chosen. */
async function recordBulk(tx: Tx, { which, issuedBefore, reason }: RevocationRequest, count: number): Promise<void> {
  const { selector, value } = describeSelector(which);
  if (count === 0 || selector === 'family' || (selector === 'subject' && count === 1)) return;
  const data = {
    selector,
    value,
    issued_before: issuedBefore === undefined ? null : toRfc3339(issuedBefore),
    count,
    cause: 'admin',
  } as const;
  await recordEvent(tx, { type: 'families.revoked', data: reason === undefined ? data : { ...data, note: reason } });
}

function describeSelector(which: RevocationRequest['which']): {
  selector: RevocationSelectorName;
  value: string | null;
} {
  if ('family' in which) return { selector: 'family', value: which.family };
  if ('subject' in which) return { selector: 'subject', value: which.subject };
  if ('client' in which) return { selector: 'client', value: which.client };
  return 'ip' in which ? { selector: 'ip', value: which.ip } : { selector: 'all', value: null };
}
