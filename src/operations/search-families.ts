/** Sessions as an operator looks for them at a screen: what is found at once, and where to go on. Nothing here writes. */
import type { App } from '../app.ts';
import { parseSubject, type Subject } from '../domain/ids.ts';
import { parseRfc3339 } from '../domain/time.ts';
import { canonicalUsername } from '../domain/user-directory.ts';
import { Refusal } from '../refusal.ts';
import {
  countBefore,
  type FamilyPlace,
  type FamilySearch,
  searchFamilies as searchStore,
} from '../store/family-search.ts';
import { listSubjectsByPrefix } from '../store/users.ts';
import { idleLimits, idleTimeouts } from './policy.ts';
import { type FamilyView, familyView } from './views.ts';

export type { FamilyPlace, FamilySearch };

export interface FamilySearchPage {
  readonly families: readonly FamilyView[];
  /** Where it goes on; null at the end. */
  readonly next: FamilyPlace | null;
  /** Whether it stopped after so many rows read rather than after a page of those that fit: there may be more. */
  readonly isCut: boolean;
}

/**
 * Newest first; only ended ones by when they ended; by subject where its beginning is given. Of what has no index at most
 * 5,000 rows are read for one page, and 1,500 where each is found through another index.
 */
export async function searchFamilies(
  app: App,
  search: FamilySearch,
  { limit, after }: { readonly limit: number; readonly after?: FamilyPlace | undefined },
): Promise<FamilySearchPage> {
  const [idle, idleTimeout] = [await idleLimits(app), await idleTimeouts(app)];
  const now = app.clock.now();
  const page = await app.store.read((db) => searchStore(db, search, { idle, now, limit, after }));
  return { ...page, families: page.families.map((family) => familyView(family, idleTimeout(family.clientId), now)) };
}

/** How many have come above the first of a list since it was read, counted up to `limit`. */
export async function countNewer(app: App, search: FamilySearch, top: FamilyView, limit: number): Promise<number> {
  const idle = await idleLimits(app);
  const now = app.clock.now();
  return app.store.read((db) => countBefore(db, search, placeOf(top), { idle, now, limit }));
}

const placeOf = ({ sid, subject, revoked_at }: FamilyView): FamilyPlace => ({
  id: sid,
  subject,
  revokedAt: revoked_at === null ? null : (parseRfc3339(revoked_at) ?? null),
});

/** Users whose name begins so. */
const NAMED = 100;

/**
 * Whose sessions a word means: local users whose name begins with it, else subjects that do.
 * @throws Refusal invalid_request
 */
export async function readSubjectWord(
  app: App,
  word: string,
): Promise<Pick<FamilySearch, 'subjects' | 'subjectPrefix'>> {
  const isLocal = app.config.users.directory === 'local';
  const subjects: readonly Subject[] = isLocal
    ? await app.store.read((db) => listSubjectsByPrefix(db, canonicalUsername(word), NAMED))
    : [];
  if (subjects.length > 0) return { subjects };
  const subjectPrefix = parseSubject(word);
  if (subjectPrefix === undefined) {
    throw new Refusal('invalid_request', 'No user is called so, and a subject is 1 to 255 visible ASCII characters.');
  }
  return { subjectPrefix };
}
