/** What the outside sees of each record: snake_case, no secrets. HTTP, `--json` and the terminal show the same names. */
import type { Client } from '../domain/client.ts';
import type { DeliveryRecord } from '../domain/delivery.ts';
import type { FamilyId } from '../domain/ids.ts';
import type { SigningKey } from '../domain/signing-key.ts';
import { type DurationMs, type EpochMs, formatDuration, toRfc3339 } from '../domain/time.ts';
import { familyState, type TokenFamily } from '../domain/token-family.ts';
import type { RecordedEvent } from '../store/events.ts';
import type { TimelineEntry } from '../store/refresh-tokens.ts';
import type { NumberedEntry } from '../store/revocations.ts';
import type { User } from '../store/users.ts';
import { formatCursor } from './feed-cursor.ts';
import type { TokenPair } from './issue.ts';

const timeOrNull = (time: EpochMs | null): string | null => (time === null ? null : toRfc3339(time));

/** The answer of `/login` and `/refresh` (contract §3). */
export const tokenPairView = (pair: TokenPair) => ({
  token_type: 'Bearer',
  access_token: pair.accessToken,
  expires_in: pair.expiresIn,
  refresh_token: pair.refreshToken,
  refresh_expires_in: pair.refreshExpiresIn,
  session_id: pair.sessionId,
});

/** What a user sees of a family. */
export const sessionView = (family: TokenFamily, current: FamilyId) => ({
  sid: family.id,
  device: family.device,
  user_agent: family.origin.userAgent,
  ip: family.origin.ip,
  created_at: toRfc3339(family.createdAt),
  last_refreshed_at: toRfc3339(family.lastRefreshedAt),
  expires_at: toRfc3339(family.current.expiresAt),
  current: family.id === current,
});

/** What an administrator sees of a family (contract §12). */
export const familyView = (family: TokenFamily, idleTimeout: DurationMs | null, now: EpochMs) => ({
  sid: family.id,
  subject: family.subject,
  client_id: family.clientId,
  state: familyState(family, idleTimeout, now),
  generation: family.generation,
  created_at: toRfc3339(family.createdAt),
  last_refreshed_at: toRfc3339(family.lastRefreshedAt),
  expires_at: toRfc3339(family.current.expiresAt),
  revoked_at: timeOrNull(family.revoked?.at ?? null),
  revoke_reason: family.revoked?.cause ?? null,
  device: family.device,
  user_agent: family.origin.userAgent,
  ip: family.origin.ip,
});
export type FamilyView = ReturnType<typeof familyView>;

/** One generation, as `families show` has it (contract §12). */
export const timelineView = (entry: TimelineEntry) => ({
  generation: entry.generation,
  issued_at: toRfc3339(entry.issuedAt),
  ip: entry.ip,
  user_agent: entry.userAgent,
});

export type TimelineView = ReturnType<typeof timelineView>;

/** Contract §12. Nothing of the key itself: public keys are in the JWKS. */
export const keyView = (key: SigningKey) => ({
  kid: key.kid,
  ring: key.ring,
  alg: key.alg,
  state: key.state,
  created_at: toRfc3339(key.createdAt),
  activated_at: timeOrNull(key.activatedAt),
  retires_at: timeOrNull(key.retiresAt),
});

const durationOrNull = (duration: DurationMs | null): string | null =>
  duration === null ? null : formatDuration(duration);

/** Durations as people write them, null for the server's own setting. Of a secret only whether there is one. */
export const clientView = (client: Client) => ({
  client_id: client.id,
  type: client.type,
  public: client.secretHash === null,
  audiences: client.audiences,
  leeway: durationOrNull(client.policy.leeway),
  refresh_token_ttl: durationOrNull(client.policy.refreshTokenTtl),
  idle_timeout: durationOrNull(client.policy.idleTimeout),
  max_sessions: client.policy.maxSessions,
  refresh_alone: client.policy.refreshAlone,
  created_at: toRfc3339(client.createdAt),
  secret_rotated_at: timeOrNull(client.secretRotatedAt),
});

/** `username` as it was typed when the user was added; no hash. */
export const userView = (user: User) => ({
  username: user.name,
  subject: user.subject,
  state: user.disabledAt === null ? 'active' : 'disabled',
  created_at: toRfc3339(user.createdAt),
  password_changed_at: toRfc3339(user.passwordChangedAt),
  disabled_at: timeOrNull(user.disabledAt),
});

/** Contract §9: `{"id","type","timestamp","data"}`. */
export const eventView = (event: RecordedEvent) => ({
  id: event.id,
  type: event.type,
  timestamp: toRfc3339(event.timestamp),
  data: event.data,
});

/** What the revocation feed says of an ended family or a compromised key (contract §11). */
export const revocationView = ({ number, familyId, kid, revokedAt, until }: NumberedEntry, epoch: string) => ({
  cursor: formatCursor({ epoch, number }),
  ...(familyId === null ? { kid } : { sid: familyId }),
  revoked_at: toRfc3339(revokedAt),
  until: toRfc3339(until),
});

/** Of one event on its way to one receiver. */
export const deliveryView = (delivery: DeliveryRecord) => ({
  event_id: delivery.eventId,
  type: delivery.type,
  receiver: delivery.label ?? delivery.receiver,
  state: delivery.state,
  attempts: delivery.attempts,
  /** Null for what waits behind another, and for what is over. */
  next_attempt_at: delivery.state === 'pending' ? toRfc3339(delivery.nextAttemptAt) : null,
  settled_at: timeOrNull(delivery.settledAt),
  last_error: delivery.lastError,
});

export type EventView = ReturnType<typeof eventView>;
export type UserView = ReturnType<typeof userView>;
export type ClientView = ReturnType<typeof clientView>;
export type DeliveryView = ReturnType<typeof deliveryView>;
