/** Families as years of use leave them: of four sessions a user, from all over, some rare, some ended, the oldest expired. */
import { randomBytes } from 'node:crypto';
import { type ClientId, DEFAULT_CLIENT, type FamilyId, type Subject, uuidv7 } from '../../src/domain/ids.ts';
import { after, DAY, epochMs } from '../../src/domain/time.ts';
import type { TokenFamily } from '../../src/domain/token-family.ts';

/** What one family in a thousand has. */
export const RARE = { subject: 'user-42', client: 'spa', ip: '203.0.113.9' } as const;

/** Logins of so many days. */
const DAYS = 80;

/** @returns what is particular about the family of a number, oldest first */
export function varied(families: number, now: number): (index: number) => Partial<TokenFamily> {
  const step = (DAYS * DAY) / Math.max(1, families);
  return (index) => {
    const createdAt = epochMs(Math.floor(now - DAYS * DAY + index * step));
    const isExpired = index < families / 100;
    const isRare = index % 1_000 === 500;
    const address = `10.${index % 199}.${index % 211}.${index % 223}`;
    return {
      id: uuidv7(createdAt, randomBytes(10)) as FamilyId,
      subject: `user-${index % Math.ceil(families / 4)}` as Subject,
      clientId: isRare ? (RARE.client as ClientId) : DEFAULT_CLIENT,
      createdAt,
      lastRefreshedAt: createdAt,
      origin: { userAgent: null, ip: isRare ? RARE.ip : address },
      revoked: index % 100 === 7 ? { at: after(createdAt, 1_000), cause: 'logout', note: null } : null,
      ...(isExpired ? { endsAt: after(createdAt, DAY) } : {}),
    };
  };
}
