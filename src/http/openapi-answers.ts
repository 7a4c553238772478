/** The shapes of all answers, for openapi.json; the tests hold real answers against them, so that they cannot drift. */
import { z } from 'zod';
import { SECURITY_EVENT_TYPES } from '../domain/security-event.ts';
import { KEY_STATES, SIGNING_ALGORITHMS } from '../domain/signing-key.ts';
import { REVOCATION_CAUSES } from '../domain/token-family.ts';
import { GRANT_REJECTIONS } from './answer.ts';

const time = () => z.string().meta({ format: 'date-time', description: 'RFC 3339, UTC, with milliseconds.' });
const id = () => z.string().meta({ format: 'uuid' });
const textOrNull = () => z.string().nullable();
const seconds = () => z.int().min(0).meta({ description: 'NumericDate: seconds since 1970 UTC.' });
const cursor = () => z.string().nullable().meta({ description: 'For the next page; null on the last one.' });
const audience = () => z.union([z.string(), z.array(z.string())]);

const TokenPair = z.object({
  token_type: z.literal('Bearer'),
  access_token: z.string(),
  expires_in: z.int().meta({ description: 'Seconds that the access token lives.' }),
  refresh_token: z.string(),
  refresh_expires_in: z.int().meta({ description: 'Seconds that the refresh token lives.' }),
  session_id: id(),
});

const Sessions = z.object({
  sessions: z.array(
    z.object({
      sid: id(),
      device: textOrNull(),
      user_agent: textOrNull(),
      ip: textOrNull(),
      created_at: time(),
      last_refreshed_at: time(),
      expires_at: time(),
      current: z.boolean(),
    }),
  ),
});

const claims = {
  iss: z.string(),
  sub: z.string(),
  aud: audience(),
  client_id: z.string(),
  sid: id(),
  jti: id(),
  iat: seconds(),
  exp: seconds(),
};

/** Loose, because the claims of the user directory that `tokens.claims` lets through stand beside these. */
const Verification = z.union([
  z.looseObject({ active: z.literal(true), ...claims, auth_time: seconds() }),
  z.object({
    active: z.literal(false),
    reason: z.enum(['malformed', 'expired', 'wrong_audience', 'revoked']),
  }),
]);

const Introspection = z.union([
  z.looseObject({ active: z.literal(true), token_type: z.literal('Bearer'), ...claims }),
  z.object({ active: z.literal(false) }),
]);

const family = {
  sid: id(),
  subject: z.string(),
  client_id: z.string(),
  state: z.enum(['live', 'revoked', 'expired']),
  generation: z.int().min(0),
  created_at: time(),
  last_refreshed_at: time(),
  expires_at: time(),
  revoked_at: time().nullable(),
  revoke_reason: z.enum(REVOCATION_CAUSES).nullable(),
  device: textOrNull(),
  user_agent: textOrNull(),
  ip: textOrNull(),
};

const FamilyPage = z.object({ families: z.array(z.object(family)), next_cursor: cursor() });

const Family = z.object({
  ...family,
  timeline: z.array(
    z.object({ generation: z.int().min(0), issued_at: time(), ip: textOrNull(), user_agent: textOrNull() }),
  ),
});

const Revocation = z.object({
  revoked: z.int().min(0).meta({ description: 'Sessions that this request ended.' }),
  cursor: z.string().meta({ description: 'Where the revocation feed stands afterwards: `<epoch>.<number>`.' }),
});

const feedCursor = () => z.string().meta({ description: '`<epoch>.<number>`: send the last one as `after`.' });

const feedEntry = {
  cursor: feedCursor(),
  revoked_at: time(),
  until: time().meta({ description: 'Every access token that it concerns has expired by then; RFC 3339.' }),
};

const Feed = z.object({
  entries: z.array(
    z.union([
      z.object({ ...feedEntry, sid: id().meta({ description: 'A session that has ended.' }) }),
      z.object({ ...feedEntry, kid: z.string().meta({ description: 'A key that signs nothing any more.' }) }),
    ]),
  ),
  cursor: feedCursor(),
  reset: z.boolean().meta({ description: 'Forget what you know: these entries are the whole live set.' }),
});

const keys = z.array(
  z.object({
    kid: z.string(),
    ring: z.enum(['access', 'refresh']),
    alg: z.enum([...SIGNING_ALGORITHMS, 'HS256']),
    state: z.enum(KEY_STATES),
    created_at: time(),
    activated_at: time().nullable(),
    retires_at: time().nullable(),
  }),
);

const EventPage = z.object({
  events: z.array(
    z.object({ id: id(), type: z.enum(SECURITY_EVENT_TYPES), timestamp: time(), data: z.looseObject({}) }),
  ),
  next_cursor: cursor(),
});

const Jwks = z.object({
  keys: z.array(
    z.looseObject({ kid: z.string(), kty: z.string(), alg: z.enum(SIGNING_ALGORITHMS), use: z.literal('sig') }),
  ),
});

const authMethods = z.array(z.enum(['client_secret_basic', 'client_secret_post', 'none', 'Bearer']));

const Metadata = z.object({
  issuer: z.string(),
  token_endpoint: z.string(),
  jwks_uri: z.string(),
  introspection_endpoint: z.string(),
  revocation_endpoint: z.string(),
  response_types_supported: z.array(z.string()),
  grant_types_supported: z.array(z.literal('refresh_token')),
  token_endpoint_auth_methods_supported: authMethods,
  revocation_endpoint_auth_methods_supported: authMethods,
  introspection_endpoint_auth_methods_supported: authMethods,
});

type Rejection = keyof typeof GRANT_REJECTIONS;

const ErrorAnswer = z.object({
  error: z.string().meta({ description: 'A code for programs.' }),
  error_description: z.string().meta({ description: 'One sentence that tells the caller what to do.' }),
  reason: z
    .enum(Object.keys(GRANT_REJECTIONS) as [Rejection, ...Rejection[]])
    .optional()
    .meta({ description: 'With invalid_grant: why.' }),
});

/** By the name that openapi.json gives them. */
export const ANSWERS = {
  TokenPair,
  Sessions,
  Verification,
  Introspection,
  Revocation,
  Feed,
  FamilyPage,
  Family,
  KeyList: z.object({ keys }),
  KeyRotation: z.object({ keys, revoked: z.int().min(0) }),
  EventPage,
  Jwks,
  Metadata,
  Health: z.object({ status: z.enum(['ok', 'degraded']) }),
  Nothing: z.object({}),
  Document: z.looseObject({ openapi: z.string() }).meta({ description: 'This document.' }),
  Error: ErrorAnswer,
} as const satisfies Readonly<Record<string, z.ZodType>>;

export type AnswerName = keyof typeof ANSWERS;
