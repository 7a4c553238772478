/** What openapi.json says of each row of the table of paths; a row without words does not compile. */
import { z } from 'zod';
import { FeedQuery } from '../operations/feed.ts';
import { FEED_CURSOR } from '../operations/feed-cursor.ts';
import { LoginBody } from '../operations/login.ts';
import { RefreshBody } from '../operations/refresh.ts';
import { LogoutBody, SessionsBody } from '../operations/sessions.ts';
import { VerifyBody } from '../operations/verify.ts';
import {
  EventsQuery,
  FamiliesQuery,
  GlobalTokenRevocationBody,
  KeyRotationBody,
  RevocationBody,
} from './admin-requests.ts';
import type { AnswerName } from './openapi-answers.ts';
import type { RoutePath } from './routes.ts';

/** Who may call: nobody in particular, an app, a resource server, an admin client, a proxy for a user. */
export type Caller = 'anyone' | 'app' | 'resource-server' | 'admin' | 'proxy';

/** One row of the table of paths as openapi.json has it. */
export interface Operation {
  /** Of a row that takes any method, the one that most callers send. */
  readonly method: 'get' | 'post';
  readonly summary: string;
  readonly caller: Caller;
  readonly json?: z.ZodType;
  /** Its body may be left out. */
  readonly isBodyOptional?: true;
  readonly form?: z.ZodType;
  readonly query?: z.ZodObject;
  readonly path?: z.ZodObject;
  readonly headers?: z.ZodObject;
  /** Status and shape of what is no error; null has no body. */
  readonly success: Readonly<Record<number, AnswerName | null>>;
  /** Of the answer, besides JSON. */
  readonly mediaType?: string;
  /** The same is to be had as server-sent events; how they are made. */
  readonly events?: string;
  /** The statuses that this endpoint has a reason of its own for. */
  readonly errors: readonly number[];
}

const IdempotencyKey = z.object({
  'Idempotency-Key': z
    .string()
    .regex(/^[\x21-\x7e]{1,128}$/)
    .optional()
    .meta({ description: 'Random. The same request with the same key gets the same refresh token.' }),
});

const LastEventId = z.object({
  'Last-Event-ID': z
    .string()
    .regex(FEED_CURSOR)
    .optional()
    .meta({ description: 'With Accept: text/event-stream, instead of `after`, which it wins over.' }),
});

const credentials = { client_id: z.string().optional(), client_secret: z.string().optional() };
const hint = { token: z.string(), token_type_hint: z.string().optional() };

const post = (summary: string, caller: Caller, more: Omit<Operation, 'method' | 'summary' | 'caller'>): Operation => ({
  method: 'post',
  summary,
  caller,
  ...more,
});

const get = (summary: string, caller: Caller, more: Omit<Operation, 'method' | 'summary' | 'caller'>): Operation => ({
  method: 'get',
  summary,
  caller,
  ...more,
});

/** In the order of the table of paths. */
export const OPERATIONS: Readonly<Record<RoutePath, Operation>> = {
  '/login': post('Begins a session.', 'app', {
    json: LoginBody,
    success: { 200: 'TokenPair' },
    errors: [400, 401, 413, 415, 429, 503],
  }),
  '/refresh': post('Exchanges a refresh token for a new token pair.', 'app', {
    json: RefreshBody,
    headers: IdempotencyKey,
    success: { 200: 'TokenPair' },
    errors: [400, 401, 413, 415, 503],
  }),
  '/logout': post('Ends the session of a refresh token, another one, all others, or all.', 'anyone', {
    json: LogoutBody,
    success: { 204: null },
    errors: [400, 401, 404, 413, 415, 503],
  }),
  '/sessions': post("Lists the subject's live sessions.", 'anyone', {
    json: SessionsBody,
    success: { 200: 'Sessions' },
    errors: [400, 401, 413, 415, 503],
  }),
  '/verify': post('Says whether an access token is good, now.', 'resource-server', {
    json: VerifyBody,
    success: { 200: 'Verification' },
    errors: [400, 401, 413, 415, 503],
  }),
  '/forward-auth': get(
    'The same for proxies: any method, any path below. On 200 the headers X-Auth-* say who.',
    'proxy',
    {
      success: { 200: null },
      errors: [401, 403, 503],
    },
  ),
  '/revocations': get('The revocation feed: ended sessions and compromised keys, in commit order.', 'resource-server', {
    query: FeedQuery,
    headers: LastEventId,
    success: { 200: 'Feed' },
    events:
      'Each entry is an unnamed message: its data is the entry as JSON, its id the cursor. A comment comes behind the last entry that ' +
      'there is, and then every 3 s. An event named `reset` comes first when the cursor that was sent is not of this feed: forget ' +
      'what you know, the whole live set follows.',
    errors: [400, 401, 503],
  }),
  '/oauth/token': post('Refresh as RFC 6749 §6 has it.', 'app', {
    form: z.object({
      grant_type: z.literal('refresh_token'),
      refresh_token: z.string(),
      access_token: z.string().optional(),
      ...credentials,
    }),
    headers: IdempotencyKey,
    success: { 200: 'TokenPair' },
    errors: [400, 401, 413, 415, 503],
  }),
  '/oauth/introspect': post('Token introspection (RFC 7662).', 'resource-server', {
    form: z.object({ ...hint, ...credentials }),
    success: { 200: 'Introspection' },
    errors: [400, 401, 413, 415, 503],
  }),
  '/oauth/revoke': post('Token revocation (RFC 7009).', 'app', {
    form: z.object({ ...hint, ...credentials }),
    success: { 200: 'Nothing' },
    errors: [400, 401, 413, 415, 503],
  }),
  '/admin/v1/revocations': post('Ends sessions: of a subject, one, of a client, or all.', 'admin', {
    json: RevocationBody,
    success: { 200: 'Revocation' },
    errors: [400, 401, 413, 415, 503],
  }),
  '/admin/v1/global-token-revocation': post('Ends all sessions of a subject.', 'admin', {
    json: GlobalTokenRevocationBody,
    success: { 204: null },
    errors: [400, 401, 413, 415, 503],
  }),
  '/admin/v1/families': get('Lists sessions, newest first.', 'admin', {
    query: FamiliesQuery,
    success: { 200: 'FamilyPage' },
    errors: [400, 401, 503],
  }),
  '/admin/v1/families/{id}': get('One session with its timeline.', 'admin', {
    path: z.object({ id: z.string().meta({ format: 'uuid' }) }),
    success: { 200: 'Family' },
    errors: [400, 401, 404, 503],
  }),
  '/admin/v1/keys': get('Lists the signing keys of both rings.', 'admin', {
    success: { 200: 'KeyList' },
    errors: [401, 503],
  }),
  '/admin/v1/keys/rotate': post('Hands over to the next key at once, or declares one compromised.', 'admin', {
    json: KeyRotationBody,
    isBodyOptional: true,
    success: { 200: 'KeyRotation' },
    errors: [400, 401, 404, 409, 413, 415, 503],
  }),
  '/admin/v1/events': get('Lists events, oldest first.', 'admin', {
    query: EventsQuery,
    success: { 200: 'EventPage' },
    errors: [400, 401, 503],
  }),
  '/.well-known/jwks.json': get('The published keys (RFC 7517).', 'anyone', {
    success: { 200: 'Jwks', 304: null },
    mediaType: 'application/jwk-set+json',
    errors: [503],
  }),
  '/.well-known/oauth-authorization-server': get('The metadata (RFC 8414).', 'anyone', {
    success: { 200: 'Metadata' },
    errors: [],
  }),
  '/openapi.json': get('This document.', 'anyone', { success: { 200: 'Document' }, errors: [] }),
  '/healthz': get('Whether the process answers.', 'anyone', { success: { 200: 'Health' }, errors: [] }),
  '/readyz': get('Whether the server can do its work.', 'anyone', { success: { 200: 'Health' }, errors: [503] }),
};
