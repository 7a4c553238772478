/** What may be asked of `/admin/v1` (contract §5), and what its answers look like: for the handlers and for openapi.json. */
import { z } from 'zod';
import { parseClientId, parseFamilyId, parseSubject } from '../domain/ids.ts';
import { parseRfc3339 } from '../domain/time.ts';
import { EVENT_PAGE } from '../operations/events.ts';
import { FAMILY_PAGE } from '../operations/families.ts';

/** Text that means something or is refused. @param expected follows the member's name */
const parsed = <T>(parse: (text: string) => T | undefined, expected: string) =>
  z.string().transform((text, context): T => {
    const value = parse(text);
    if (value !== undefined) return value;
    context.addIssue({ code: 'custom', message: expected });
    return z.NEVER;
  });

const subject = () => parsed(parseSubject, 'must be 1 to 255 visible ASCII characters');
const client = () => parsed(parseClientId, 'must be 1 to 64 characters of A-Z, a-z, 0-9, dot, underscore and hyphen');

const SELECTORS = ['subject', 'family', 'client', 'all'] as const;

/** `POST /admin/v1/revocations` (contract §5): which families, by exactly one selector. */
export const RevocationBody = z
  .object({
    subject: subject().optional(),
    family: parsed(parseFamilyId, 'must be a session id').optional(),
    client: client().optional(),
    all: z.literal(true, 'must be true where it is given').optional(),
    issued_before: parsed(parseRfc3339, 'must be a time such as 2026-03-01T12:00:00.000Z').optional(),
    reason: z.string().optional(),
  })
  .refine((body) => SELECTORS.filter((name) => body[name] !== undefined).length === 1, {
    message: 'of subject, family, client and all, give exactly one',
  });

/** The shape of the IETF draft "Global Token Revocation", with the one identifier that a user has here. */
export const GlobalTokenRevocationBody = z.object({
  sub_id: z.object({ format: z.literal('opaque', 'must have the format opaque'), id: subject() }),
});

/** `POST /admin/v1/keys/rotate` (contract §5), whose body may be left out. `ring` is `access` unless told. */
export const KeyRotationBody = z
  .object({
    ring: z.enum(['access', 'refresh'], 'must be access or refresh').optional(),
    compromised: z.literal(true, 'must be true where it is given').optional(),
    kid: z
      .string()
      .regex(/^[A-Za-z0-9_-]{1,64}$/, 'is not the kid of a key')
      .optional(),
  })
  .refine(({ compromised, kid }) => kid === undefined || compromised === true, {
    message: 'kid is for a compromised key; a rotation takes the next one',
  });

function limit({ max, default: usual }: { readonly max: number; readonly default: number }) {
  const error = `must be a whole number from 1 to ${max}`;
  return z
    .string()
    .regex(/^[1-9]\d{0,4}$/, error)
    .meta({ type: 'integer', minimum: 1, maximum: max, default: usual })
    .transform(Number)
    .refine((value) => value <= max, error)
    .default(usual);
}

/** `GET /admin/v1/families` (contract §5). */
export const FamiliesQuery = z.object({
  subject: subject().optional(),
  client: client().optional(),
  state: z.enum(['live', 'revoked', 'expired'], 'must be live, revoked or expired').optional(),
  limit: limit(FAMILY_PAGE),
  cursor: z.string().optional(),
});

/** `GET /admin/v1/events` (contract §5). `after`: a `next_cursor`, or the id of an event. */
export const EventsQuery = z.object({ after: z.string().optional(), limit: limit(EVENT_PAGE) });
