/** Sessions as an operator looks at them: a page of many, or one with its timeline and what ended it. Nothing here writes. */
import type { App } from '../app.ts';
import type { ClientId, FamilyId, Subject } from '../domain/ids.ts';
import type { EpochMs } from '../domain/time.ts';
import type { FamilyState } from '../domain/token-family.ts';
import { listEvents } from '../store/events.ts';
import { type FamilyFilter, listFamilies, listFamiliesById } from '../store/family-pages.ts';
import { listRefreshTokens } from '../store/refresh-tokens.ts';
import { countRevocable } from '../store/token-families.ts';
import { listUserNames } from '../store/users.ts';
import { idleLimits, idleTimeouts } from './policy.ts';
import { resolveFamily } from './short-id.ts';
import { type EventView, eventView, type FamilyView, familyView, type TimelineView, timelineView } from './views.ts';

/** Families on one page. */
export const FAMILY_PAGE = { default: 50, max: 500 } as const;

/** `since`: logged in at or after. `cursor`: the `nextCursor` of the page before. */
export interface FamilyListRequest {
  readonly subject?: Subject | undefined;
  readonly client?: ClientId | undefined;
  readonly ip?: string | undefined;
  readonly state?: FamilyState | undefined;
  readonly since?: EpochMs | undefined;
  readonly cursor?: FamilyId | undefined;
  readonly limit: number;
}

export interface FamilyPage {
  readonly families: readonly FamilyView[];
  /** Null on the last page. */
  readonly nextCursor: FamilyId | null;
}

/** Newest first. A family past its idle limit is expired, by its client's limit or the server's. */
export async function listFamilyPage(app: App, request: FamilyListRequest): Promise<FamilyPage> {
  const limit = Math.max(1, Math.min(request.limit, FAMILY_PAGE.max));
  const { cursor, ...rest } = request;
  const filter: FamilyFilter = { ...rest, before: cursor, limit: limit + 1 };
  const idleTimeout = await idleTimeouts(app);
  const idle = await idleLimits(app);
  const now = app.clock.now();
  const found = await app.store.read((db) => listFamilies(db, filter, idle, now));
  const page = found.slice(0, limit);
  return {
    families: page.map((family) => familyView(family, idleTimeout(family.clientId), now)),
    nextCursor: found.length > limit ? (page.at(-1)?.id ?? null) : null,
  };
}

/** As they are now, for whoever looks at a list that stands still. */
export async function readFamilies(app: App, ids: readonly FamilyId[]): Promise<readonly FamilyView[]> {
  const idleTimeout = await idleTimeouts(app);
  const found = await app.store.read((db) => listFamiliesById(db, ids.slice(0, FAMILY_PAGE.max)));
  const now = app.clock.now();
  return found.map((family) => familyView(family, idleTimeout(family.clientId), now));
}

export interface FamilyStory {
  readonly family: FamilyView;
  /** What an administrator said when ending it. */
  readonly note: string | null;
  /** In order of generation; old ones may have been purged. */
  readonly timeline: readonly TimelineView[];
  /** The event that tells why the family was ended by the rule of rotation; null when it was not, or is purged. */
  readonly detected: EventView | null;
}

/** Events of one family that are looked at: a family is ended by one. */
const EVENTS = 20;

/** @param text the id, or its short form. @throws Refusal invalid_request, not_found, ambiguous */
export async function showFamily(app: App, text: string): Promise<FamilyStory> {
  const family = await resolveFamily(app, text);
  const { id } = family;
  const idleTimeout = await idleTimeouts(app);
  return app.store.read(async (db) => {
    const reuse = await listEvents(db, { type: 'token.reuse_detected', familyId: id, limit: EVENTS });
    const ahead = await listEvents(db, { type: 'token.generation_ahead', familyId: id, limit: EVENTS });
    const detected = [...reuse, ...ahead].at(-1);
    return {
      family: familyView(family, idleTimeout(family.clientId), app.clock.now()),
      note: family.revoked?.note ?? null,
      timeline: (await listRefreshTokens(db, id)).map(timelineView),
      detected: detected === undefined ? null : eventView(detected),
    };
  });
}

/** Live sessions of a subject. */
export const countSessions = (app: App, subject: Subject): Promise<number> =>
  app.store.read((db) => countRevocable(db, { subject }, app.clock.now()));

/** The names of local users, for people who look at subjects; of others none is known. */
export async function namesOf(app: App, subjects: readonly Subject[]): Promise<ReadonlyMap<Subject, string>> {
  if (app.config.users.directory !== 'local') return new Map();
  return app.store.read((db) => listUserNames(db, [...new Set(subjects)]));
}
