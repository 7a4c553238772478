/**
 * Ids as people type them: whole, or in the short form that lists show (`01993b2e..c4d1f7`, `Qp3v..x9Za`). Reading them is
 * a question to the database, and one that can have several answers: those are refused, never guessed.
 */
import type { App } from '../app.ts';
import { type KeyId, parseFamilyId } from '../domain/ids.ts';
import type { SigningKey } from '../domain/signing-key.ts';
import type { TokenFamily } from '../domain/token-family.ts';
import { Refusal } from '../refusal.ts';
import { findFamiliesByShortId } from '../store/family-pages.ts';
import { listKeys } from '../store/signing-keys.ts';
import { findFamily } from '../store/token-families.ts';

/** Candidates that a refusal names; more are counted as "more". */
const CANDIDATES = 10;

const SHORT_UUID = /^([0-9a-f]{8})\.\.([0-9a-f]{6})$/;
const SHORT_KID = /^([A-Za-z0-9_-]{4})\.\.([A-Za-z0-9_-]{4})$/;
const WHOLE_KID = /^[A-Za-z0-9_-]{11,64}$/;

/** The two ends of a short id. @returns undefined for anything else */
export function shortEnds(text: string): { readonly start: string; readonly end: string } | undefined {
  const [, start, end] = SHORT_UUID.exec(text) ?? [];
  return start === undefined || end === undefined ? undefined : { start, end };
}

/** @param candidates whole ids, of which ten are named */
export function ambiguous(what: string, candidates: readonly string[]): Refusal {
  const shown = candidates.slice(0, CANDIDATES).join(', ');
  const more = candidates.length > CANDIDATES ? ', and more' : '';
  return new Refusal('ambiguous', `The short id fits several ${what}: ${shown}${more}.`, {
    remedy: 'give the whole id',
  });
}

/** @throws Refusal invalid_request for text that is no id, not_found, ambiguous */
export async function resolveFamily(app: App, text: string): Promise<TokenFamily> {
  const typed = text.toLowerCase();
  const whole = parseFamilyId(typed);
  const ends = shortEnds(typed);
  if (whole === undefined && ends === undefined) {
    throw new Refusal('invalid_request', 'A session is named by its id, or by its short form: 01993b2e..c4d1f7.', {
      remedy: 'auth-server families list',
    });
  }
  const found = await app.store.read(async (db) => {
    if (ends !== undefined) return findFamiliesByShortId(db, ends.start, ends.end, CANDIDATES + 1);
    const family = whole === undefined ? undefined : await findFamily(db, whole);
    return family === undefined ? [] : [family];
  });
  if (found.length > 1) {
    throw ambiguous(
      'sessions',
      found.map((family) => family.id),
    );
  }
  const [family] = found;
  if (family === undefined) {
    throw new Refusal('not_found', 'There is no such session.', { remedy: 'auth-server families list' });
  }
  return family;
}

/** @throws Refusal invalid_request for text that is no id, not_found, ambiguous */
export async function resolveKey(app: App, text: string): Promise<SigningKey> {
  const [, start, end] = SHORT_KID.exec(text) ?? [];
  if (start === undefined && !WHOLE_KID.test(text)) {
    throw new Refusal('invalid_request', 'A key is named by its kid, or by its short form: Qp3v..x9Za.', {
      remedy: 'auth-server keys list',
    });
  }
  const fits = (kid: KeyId): boolean =>
    start === undefined || end === undefined ? kid === text : kid.startsWith(start) && kid.endsWith(end);
  const found = (await app.store.read(listKeys)).filter((key) => fits(key.kid));
  if (found.length > 1) {
    throw ambiguous(
      'keys',
      found.map((key) => key.kid),
    );
  }
  const [key] = found;
  if (key === undefined) throw new Refusal('not_found', 'There is no such key.', { remedy: 'auth-server keys list' });
  return key;
}
