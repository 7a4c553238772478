/**
 * The tables (contract §10) as kysely sees them: the same on SQLite and on Postgres. Times are milliseconds since 1970
 * UTC, ids are text in their one spelling, flags are 0 or 1, lists are JSON text.
 */
import type { Generated } from 'kysely';
import type { ClientType } from '../domain/client.ts';
import type { DeliveryState, ReceiverKey } from '../domain/delivery.ts';
import type { ClientId, EventId, FamilyId, Generation, KeyId, Sha256, Subject, TokenId } from '../domain/ids.ts';
import type { SecurityEventType } from '../domain/security-event.ts';
import type { KeyRingName, KeyState, SigningKey } from '../domain/signing-key.ts';
import type { DurationMs, EpochMs } from '../domain/time.ts';
import type { RevocationCause } from '../domain/token-family.ts';

/** `TokenFamily` as it is stored. The `revoke…` columns are null until it ends; a note may stay so. */
export interface TokenFamilyRow {
  id: FamilyId;
  subject: Subject;
  client_id: ClientId;
  generation: Generation;
  jti: TokenId;
  kid: KeyId;
  issued_at: EpochMs;
  expires_at: EpochMs;
  idempotency_hash: Sha256 | null;
  created_at: EpochMs;
  last_refreshed_at: EpochMs;
  ends_at: EpochMs;
  revoked_at: EpochMs | null;
  revoke_reason: RevocationCause | null;
  revoke_note: string | null;
  device: string | null;
  user_agent: string | null;
  ip: string | null;
}

/** One generation: written when it is issued, never changed. */
export interface RefreshTokenRow {
  family_id: FamilyId;
  generation: Generation;
  jti: TokenId;
  issued_at: EpochMs;
  ip: string | null;
  user_agent: string | null;
}

export interface SigningKeyRow {
  kid: KeyId;
  ring: KeyRingName;
  alg: SigningKey['alg'];
  state: KeyState;
  /** JWK as JSON; null for a refresh key. */
  public_jwk: string | null;
  /** The private half or the HS256 secret under the master key; null once compromised. */
  sealed_key: string | null;
  created_at: EpochMs;
  activated_at: EpochMs | null;
  retires_at: EpochMs | null;
}

/** `Client` as it is stored: null is the server's own setting, and in `secret_hash` a public app. */
export interface ClientRow {
  id: ClientId;
  type: ClientType;
  secret_hash: Sha256 | null;
  /** JSON array of strings. */
  audiences: string;
  leeway: DurationMs | null;
  refresh_token_ttl: DurationMs | null;
  idle_timeout: DurationMs | null;
  max_sessions: number | null;
  refresh_alone: 0 | 1;
  created_at: EpochMs;
  secret_rotated_at: EpochMs | null;
}

export interface UserRow {
  subject: Subject;
  /** Canonical form; `name` is as typed. */
  username: string;
  name: string;
  /** PHC string. */
  password_hash: string;
  created_at: EpochMs;
  password_changed_at: EpochMs;
  disabled_at: EpochMs | null;
}

export interface LoginAttemptRow {
  /** `u:` and a keyed hash of the canonical username, or `a:` and an address or IPv6 /64. */
  bucket: string;
  failures: number;
  since: EpochMs;
}

/** Either `family_id` or `kid`. It may be purged when `until` has passed. */
export interface RevocationRow {
  /** Position in the feed, in commit order. */
  number: number;
  family_id: FamilyId | null;
  kid: KeyId | null;
  revoked_at: EpochMs;
  until: EpochMs;
}

/** `family_id` and `subject` repeat members of `data`, to be looked up by. */
export interface EventRow {
  number: Generated<number>;
  id: EventId;
  type: SecurityEventType;
  family_id: FamilyId | null;
  subject: Subject | null;
  timestamp: EpochMs;
  /** JSON object. */
  data: string;
}

/** Events that no worker has distributed to the receivers yet. A queue of rows, not a position: numbers are not in commit order. */
export interface OutboxRow {
  event_number: number;
}

export interface ReceiverRow {
  key: ReceiverKey;
  label: string;
  /** Events that are older are not for it. */
  since: EpochMs;
  disabled_at: EpochMs | null;
  disabled_reason: string | null;
}

/** `Delivery` as it is stored; `receiver` and `event_number` are its key. */
export interface DeliveryRow {
  receiver: ReceiverKey;
  event_number: number;
  family_id: FamilyId | null;
  state: DeliveryState;
  attempts: number;
  first_attempt_at: EpochMs | null;
  next_attempt_at: EpochMs;
  leased_until: EpochMs | null;
  settled_at: EpochMs | null;
  last_error: string | null;
}

export interface SettingRow {
  name: string;
  value: string;
}

/** One row: where the revocation feed stands. Its update is the lock that puts entries in commit order. */
export interface FeedPositionRow {
  id: 1;
  epoch: string;
  number: number;
}

export interface MigrationRow {
  name: string;
  applied_at: EpochMs;
}

export interface Database {
  token_families: TokenFamilyRow;
  refresh_tokens: RefreshTokenRow;
  signing_keys: SigningKeyRow;
  clients: ClientRow;
  users: UserRow;
  login_attempts: LoginAttemptRow;
  revocations: RevocationRow;
  events: EventRow;
  outbox: OutboxRow;
  receivers: ReceiverRow;
  deliveries: DeliveryRow;
  settings: SettingRow;
  feed_position: FeedPositionRow;
  migrations: MigrationRow;
}
