/** Who knows the users: the port that the local table and the user service both answer. */
import type { ClientId, Subject } from './ids.ts';
import type { Secret } from './secret.ts';

/** What the directory said about a user, before `tokens.claims` lets anything through. */
export type Claims = Readonly<Record<string, unknown>>;

/** What a login brought, and from where. */
export interface Credentials {
  /** As typed; the local directory compares its canonical form. */
  readonly username: string;
  readonly password: Secret;
  /** `default` for a login that names none: it belongs to that client. */
  readonly clientId: ClientId;
  readonly ip: string | null;
  readonly userAgent: string | null;
}

/** `rejected` for an unknown user, a wrong password and a disabled user alike. */
export type Authentication =
  | {
      readonly kind: 'authenticated';
      readonly subject: Subject;
      readonly claims: Claims;
      /** What the directory relied on; the login's transaction checks that it still holds. Null: nothing to check. */
      readonly evidence: string | null;
    }
  | { readonly kind: 'rejected' };

/** What the directory says at a refresh: `disabled` ends the family that is being refreshed. */
export type SubjectStatus = { readonly kind: 'active'; readonly claims: Claims } | { readonly kind: 'disabled' };

/** `local` or `http` (contract §6): an operation does not know which. */
export interface UserDirectory {
  /** Takes the same time for an unknown user as for a wrong password. @throws Refusal user_directory_unavailable, overloaded */
  authenticate(credentials: Credentials): Promise<Authentication>;
  /** `undefined` where a refresh needs to ask nobody. @throws Refusal user_directory_unavailable */
  readonly status: ((subject: Subject) => Promise<SubjectStatus>) | undefined;
  close(): Promise<void>;
}

/**
 * The one form of a username, for look-up and throttle alike (contract §3): NFC, case-folded, without outer space. By way
 * of upper case, because lower case alone keeps `ß` and `ss`, or `ς` and `σ`, apart.
 */
export const canonicalUsername = (username: string): string =>
  username.normalize('NFC').trim().toLowerCase().toUpperCase().toLowerCase().normalize('NFC');

/** Claims that the server itself writes; a directory can never set them. */
const RESERVED = new Set(
  'iss sub aud client_id iat nbf exp jti sid gen auth_time typ active reason scope cnf act token_type __proto__ constructor prototype'.split(
    ' ',
  ),
);

/** Only what `tokens.claims` names, and never a reserved name. */
export function letThrough(claims: Claims, names: readonly string[]): Claims {
  const passed: Record<string, unknown> = {};
  for (const name of names) {
    if (!RESERVED.has(name) && Object.hasOwn(claims, name)) passed[name] = claims[name];
  }
  return passed;
}
