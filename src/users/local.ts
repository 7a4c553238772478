/** The user directory in the `users` table, for development and small sites. */
import type { PasswordHasher } from '../crypto/password.ts';
import {
  type Authentication,
  type Credentials,
  canonicalUsername,
  type UserDirectory,
} from '../domain/user-directory.ts';
import type { Store } from '../store/store.ts';
import { findUser, lockUserForChange, setPasswordHash } from '../store/users.ts';

/** A hash of older parameters is renewed by the login that proves its password. No claims; a refresh asks nobody. */
export function localDirectory(store: Store, passwords: PasswordHasher): UserDirectory {
  async function authenticate({
    username,
    password,
  }: Pick<Credentials, 'username' | 'password'>): Promise<Authentication> {
    const user = await store.read((db) => findUser(db, canonicalUsername(username)));
    // Unknown, wrong and disabled take the same time: each computes one hash.
    const { matches, isOutdated } = await passwords.verify(password, user?.passwordHash);
    if (user === undefined || !matches || user.disabledAt !== null) return { kind: 'rejected' };
    if (!isOutdated) return { kind: 'authenticated', subject: user.subject, claims: {}, evidence: user.passwordHash };
    const renewed = await passwords.hash(password);
    const isStored = await store.write(async (tx) => {
      const now = await lockUserForChange(tx, user.subject);
      if (now?.passwordHash !== user.passwordHash) return false;
      await setPasswordHash(tx, user.subject, renewed);
      return true;
    });
    if (isStored) return { kind: 'authenticated', subject: user.subject, claims: {}, evidence: renewed };
    // Somebody set another hash while this one was made: of another password, which stays, or another login of this one.
    return authenticate({ username, password });
  }
  return {
    authenticate,
    // Disabling a user ends the families in the same transaction, so a refresh has nothing to ask.
    status: undefined,
    close: async () => undefined,
  };
}
