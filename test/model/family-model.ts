/** The promises about token families in as few words as they need: no SQL, no tokens, no transactions. */

const SECOND = 1_000;
const HOUR = 3_600_000;
const DAY = 86_400_000;

/** What the server is configured with. */
const RULES = {
  refreshTokenTtl: 90 * DAY,
  familyMaxLifetime: 365 * DAY,
  replayWindow: HOUR,
  accessTokenTtl: 300 * SECOND,
};

/** One generation: what was sent for it, and which request made it. */
export interface Issued {
  readonly refreshToken: string;
  readonly accessToken: string;
  readonly issuedAt: number;
  readonly key: string | null;
}

export interface ModelFamily {
  readonly sid: string;
  readonly createdAt: number;
  /** By generation; the last one is current. */
  readonly issued: Issued[];
  isRevoked: boolean;
}

const endOf = (family: ModelFamily): number => family.createdAt + RULES.familyMaxLifetime;
const expiryOf = (family: ModelFamily, issued: Issued): number =>
  Math.min(issued.issuedAt + RULES.refreshTokenTtl, endOf(family));
const isPast = (time: number, now: number): boolean => Math.floor(time / SECOND) <= Math.floor(now / SECOND);

export type Refreshed = 'rotated' | 'replayed' | 'expired' | 'revoked' | 'reused';

const at = (family: ModelFamily, generation: number): Issued => {
  const issued = family.issued[generation];
  if (issued === undefined) throw new Error('the model never issued this generation');
  return issued;
};

export const currentOf = (family: ModelFamily): Issued => at(family, family.issued.length - 1);

/** What a refresh with this generation and key means now; a reuse ends the family here, too. */
export function refreshed(family: ModelFamily, generation: number, key: string | null, now: number): Refreshed {
  if (isPast(expiryOf(family, at(family, generation)), now)) return 'expired';
  if (family.isRevoked) return 'revoked';
  if (endOf(family) <= now) return 'expired';
  const current = family.issued.length - 1;
  if (generation === current) return 'rotated';
  const { key: keyOfRotation, issuedAt } = currentOf(family);
  const isSameRequest = key !== null && key === keyOfRotation && now - issuedAt <= RULES.replayWindow;
  if (generation === current - 1 && isSameRequest) return 'replayed';
  family.isRevoked = true;
  return 'reused';
}

/** Whether the holder of this generation may speak for the subject, or why not. */
export function holder(family: ModelFamily, generation: number, now: number): 'ok' | 'expired' | 'revoked' | 'spent' {
  if (isPast(expiryOf(family, at(family, generation)), now)) return 'expired';
  if (family.isRevoked) return 'revoked';
  if (endOf(family) <= now) return 'expired';
  return generation === family.issued.length - 1 ? 'ok' : 'spent';
}

/** Whether a list or a logout everywhere sees the family. */
export const isLive = (family: ModelFamily, now: number): boolean =>
  !family.isRevoked && expiryOf(family, currentOf(family)) > now;

/** Whether the newest access token opens anything. */
export const isActive = (family: ModelFamily, now: number): boolean =>
  !family.isRevoked && !isPast(Math.min(currentOf(family).issuedAt + RULES.accessTokenTtl, endOf(family)), now);
