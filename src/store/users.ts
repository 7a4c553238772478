/** The local user directory's table. Empty where a user service knows the users. */
import type { Subject } from '../domain/ids.ts';
import type { EpochMs } from '../domain/time.ts';
import type { UserRow } from './schema.ts';
import { prepared, type Reader, type Tx } from './store.ts';

/** A row of `users`, but for the canonical name that it is found by. */
export interface User {
  readonly subject: Subject;
  /** As typed at `users add`. */
  readonly name: string;
  readonly passwordHash: string;
  readonly createdAt: EpochMs;
  readonly passwordChangedAt: EpochMs;
  readonly disabledAt: EpochMs | null;
}

const userOf = (row: UserRow): User => ({
  subject: row.subject,
  name: row.name,
  passwordHash: row.password_hash,
  createdAt: row.created_at,
  passwordChangedAt: row.password_changed_at,
  disabledAt: row.disabled_at,
});

const byUsername = prepared<{ username: string }, UserRow>((sql, slot) =>
  sql.selectFrom('users').selectAll().where('username', '=', slot.username),
);

/** @param username in canonical form */
export async function findUser(db: Reader, username: string): Promise<User | undefined> {
  const row = (await byUsername(db, { username })).rows[0];
  return row === undefined ? undefined : userOf(row);
}

/** Also a disabled one. Undefined: never there, or removed. */
export async function findUserBySubject(db: Reader, subject: Subject): Promise<User | undefined> {
  const row = await db.sql.selectFrom('users').selectAll().where('subject', '=', subject).executeTakeFirst();
  return row === undefined ? undefined : userOf(row);
}

/** @param after canonical name of the last one seen */
export async function listUsers(
  db: Reader,
  limit: number,
  after?: string,
): Promise<(User & { readonly username: string })[]> {
  let query = db.sql.selectFrom('users').selectAll().orderBy('username').limit(limit);
  if (after !== undefined) query = query.where('username', '>', after);
  return (await query.execute()).map((row) => ({ ...userOf(row), username: row.username }));
}

/** The subjects of users whose canonical name begins so, in order of their names. */
export async function listSubjectsByPrefix(db: Reader, prefix: string, limit: number): Promise<readonly Subject[]> {
  const rows = await db.sql
    .selectFrom('users')
    .select('subject')
    .where('username', '>=', prefix)
    .where('username', '<', `${prefix}\u{10ffff}`)
    .orderBy('username')
    .limit(limit)
    .execute();
  return rows.map(({ subject }) => subject);
}

/** @returns false when the name is taken */
export async function insertUser(
  tx: Tx,
  user: { readonly subject: Subject; readonly username: string; readonly name: string; readonly passwordHash: string },
): Promise<boolean> {
  const result = await tx.sql
    .insertInto('users')
    .values({
      subject: user.subject,
      username: user.username,
      name: user.name,
      password_hash: user.passwordHash,
      created_at: tx.now,
      password_changed_at: tx.now,
      disabled_at: null,
    })
    .onConflict((conflict) => conflict.column('username').doNothing())
    .executeTakeFirst();
  return Number(result.numInsertedOrUpdatedRows) === 1;
}

/** @param changedAt when a person chose another password; left out for the same one under newer parameters */
export async function setPasswordHash(
  tx: Tx,
  subject: Subject,
  passwordHash: string,
  changedAt?: EpochMs,
): Promise<void> {
  await tx.sql
    .updateTable('users')
    .set(
      changedAt === undefined
        ? { password_hash: passwordHash }
        : { password_hash: passwordHash, password_changed_at: changedAt },
    )
    .where('subject', '=', subject)
    .execute();
}

/** @param disabledAt null enables. The sessions stay: whoever calls ends them in the same transaction */
export async function setUserDisabled(tx: Tx, subject: Subject, disabledAt: EpochMs | null): Promise<void> {
  await tx.sql.updateTable('users').set({ disabled_at: disabledAt }).where('subject', '=', subject).execute();
}

/** The sessions stay: whoever calls ends them in the same transaction. */
export async function deleteUser(tx: Tx, subject: Subject): Promise<void> {
  await tx.sql.deleteFrom('users').where('subject', '=', subject).execute();
}

const bySubjectLocked = prepared<{ subject: Subject }, UserRow>((sql, slot, dialect) => {
  const query = sql.selectFrom('users').selectAll().where('subject', '=', slot.subject);
  return dialect === 'postgres' ? query.forShare() : query;
});

/** As it is now, and nobody disables it until this transaction ends. */
export async function lockUser(tx: Tx, subject: Subject): Promise<User | undefined> {
  const row = (await bySubjectLocked(tx, { subject })).rows[0];
  return row === undefined ? undefined : userOf(row);
}

/** As `lockUser`, for whoever is about to change the user: one at a time, and no login in between. */
export async function lockUserForChange(tx: Tx, subject: Subject): Promise<User | undefined> {
  const query = tx.sql.selectFrom('users').selectAll().where('subject', '=', subject);
  const row = await (tx.dialect === 'postgres' ? query.forUpdate() : query).executeTakeFirst();
  return row === undefined ? undefined : userOf(row);
}

/** The users whose subjects begin and end like a short form, at most `limit`. */
export async function findUsersByShortSubject(db: Reader, start: string, end: string, limit: number): Promise<User[]> {
  const rows = await db.sql
    .selectFrom('users')
    .selectAll()
    .where('subject', '>=', start as Subject)
    .where('subject', '<', `${start}~` as Subject)
    .where('subject', 'like', `%${end}` as Subject)
    .orderBy('subject')
    .limit(limit)
    .execute();
  return rows.map(userOf);
}

/** The names of these subjects, as far as they are known. */
export async function listUserNames(db: Reader, subjects: readonly Subject[]): Promise<ReadonlyMap<Subject, string>> {
  if (subjects.length === 0) return new Map();
  const rows = await db.sql
    .selectFrom('users')
    .select(['subject', 'name'])
    .where('subject', 'in', [...subjects])
    .execute();
  return new Map(rows.map((row) => [row.subject, row.name]));
}
