/** A subject with more sessions than are read at once, on both databases. */
import { expect, test } from 'vitest';
import type { ClientId, FamilyId } from '../../src/domain/ids.ts';
import { Secret } from '../../src/domain/secret.ts';
import { durationMs, HOUR } from '../../src/domain/time.ts';
import { addClient } from '../../src/operations/clients.ts';
import { listSessions, logout } from '../../src/operations/sessions.ts';
import { addUser } from '../../src/operations/users.ts';
import { feedPosition, listRevocations } from '../../src/store/revocations.ts';
import { describeOnBothDatabases, makeDatabase as makeOne } from '../support/databases.ts';
import { familyOf, logIn, openTestApp, storeFamilies } from '../support/test-app.ts';

const PASSWORD = 'correct horse';

async function prepare(url: string) {
  const { app, clock } = await openTestApp(url);
  const { subject } = await addUser(app, { name: 'alice', password: new Secret(PASSWORD) });
  const policy = { maxSessions: 2, idleTimeout: durationMs(HOUR) };
  await addClient(app, { id: 'tv', type: 'app', isPublic: true, audiences: [], policy });
  const client = 'tv' as ClientId;
  await storeFamilies(
    app,
    Array.from({ length: 1_001 }, () => ({ subject, client })),
  );
  return { app, clock };
}

test('a logout of a session that is not there undoes no change that shares its commit (SQLite)', async () => {
  const { app } = await openTestApp(await makeOne('sqlite'));
  await addUser(app, { name: 'alice', password: new Secret(PASSWORD) });
  const { refreshToken } = await logIn(app, 'alice', PASSWORD);
  const sid = '01993b2e-0000-7000-8000-000000c4d1f7' as FamilyId;
  let runs = 0;
  const other = async () => {
    // As a refresh that comes at the same time.
    await app.store.write(async () => {
      runs += 1;
    });
  };
  const { write } = app.store;
  const together: typeof write = (change) => {
    const before = other();
    return write(change).finally(() => before);
  };
  const shared = { ...app, store: { ...app.store, write: together } };
  await expect(logout(shared, refreshToken, { kind: 'session', sid })).rejects.toMatchObject({ code: 'not_found' });
  expect(runs).toBe(1);
});

describeOnBothDatabases('many sessions of a subject', (makeDatabase) => {
  test('however many of them were left idle, --max-sessions holds', async () => {
    const { app, clock } = await prepare(await makeDatabase());
    clock.advance(HOUR);
    const sessions: Awaited<ReturnType<typeof logIn>>[] = [];
    for (let count = 0; count < 3; count += 1) {
      clock.advance(1_000);
      sessions.push(await logIn(app, 'alice', PASSWORD, 'tv'));
    }
    const ends = await Promise.all(sessions.map(async ({ sid }) => (await familyOf(app, sid)).revoked?.cause));
    expect(ends).toEqual(['session_limit', undefined, undefined]);
  });

  test('all of them can end in one transaction, as a user is disabled', async () => {
    const { app } = await openTestApp(await makeDatabase());
    const { epoch, number } = await app.store.read(feedPosition);
    // More than either database takes values for in one statement.
    await app.store.write(async (tx) => {
      for (let count = 0; count < 14_000; count += 1) {
        tx.feed.push({ familyId: tx.newId() as FamilyId, cause: 'subject_disabled' });
      }
    });
    expect(await app.store.read(feedPosition)).toEqual({ epoch, number: number + 14_000 });
    const entries = await app.store.read((db) => listRevocations(db, number, 20_000));
    expect(entries.map((entry) => entry.number)).toEqual(
      Array.from({ length: 14_000 }, (_, index) => number + index + 1),
    );
  });

  test('a list of sessions is of the last refreshed, and has the one that asks', async () => {
    const { app, clock } = await prepare(await makeDatabase());
    clock.advance(1_000);
    const { refreshToken, sid } = await logIn(app, 'alice', PASSWORD);
    const listed = await listSessions(app, refreshToken);
    if (listed.kind !== 'listed') throw new Error(listed.reason);
    expect(listed.sessions).toHaveLength(1_000);
    expect(listed.sessions[0]?.id).toBe(sid);
  });
});
