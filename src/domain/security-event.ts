/**
 * What happened, for those who must know (contract §9): the payload of every event type. Never a token, a secret or a
 * password; a username only as a keyed hash.
 */
import type { ClientId, FamilyId, Generation, KeyId, Subject } from './ids.ts';
import type { ReuseClass } from './rotation.ts';
import type { KeyRingName } from './signing-key.ts';
import type { RevocationCause } from './token-family.ts';

interface OfFamily {
  readonly sid: FamilyId;
  readonly subject: Subject;
  readonly client_id: ClientId;
}

interface From {
  readonly ip: string | null;
  readonly user_agent: string | null;
}

/** How a bulk revocation chose its families. */
export type RevocationSelectorName = 'subject' | 'family' | 'client' | 'ip' | 'all';

/** The members of `data` are named as on the wire. `note` is left out where nobody gave one. */
export type SecurityEvent =
  | { readonly type: 'login.succeeded'; readonly data: OfFamily & From & { readonly device: string | null } }
  | {
      readonly type: 'login.failed';
      readonly data: From & { readonly username_hash: string; readonly client_id: ClientId };
    }
  | {
      readonly type: 'login.throttled';
      readonly data: From & { readonly username_hash: string; readonly by: 'username' | 'address' };
    }
  | {
      readonly type: 'token.reuse_detected';
      readonly data: OfFamily &
        From & {
          readonly class: ReuseClass;
          readonly presented_generation: Generation;
          readonly generation: Generation;
          readonly address_differs: boolean;
          readonly user_agent_differs: boolean;
          readonly last_ip: string | null;
          readonly last_user_agent: string | null;
        };
    }
  | {
      readonly type: 'family.revoked';
      readonly data: OfFamily & { readonly cause: RevocationCause; readonly note?: string };
    }
  | {
      readonly type: 'families.revoked';
      readonly data: {
        readonly selector: RevocationSelectorName;
        readonly value: string | null;
        readonly issued_before: string | null;
        readonly count: number;
        readonly cause: RevocationCause;
        readonly note?: string;
      };
    }
  | {
      readonly type: 'token.generation_ahead';
      readonly data: OfFamily & From & { readonly presented_generation: Generation; readonly generation: Generation };
    }
  | { readonly type: 'refresh.unchecked_access_token'; readonly data: OfFamily & From & { readonly kid: KeyId } }
  | {
      readonly type: 'key.rotated';
      readonly data: { readonly ring: KeyRingName; readonly kid: KeyId; readonly previous_kid: KeyId | null };
    }
  | { readonly type: 'key.compromised'; readonly data: { readonly ring: KeyRingName; readonly kid: KeyId } }
  | { readonly type: 'client.created'; readonly data: { readonly client_id: ClientId; readonly client_type: string } }
  | { readonly type: 'client.secret_rotated'; readonly data: { readonly client_id: ClientId } }
  | { readonly type: 'user.disabled'; readonly data: { readonly subject: Subject } }
  | { readonly type: 'user.enabled'; readonly data: { readonly subject: Subject } };

export type SecurityEventType = SecurityEvent['type'];

/** All of them, as `events list --type` and the `types` of a receiver may name them. */
export const SECURITY_EVENT_TYPES = [
  'login.succeeded',
  'login.failed',
  'login.throttled',
  'token.reuse_detected',
  'family.revoked',
  'families.revoked',
  'token.generation_ahead',
  'refresh.unchecked_access_token',
  'key.rotated',
  'key.compromised',
  'client.created',
  'client.secret_rotated',
  'user.disabled',
  'user.enabled',
] as const satisfies readonly SecurityEventType[];
