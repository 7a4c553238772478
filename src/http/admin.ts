/** `/admin/v1` (contract §5): what the user service and automation may do, as `admin` clients and nobody else. */
import type { App } from '../app.ts';
import type { Client } from '../domain/client.ts';
import { type FamilyId, isUuidv7, type KeyId } from '../domain/ids.ts';
import { authenticateClient } from '../operations/authenticate-client.ts';
import { listEventPage } from '../operations/events.ts';
import { listFamilyPage, showFamily } from '../operations/families.ts';
import { feedCursor } from '../operations/feed-cursor.ts';
import { declareKeyCompromised, rotateKeys } from '../operations/keys.ts';
import { listKeyOutlooks } from '../operations/list-keys.ts';
import { openCursor, sealCursor } from '../operations/page-cursor.ts';
import { type RevocationRequest, revoke } from '../operations/revoke.ts';
import { keyView } from '../operations/views.ts';
import {
  EventsQuery,
  FamiliesQuery,
  GlobalTokenRevocationBody,
  KeyRotationBody,
  RevocationBody,
} from './admin-requests.ts';
import { type Answer, json, noContent } from './answer.ts';
import { jsonBody, optionalJsonBody } from './body.ts';
import { clientCredentials } from './client-auth.ts';
import { queryOf } from './query.ts';
import { type HttpRequest, invalidRequest } from './request.ts';

type Handler = (app: App, request: HttpRequest) => Promise<Answer>;

/** Who calls is asked before anything else is looked at: a stranger learns nothing, not even what a body should be. */
const forAdmins =
  (serve: (app: App, request: HttpRequest, admin: Client) => Promise<Answer>): Handler =>
  async (app, request) =>
    serve(app, request, await authenticateClient(app, clientCredentials(request.incoming), 'admin'));

/** The events say what was done; this line says by whom. */
const note = (app: App, request: HttpRequest, admin: Client, done: string): void =>
  app.log.info(done, { client: admin.id, ip: request.origin.ip, request_id: request.id });

/** `cursor`: where the feed stood afterwards, so that a reader who has come so far knows of all of it. */
export const postRevocations: Handler = forAdmins(async (app, request, admin) => {
  const { subject, family, client, issued_before: issuedBefore, reason } = await jsonBody(request, RevocationBody);
  const { revoked } = await revoke(app, { which: selectorOf({ subject, family, client }), issuedBefore, reason });
  note(app, request, admin, `${revoked} sessions revoked`);
  return json(200, { revoked, cursor: await feedCursor(app) });
});

type Selectors = { readonly [Name in 'subject' | 'family' | 'client']: unknown };

/** The schema has seen to it that there is exactly one. */
function selectorOf({ subject, family, client }: Selectors): RevocationRequest['which'] {
  const given = { subject, family, client };
  for (const name of ['subject', 'family', 'client'] as const) {
    if (given[name] !== undefined) return { [name]: given[name] } as RevocationRequest['which'];
  }
  return { all: true };
}

/** Nobody here is as good as nobody left: whether the subject exists is the caller's to know. */
export const postGlobalTokenRevocation: Handler = forAdmins(async (app, request, admin) => {
  const { sub_id } = await jsonBody(request, GlobalTokenRevocationBody);
  const { revoked } = await revoke(app, { which: { subject: sub_id.id }, reason: 'global token revocation' });
  note(app, request, admin, `${revoked} sessions revoked`);
  return noContent();
});

/** Newest first; `next_cursor` is null on the last page, and fits no other question. */
export const getFamilies: Handler = forAdmins(async (app, request) => {
  const { cursor, limit, ...filter } = queryOf(request, FamiliesQuery);
  // The size of a page may change from one to the next; what is listed may not.
  const question = JSON.stringify(['families', filter.subject ?? null, filter.client ?? null, filter.state ?? null]);
  const before = cursor === undefined ? undefined : ((await openCursor(app, question, cursor)) as FamilyId);
  const { families, nextCursor } = await listFamilyPage(app, { ...filter, limit, cursor: before });
  return json(200, {
    families,
    next_cursor: nextCursor === null ? null : await sealCursor(app, question, nextCursor),
  });
});

/** Where the id begins in the path of one family. */
const FAMILY = '/admin/v1/families/'.length;

/** 400 for what is no whole id, 404 for one that is not there. */
export const getFamily: Handler = forAdmins(async (app, request) => {
  const id = request.path.slice(FAMILY);
  if (!isUuidv7(id)) throw invalidRequest('The last part of the path must be a session id.');
  const { family, timeline } = await showFamily(app, id);
  return json(200, { ...family, timeline });
});

async function keysAnswer(app: App, more: Readonly<Record<string, unknown>> = {}): Promise<Answer> {
  const outlooks = await listKeyOutlooks(app);
  return json(200, { keys: outlooks.map(({ key }) => keyView(key)), ...more });
}

/** Both rings, in the order of `listKeyOutlooks`. */
export const getKeys: Handler = forAdmins((app) => keysAnswer(app));

/** Answers with the keys as they are then; `revoked`: sessions that a compromised refresh key has cost. */
export const postKeyRotation: Handler = forAdmins(async (app, request, admin) => {
  const { ring = 'access', compromised, kid } = await optionalJsonBody(request, KeyRotationBody);
  const { revoked } =
    compromised === true
      ? await declareKeyCompromised(app, ring, kid as KeyId | undefined)
      : await rotateKeys(app, ring);
  note(app, request, admin, `${ring} keys rotated${compromised === true ? ' after a compromise' : ''}`);
  return keysAnswer(app, { revoked });
});

/** Oldest first; without `after` from the first event that is kept. */
export const getEvents: Handler = forAdmins(async (app, request) => {
  const { events, nextCursor } = await listEventPage(app, queryOf(request, EventsQuery));
  return json(200, { events, next_cursor: nextCursor });
});
