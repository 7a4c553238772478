/** The local user directory as an administrator changes it (contract §7, `users`). */
import { argon2Sync } from 'node:crypto';
import { expect, test, vi } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import { login } from '../../src/operations/login.ts';
import {
  addUser,
  changePassword,
  checkNewName,
  disableUser,
  enableUser,
  listUserPage,
  removeUser,
  resolveSubject,
  showUser,
} from '../../src/operations/users.ts';
import { setPasswordHash } from '../../src/store/users.ts';
import { describeOnBothDatabases, makeDatabase as makeOne } from '../support/databases.ts';
import { eventsOf, familyOf, logIn, ORIGIN, openTestApp, refreshWith, storeFamilies } from '../support/test-app.ts';

const PASSWORD = 'correct horse';
const password = new Secret(PASSWORD);

/** As an older release with weaker parameters would have stored it. */
function outdatedHash(text: string): string {
  const nonce = Buffer.alloc(16, 7);
  const options = { message: text, nonce, memory: 8_192, passes: 2, parallelism: 1, tagLength: 32 };
  const [salt, tag] = [nonce, argon2Sync('argon2id', options)].map((bytes) =>
    bytes.toString('base64').replace(/=+$/, ''),
  );
  return `$argon2id$v=19$m=8192,t=2,p=1$${salt}$${tag}`;
}

describeOnBothDatabases('users', (makeDatabase) => {
  test('a name is kept as typed, in NFC, and found in any spelling that a login may use', async () => {
    const { app } = await openTestApp(await makeDatabase());
    const user = await addUser(app, { name: ' Zoe\u0308 ', password });
    expect(user.name).toBe('Zo\u00eb');
    for (const text of ['zo\u00eb', 'ZO\u00cb ', 'zoe\u0308', user.subject, user.subject.toUpperCase()]) {
      expect((await showUser(app, text)).user.subject, text).toBe(user.subject);
    }
    const short = `${user.subject.slice(0, 8)}..${user.subject.slice(-6)}`;
    expect((await showUser(app, short)).user.subject).toBe(user.subject);
    expect(await resolveSubject(app, 'ZOE\u0308')).toBe(user.subject);
  });

  test('a name that is taken, in whatever case, is a conflict', async () => {
    const { app } = await openTestApp(await makeDatabase());
    await addUser(app, { name: 'alice', password });
    await expect(addUser(app, { name: 'ALICE', password })).rejects.toMatchObject({ code: 'conflict' });
    await expect(checkNewName(app, ' alice')).rejects.toMatchObject({ code: 'conflict' });
  });

  test('of two who add one name at once, one succeeds', async () => {
    const { app } = await openTestApp(await makeDatabase());
    const outcomes = await Promise.allSettled([1, 2, 3].map(() => addUser(app, { name: 'alice', password })));
    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect((await listUserPage(app, { limit: 50 })).users).toHaveLength(1);
  });

  test('a password changed while a login renews the hash of the old one stays changed', async () => {
    const { app } = await openTestApp(await makeDatabase());
    const { subject } = await addUser(app, { name: 'alice', password });
    await app.store.write((tx) => setPasswordHash(tx, subject, outdatedHash(PASSWORD)));
    const { hash } = app.passwords;
    vi.spyOn(app.passwords, 'hash').mockImplementationOnce(async (old) => {
      const renewed = await hash(old);
      await changePassword(app, { user: 'alice', password: new Secret('battery staple'), keepSessions: false });
      return renewed;
    });
    await expect(logIn(app, 'alice', PASSWORD)).rejects.toThrow('rejected');
    await logIn(app, 'alice', 'battery staple');
  });

  test('logins at once renew an outdated hash once, and all of them succeed', async () => {
    const { app } = await openTestApp(await makeDatabase());
    const { subject } = await addUser(app, { name: 'alice', password });
    await app.store.write((tx) => setPasswordHash(tx, subject, outdatedHash(PASSWORD)));
    await Promise.all([logIn(app, 'alice', PASSWORD), logIn(app, 'alice', PASSWORD), logIn(app, 'alice', PASSWORD)]);
  });

  test('disabling ends every session and the next login, in one transaction, with its events', async () => {
    const { app } = await openTestApp(await makeDatabase());
    const { subject } = await addUser(app, { name: 'alice', password });
    const pair = await logIn(app, 'alice', PASSWORD);
    const { length } = await eventsOf(app);
    expect(await disableUser(app, 'alice')).toMatchObject({ revoked: 1, user: { subject } });
    expect(await familyOf(app, pair.sid)).toMatchObject({ revoked: { cause: 'subject_disabled' } });
    expect(await refreshWith(app, pair)).toMatchObject({ kind: 'rejected', reason: 'revoked' });
    await expect(logIn(app, 'alice', PASSWORD)).rejects.toThrow('rejected');
    expect((await eventsOf(app, length)).map(({ type }) => type)).toEqual([
      'user.disabled',
      'family.revoked',
      'login.failed',
    ]);

    // Once more is nothing more.
    expect(await disableUser(app, subject)).toMatchObject({ revoked: 0 });
    expect(await eventsOf(app, length)).toHaveLength(3);
  });

  test('an enabled user logs in again; what was ended stays ended', async () => {
    const { app } = await openTestApp(await makeDatabase());
    await addUser(app, { name: 'alice', password });
    const pair = await logIn(app, 'alice', PASSWORD);
    await disableUser(app, 'alice');
    const { length } = await eventsOf(app);
    await enableUser(app, 'alice');
    await enableUser(app, 'alice');
    expect(await eventsOf(app, length)).toMatchObject([{ type: 'user.enabled' }]);
    await logIn(app, 'alice', PASSWORD);
    expect(await refreshWith(app, pair)).toMatchObject({ reason: 'revoked' });
  });

  test('a new password logs the holder of the old one out, unless sessions are to be kept', async () => {
    const { app } = await openTestApp(await makeDatabase());
    await addUser(app, { name: 'alice', password });
    const pair = await logIn(app, 'alice', PASSWORD);
    const next = new Secret('another horse');
    expect(await changePassword(app, { user: 'alice', password: next, keepSessions: true })).toMatchObject({
      revoked: 0,
    });
    expect(await familyOf(app, pair.sid)).toMatchObject({ revoked: null });
    expect(await changePassword(app, { user: 'alice', password: next, keepSessions: false })).toMatchObject({
      revoked: 1,
    });
    expect(await familyOf(app, pair.sid)).toMatchObject({ revoked: { cause: 'admin', note: 'password changed' } });
    await expect(logIn(app, 'alice', PASSWORD)).rejects.toThrow('rejected');
    await logIn(app, 'alice', 'another horse');
  });

  test('a removed name that is added again is another subject', async () => {
    const { app } = await openTestApp(await makeDatabase());
    const first = await addUser(app, { name: 'alice', password });
    const pair = await logIn(app, 'alice', PASSWORD);
    expect(await removeUser(app, 'alice')).toMatchObject({ revoked: 1 });
    expect(await familyOf(app, pair.sid)).toMatchObject({
      revoked: { cause: 'subject_disabled', note: 'user removed' },
    });
    const second = await addUser(app, { name: 'alice', password });
    expect(second.subject).not.toBe(first.subject);
    await expect(showUser(app, first.subject)).rejects.toMatchObject({ code: 'not_found' });
    // The sessions outlive the user: they are still named by the subject.
    expect(await resolveSubject(app, first.subject)).toBe(first.subject);
  });

  test('a user with more sessions than one batch loses them all', async () => {
    const { app } = await openTestApp(await makeDatabase());
    const { subject } = await addUser(app, { name: 'alice', password });
    await storeFamilies(
      app,
      Array.from({ length: 1_001 }, () => ({ subject })),
    );
    expect((await showUser(app, 'alice')).sessions).toBe(1_001);
    expect(await disableUser(app, 'alice')).toMatchObject({ revoked: 1_001 });
    expect((await showUser(app, 'alice')).sessions).toBe(0);
  });

  test('a login that is under way when its user is disabled leaves no live session', async () => {
    const { app } = await openTestApp(await makeDatabase(), { 'login.maxFailuresPerUser': 1_000 });
    await addUser(app, { name: 'alice', password });
    const request = {
      username: 'alice',
      password,
      clientId: null,
      device: null,
      credentials: undefined,
      origin: ORIGIN,
    };
    for (let round = 0; round < 5; round += 1) {
      await enableUser(app, 'alice');
      await Promise.all([login(app, request), login(app, request), disableUser(app, 'alice'), login(app, request)]);
      expect((await showUser(app, 'alice')).sessions).toBe(0);
    }
  });

  test('a list goes page by page in order of names', async () => {
    const { app } = await openTestApp(await makeDatabase());
    for (const name of ['Carol', 'alice', 'bob']) await addUser(app, { name, password });
    const first = await listUserPage(app, { limit: 2 });
    expect(first.users.map(({ name }) => name)).toEqual(['alice', 'bob']);
    const second = await listUserPage(app, { limit: 2, cursor: first.nextCursor ?? undefined });
    expect(second).toMatchObject({ users: [{ name: 'Carol' }], nextCursor: null });
  });
});

test.each([
  ['no name', '', PASSWORD],
  ['a blank name', '  ', PASSWORD],
  ['257 characters', 'x'.repeat(257), PASSWORD],
  ['a line break', 'al\nice', PASSWORD],
  ['a bidi override', 'al\u202eice', PASSWORD],
  ['a password of 7 characters', 'alice', '1234567'],
  ['a password of 1,025 bytes', 'alice', 'x'.repeat(1_025)],
  ['a password with a NUL', 'alice', 'pass\0word'],
])('%s is refused as wrong usage, and nobody is added', async (_, name, text) => {
  const { app } = await openTestApp(await makeOne('sqlite'));
  await expect(addUser(app, { name, password: new Secret(text) })).rejects.toMatchObject({ code: 'invalid_request' });
  expect((await listUserPage(app, { limit: 50 })).users).toEqual([]);
});

test('where a user service knows the users, these operations refuse', async () => {
  const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
  const http = { 'users.directory': 'http', 'users.http.url': 'http://127.0.0.1:9/login', 'users.http.secret': secret };
  const { app } = await openTestApp(await makeOne('sqlite'), http);
  const attempts = [
    () => addUser(app, { name: 'alice', password }),
    () => listUserPage(app, { limit: 1 }),
    () => showUser(app, 'alice'),
    () => disableUser(app, 'alice'),
    () => enableUser(app, 'alice'),
    () => removeUser(app, 'alice'),
  ];
  for (const attempt of attempts) await expect(attempt()).rejects.toMatchObject({ code: 'conflict' });
  // A subject of the user service is taken as it is.
  expect(await resolveSubject(app, 'user|42')).toBe('user|42');
});
