/**
 * The local user directory as an administrator changes it. Whatever takes a user's access away ends the user's families in
 * the same transaction, so that no server ever sees the one without the other.
 */
import type { App } from '../app.ts';
import { isUuidv7, parseSubject, type Subject } from '../domain/ids.ts';
import { isPrintable } from '../domain/printable.ts';
import type { Secret } from '../domain/secret.ts';
import { canonicalUsername } from '../domain/user-directory.ts';
import { Refusal } from '../refusal.ts';
import { recordEvent } from '../store/events.ts';
import type { Reader, Tx } from '../store/store.ts';
import { countRevocable } from '../store/token-families.ts';
import {
  deleteUser,
  findUser,
  findUserBySubject,
  findUsersByShortSubject,
  insertUser,
  listUsers,
  lockUserForChange,
  setPasswordHash,
  setUserDisabled,
  type User,
} from '../store/users.ts';
import { revokeAll } from './revoke-batches.ts';
import { shortEnds } from './short-id.ts';

/** Characters of a name, of a new password at least, bytes of a password at most (contract §3), users of one page. */
const limits = { name: 256, shortestPassword: 8, longestPassword: 1_024, page: 500 } as const;

/** What a change did; `revoked` are the sessions that ended with it. */
export interface UserChange {
  readonly user: User;
  readonly revoked: number;
}

/** @throws Refusal conflict where a user service knows the users */
function refuseUnlessLocal(app: App): void {
  if (app.config.users.directory === 'local') return;
  throw new Refusal('conflict', 'Users live in your user service (users.directory is "http"), not in this database.', {
    remedy: 'change them there; auth-server revoke --subject S ends the sessions of one of them here',
  });
}

const invalid = (description: string): Refusal => new Refusal('invalid_request', description);
const taken = (): Refusal =>
  new Refusal('conflict', 'There is a user of this name.', {
    remedy: 'auth-server users list; passwd changes a password',
  });

function readName(text: string): { readonly name: string; readonly username: string } {
  const name = text.normalize('NFC').trim();
  const username = canonicalUsername(name);
  if (username === '') throw invalid('A username needs at least one character.');
  if (text.length > limits.name) throw invalid(`A username has at most ${limits.name} characters.`);
  if (!isPrintable(text)) throw invalid('A username has no control characters and no invisible ones.');
  return { name, username };
}

/** A new one: what a login compares byte by byte must be text that a login can send. @throws Refusal invalid_request */
export function checkNewPassword(password: Secret): void {
  const text = password.reveal();
  if (!text.isWellFormed() || text.includes('\0')) throw invalid('A password is text without a NUL character.');
  if ([...text].length < limits.shortestPassword)
    throw invalid(`A password needs at least ${limits.shortestPassword} characters.`);
  if (Buffer.byteLength(text) > limits.longestPassword)
    throw invalid(`A password has at most ${limits.longestPassword} bytes.`);
}

/** Whether `addUser` would take the name, before anybody types a password for it. @throws Refusal invalid_request, conflict */
export async function checkNewName(app: App, text: string): Promise<void> {
  refuseUnlessLocal(app);
  const { username } = readName(text);
  if ((await app.store.read((db) => findUser(db, username))) !== undefined) throw taken();
}

/** A name that was removed and is added again gets a new subject: old sessions and rights stay with the old one. */
export async function addUser(app: App, request: { readonly name: string; readonly password: Secret }): Promise<User> {
  await checkNewName(app, request.name);
  checkNewPassword(request.password);
  const { name, username } = readName(request.name);
  const passwordHash = await app.passwords.hash(request.password);
  return app.store.write(async (tx) => {
    const subject = tx.newId() as Subject;
    if (!(await insertUser(tx, { subject, username, name, passwordHash }))) throw taken();
    return { subject, name, passwordHash, createdAt: tx.now, passwordChangedAt: tx.now, disabledAt: null };
  });
}

export interface UserPage {
  readonly users: readonly User[];
  /** The canonical name to go on after; null on the last page. */
  readonly nextCursor: string | null;
}

/** In order of their names. @throws Refusal conflict */
export async function listUserPage(
  app: App,
  request: { readonly limit: number; readonly cursor?: string | undefined },
): Promise<UserPage> {
  refuseUnlessLocal(app);
  const limit = Math.min(request.limit, limits.page);
  const users = await app.store.read((db) => listUsers(db, limit + 1, request.cursor));
  const page = users.slice(0, limit);
  return { users: page, nextCursor: users.length > limit ? (page.at(-1)?.username ?? null) : null };
}

/** By name, or by subject, which may be in its short form. @throws Refusal conflict, not_found, ambiguous */
export async function showUser(app: App, text: string): Promise<{ readonly user: User; readonly sessions: number }> {
  refuseUnlessLocal(app);
  return app.store.read(async (db) => {
    const user = await resolveUser(db, text);
    return { user, sessions: await countRevocable(db, { subject: user.subject }, app.clock.now()) };
  });
}

/** A name wins over a short form that looks like it; nobody else's whole subject can be a name's only meaning. */
async function resolveUser(db: Reader, text: string): Promise<User> {
  const whole = text.toLowerCase();
  const bySubject = isUuidv7(whole) ? await findUserBySubject(db, whole as Subject) : undefined;
  const user = bySubject ?? (await findUser(db, canonicalUsername(text)));
  if (user !== undefined) return user;
  const ends = shortEnds(whole);
  const [found, another] = ends === undefined ? [] : await findUsersByShortSubject(db, ends.start, ends.end, 2);
  if (another !== undefined)
    throw new Refusal('ambiguous', 'The short id fits several users.', { remedy: 'give the name' });
  if (found === undefined)
    throw new Refusal('not_found', 'There is no such user.', { remedy: 'auth-server users list' });
  return found;
}

/**
 * Finds the user, locks the row, and changes it: a login that is under way waits, and then meets the change.
 * @throws Refusal conflict, not_found, ambiguous
 */
async function changeUser(
  app: App,
  text: string,
  change: (tx: Tx, user: User) => Promise<UserChange>,
): Promise<UserChange> {
  refuseUnlessLocal(app);
  return app.store.write(async (tx) => {
    const user = await lockUserForChange(tx, (await resolveUser(tx, text)).subject);
    if (user === undefined)
      throw new Refusal('not_found', 'There is no such user.', { remedy: 'auth-server users list' });
    return change(tx, user);
  });
}

export interface PasswordRequest {
  readonly user: string;
  readonly password: Secret;
  /** Otherwise whoever knew the old password is logged out. */
  readonly keepSessions: boolean;
}

/** @throws Refusal invalid_request, conflict, not_found, ambiguous */
export async function changePassword(app: App, request: PasswordRequest): Promise<UserChange> {
  checkNewPassword(request.password);
  await showUser(app, request.user);
  const passwordHash = await app.passwords.hash(request.password);
  return changeUser(app, request.user, async (tx, user) => {
    await setPasswordHash(tx, user.subject, passwordHash, tx.now);
    const revoked = request.keepSessions
      ? 0
      : await revokeAll(tx, { subject: user.subject }, { cause: 'admin', note: 'password changed' });
    return { user: { ...user, passwordHash, passwordChangedAt: tx.now }, revoked };
  });
}

/** The user cannot log in any more, and every session ends. Twice is once. @throws Refusal conflict, not_found, ambiguous */
export const disableUser = (app: App, text: string): Promise<UserChange> =>
  changeUser(app, text, async (tx, user) => {
    if (user.disabledAt === null) {
      await setUserDisabled(tx, user.subject, tx.now);
      await recordEvent(tx, { type: 'user.disabled', data: { subject: user.subject } });
    }
    const revoked = await revokeAll(tx, { subject: user.subject }, { cause: 'subject_disabled' });
    return { user: { ...user, disabledAt: user.disabledAt ?? tx.now }, revoked };
  });

/** The user can log in again; sessions that ended stay ended. @throws Refusal conflict, not_found, ambiguous */
export const enableUser = (app: App, text: string): Promise<UserChange> =>
  changeUser(app, text, async (tx, user) => {
    if (user.disabledAt !== null) {
      await setUserDisabled(tx, user.subject, null);
      await recordEvent(tx, { type: 'user.enabled', data: { subject: user.subject } });
    }
    return { user: { ...user, disabledAt: null }, revoked: 0 };
  });

/** Every session ends, and the name is free. @throws Refusal conflict, not_found, ambiguous */
export const removeUser = (app: App, text: string): Promise<UserChange> =>
  changeUser(app, text, async (tx, user) => {
    const revoked = await revokeAll(tx, { subject: user.subject }, { cause: 'subject_disabled', note: 'user removed' });
    await deleteUser(tx, user.subject);
    return { user, revoked };
  });

/**
 * Whom a selector means: a subject, or the name of a user of the local directory. A name that nobody has is taken for the
 * subject itself, because sessions outlive their users. @throws Refusal invalid_request, ambiguous
 */
export async function resolveSubject(app: App, text: string): Promise<Subject> {
  const user =
    app.config.users.directory === 'local'
      ? await app.store
          .read((db) => resolveUser(db, text))
          .catch((error: unknown) => {
            if (error instanceof Refusal && error.code === 'not_found') return undefined;
            throw error;
          })
      : undefined;
  const subject = user?.subject ?? parseSubject(text);
  if (subject === undefined) throw invalid('A subject is 1 to 255 visible ASCII characters.');
  return subject;
}
