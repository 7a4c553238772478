/** Ending families on an administrator's word (contract §7, `revoke`). */
import { expect, test } from 'vitest';
import type { ClientId, FamilyId, Subject } from '../../src/domain/ids.ts';
import { Secret } from '../../src/domain/secret.ts';
import { epochMs, HOUR } from '../../src/domain/time.ts';
import { previewRevocation, type RevocationRequest, revoke } from '../../src/operations/revoke.ts';
import { addUser } from '../../src/operations/users.ts';
import { listRevocations } from '../../src/store/revocations.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { eventsOf, familyOf, logIn, openTestApp, refreshWith, storeFamilies } from '../support/test-app.ts';

const ANOTHER = '01993b2e-0000-7000-8000-000000c4d1f7' as FamilyId;

describeOnBothDatabases('revoke', (makeDatabase) => {
  test('one family ends, with its reason, its feed entry and its one event; its tokens are refused from then on', async () => {
    const { app } = await openTestApp(await makeDatabase());
    await addUser(app, { name: 'alice', password: new Secret('correct horse') });
    const pair = await logIn(app, 'alice', 'correct horse');
    const other = await logIn(app, 'alice', 'correct horse');
    const { length } = await eventsOf(app);
    expect(await app.isLive(pair.sid)).toBe(true);
    expect(await revoke(app, { which: { family: pair.sid }, reason: 'lost phone' })).toEqual({ revoked: 1 });
    expect(await app.isLive(pair.sid)).toBe(false);
    expect(await familyOf(app, pair.sid)).toMatchObject({ revoked: { cause: 'admin', note: 'lost phone' } });
    expect(await refreshWith(app, pair)).toMatchObject({ kind: 'rejected', reason: 'revoked' });
    expect(await refreshWith(app, other)).toMatchObject({ kind: 'issued' });
    expect(await eventsOf(app, length)).toMatchObject([
      { type: 'family.revoked', data: { sid: pair.sid, cause: 'admin', note: 'lost phone' } },
    ]);
    expect(await app.store.read((db) => listRevocations(db, 0, 10))).toMatchObject([{ familyId: pair.sid }]);
  });

  test('a family that has ended, and one that never was, are nothing to end: no event, no other reason', async () => {
    const { app } = await openTestApp(await makeDatabase());
    const [id] = await storeFamilies(app, [{}]);
    if (id === undefined) throw new Error('no family');
    await revoke(app, { which: { family: id }, reason: 'first' });
    const { length } = await eventsOf(app);
    expect(await revoke(app, { which: { family: id }, reason: 'second' })).toEqual({ revoked: 0 });
    expect(await revoke(app, { which: { family: ANOTHER } })).toEqual({ revoked: 0 });
    expect(await familyOf(app, id)).toMatchObject({ revoked: { note: 'first' } });
    expect(await eventsOf(app, length)).toEqual([]);
  });

  const spa = 'spa' as ClientId;
  const selectors: readonly [string, RevocationRequest['which'], number, unknown][] = [
    ['a subject', { subject: 'sub-2' as Subject }, 2, { selector: 'subject', value: 'sub-2' }],
    ['a client', { client: spa }, 2, { selector: 'client', value: 'spa' }],
    ['an address', { ip: '198.51.100.1' }, 1, { selector: 'ip', value: '198.51.100.1' }],
    ['all', { all: true }, 4, { selector: 'all', value: null }],
  ];
  test.each(selectors)(
    'by %s: a dry run counts exactly what then ends, and one event tells how they were chosen',
    async (_, which, count, chosen) => {
      const { app } = await openTestApp(await makeDatabase());
      await storeFamilies(app, [
        { subject: 'sub-1' },
        { subject: 'sub-2', client: spa },
        { subject: 'sub-2', ip: '198.51.100.1' },
        { subject: 'sub-3', client: spa },
      ]);
      const preview = await previewRevocation(app, { which });
      expect(preview).toMatchObject({ count });
      expect(preview.sample).toHaveLength(count);
      expect(await eventsOf(app)).toEqual([]);
      expect(await revoke(app, { which, reason: 'drill' })).toEqual({ revoked: count });
      expect((await previewRevocation(app, { which })).count).toBe(0);
      const events = await eventsOf(app);
      expect(events.filter(({ type }) => type === 'family.revoked')).toHaveLength(count);
      expect(events.at(-1)).toEqual({
        type: 'families.revoked',
        data: { ...(chosen as object), issued_before: null, count, cause: 'admin', note: 'drill' },
      });
    },
  );

  test('a subject with one session has one event', async () => {
    const { app } = await openTestApp(await makeDatabase());
    await storeFamilies(app, [{ subject: 'sub-1' }]);
    await revoke(app, { which: { subject: 'sub-1' as Subject } });
    expect((await eventsOf(app)).map(({ type }) => type)).toEqual(['family.revoked']);
  });

  test('issued-before spares younger logins, with any selector', async () => {
    const { app, clock } = await openTestApp(await makeDatabase());
    const before = clock.now();
    const [old, young] = await storeFamilies(app, [
      { createdAt: epochMs(before - 2 * HOUR) },
      { createdAt: epochMs(before - HOUR) },
    ]);
    const issuedBefore = epochMs(before - HOUR);
    for (const id of [young, old]) {
      if (id === undefined) throw new Error('no family');
      const expected = id === old ? 1 : 0;
      expect((await previewRevocation(app, { which: { family: id }, issuedBefore })).count).toBe(expected);
    }
    expect(await revoke(app, { which: { all: true }, issuedBefore })).toEqual({ revoked: 1 });
    expect(await eventsOf(app)).toMatchObject([
      { type: 'family.revoked', data: { sid: old } },
      { type: 'families.revoked', data: { issued_before: new Date(issuedBefore).toISOString(), count: 1 } },
    ]);
  });

  test('many families end in batches, and the last batch carries the event of the whole', async () => {
    const { app } = await openTestApp(await makeDatabase());
    await storeFamilies(
      app,
      Array.from({ length: 1_000 }, () => ({})),
    );
    const progress: number[] = [];
    const onProgress = (revoked: number): void => void progress.push(revoked);
    expect(await revoke(app, { which: { all: true }, onProgress })).toEqual({ revoked: 1_000 });
    expect(progress).toEqual([500, 1_000]);
    const events = await eventsOf(app);
    expect(events).toHaveLength(1_001);
    expect(events.at(-1)).toMatchObject({ type: 'families.revoked', data: { count: 1_000 } });
  });

  test('a family whose login was committed late, behind those that have ended already, is ended too', async () => {
    const { app } = await openTestApp(await makeDatabase());
    await storeFamilies(
      app,
      Array.from({ length: 600 }, () => ({})),
    );
    let isLate = true;
    const write: typeof app.store.write = async (change) => {
      const result = await app.store.write(change);
      if (isLate) {
        isLate = false;
        await storeFamilies(app, [{ id: ANOTHER }]);
      }
      return result;
    };
    const store = { ...app.store, write } as typeof app.store;
    expect(await revoke({ ...app, store }, { which: { all: true } })).toEqual({ revoked: 601 });
    expect((await familyOf(app, ANOTHER)).revoked).toMatchObject({ cause: 'admin' });
  });

  test('two who end the same families at once end each once, and neither answers before all have ended', async () => {
    const { app } = await openTestApp(await makeDatabase());
    await storeFamilies(
      app,
      Array.from({ length: 1_200 }, () => ({})),
    );
    const one = async (): Promise<number> => {
      const { revoked } = await revoke(app, { which: { all: true } });
      expect((await previewRevocation(app, { which: { all: true } })).count).toBe(0);
      return revoked;
    };
    const [left, right] = await Promise.all([one(), one()]);
    expect(left + right).toBe(1_200);
    const events = await eventsOf(app);
    expect(events.filter(({ type }) => type === 'family.revoked')).toHaveLength(1_200);
  });

  test.each([
    ['nothing', ''],
    ['257 characters', 'x'.repeat(257)],
    ['an escape sequence', '\u001b[2J'],
  ])('a reason of %s is wrong usage', async (_, reason) => {
    const { app } = await openTestApp(await makeDatabase());
    await expect(revoke(app, { which: { all: true }, reason })).rejects.toMatchObject({ code: 'invalid_request' });
    await expect(previewRevocation(app, { which: { all: true }, reason })).rejects.toMatchObject({
      code: 'invalid_request',
    });
  });
});
