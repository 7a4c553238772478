/** The purge: what goes and what stays (contract §8), and that nobody waits for it (security.md, I41). */
import { expect, test } from 'vitest';
import type { FamilyId, Generation, TokenId } from '../../src/domain/ids.ts';
import { Secret } from '../../src/domain/secret.ts';
import { after, DAY, type EpochMs, HOUR, MINUTE } from '../../src/domain/time.ts';
import { examine } from '../../src/operations/doctor.ts';
import { rotateKeys } from '../../src/operations/keys.ts';
import { purge, purgeOnSchedule } from '../../src/operations/purge.ts';
import { revoke } from '../../src/operations/revoke.ts';
import { addUser } from '../../src/operations/users.ts';
import { storeFailures } from '../../src/store/login-attempts.ts';
import type { Database } from '../../src/store/schema.ts';
import type { Tx } from '../../src/store/store.ts';
import { advanceFamily, findFamily } from '../../src/store/token-families.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { logIn, ORIGIN, openTestApp, refreshWith, storeFamilies } from '../support/test-app.ts';
import { answer, openWebhookReceiver } from '../support/webhook-receiver.ts';
import { created, deliveriesOf, family, notesOf, record, revoked, runWorker, SECRET, statesOf } from './support.ts';

type App = Awaited<ReturnType<typeof openTestApp>>['app'];

const count = (app: App, table: keyof Database): Promise<number> =>
  app.store.read(
    async (db) =>
      (
        await db.sql
          .selectFrom(table)
          .select((eb) => eb.val(1).as('one'))
          .execute()
      ).length,
  );

/** Generations as rotations would have made them, all at one time. */
async function storeGenerations(app: App, id: FamilyId, below: number, at: EpochMs): Promise<void> {
  await app.store.write(async (tx) => {
    const rows = Array.from({ length: below - 1 }, (_, index) => ({
      family_id: id,
      generation: (index + 1) as Generation,
      jti: tx.newId() as TokenId,
      issued_at: at,
      ip: ORIGIN.ip,
      user_agent: null,
    }));
    for (let start = 0; start < rows.length; start += 500) {
      await tx.sql
        .insertInto('refresh_tokens')
        .values(rows.slice(start, start + 500))
        .execute();
    }
    await tx.sql
      .updateTable('token_families')
      .set({ generation: (below - 1) as Generation })
      .where('id', '=', id)
      .execute();
  });
}

describeOnBothDatabases('the purge', (database) => {
  test('past generations go after retention.refreshTokens, the current one and the young ones stay', async () => {
    const { app, clock } = await openTestApp(await database());
    const [id] = await storeFamilies(app, [{}]);
    if (id === undefined) throw new Error('no family');
    await storeGenerations(app, id, 2_500, clock.now());
    expect(await purge(app)).toEqual({ refresh_tokens: 0, families: 0, events: 0, keys: 0 });
    clock.advance(29 * DAY);
    await app.store.write(async (tx) => {
      const found = await findFamily(tx, id);
      if (found !== undefined) await advanceFamily(tx, found, { ...found.current, issuedAt: tx.now }, ORIGIN);
    });
    clock.advance(2 * DAY);
    expect(await purge(app)).toEqual({ refresh_tokens: 2_500, families: 0, events: 0, keys: 0 });
    expect((await app.store.read((db) => findFamily(db, id)))?.generation).toBe(2_500);
  });

  test('a session refreshes after the purge has taken its whole history, and its first token is still reuse', async () => {
    const { app, clock } = await openTestApp(await database());
    await addUser(app, { name: 'alice', password: new Secret('correct horse') });
    const first = await logIn(app, 'alice', 'correct horse');
    const second = await refreshWith(app, first);
    if (second.kind !== 'issued') throw new Error('not issued');
    clock.advance(31 * DAY);
    expect(await purge(app)).toMatchObject({ refresh_tokens: 1, families: 0 });
    const third = await refreshWith(app, second.pair);
    expect(third.kind).toBe('issued');
    expect(await refreshWith(app, first)).toMatchObject({ kind: 'rejected', reason: 'reused' });
  });

  test('families go retention.families after their last refresh token expired, with their history, revoked or not', async () => {
    const { app, clock } = await openTestApp(await database());
    await storeFamilies(
      app,
      Array.from({ length: 450 }, () => ({})),
    );
    const [kept] = await storeFamilies(app, [{ subject: 'kept', createdAt: after(clock.now(), 2 * HOUR) }]);
    await revoke(app, { which: { subject: 'sub-1' as never } });
    clock.advance(120 * DAY);
    expect(await purge(app)).toMatchObject({ families: 0 });
    clock.advance(HOUR);
    expect(await purge(app)).toMatchObject({ families: 450, refresh_tokens: 450 });
    expect(await count(app, 'token_families')).toBe(1);
    expect(await count(app, 'refresh_tokens')).toBe(1);
    expect(await app.store.read((db) => findFamily(db, kept as FamilyId))).toBeDefined();
  });

  test('the long history of a family that has gone goes in small steps, however long it was to be kept', async () => {
    const { app, clock } = await openTestApp(await database(), { 'retention.refreshTokens': '3650d' });
    const ids = await storeFamilies(app, [{}, {}]);
    for (const id of ids) await storeGenerations(app, id, 2_500, clock.now());
    clock.advance(121 * DAY);
    const steps: number[] = [];
    const rowsOf = async (tx: Tx): Promise<number> =>
      (await tx.sql.selectFrom('refresh_tokens').select('generation').execute()).length;
    const write: App['store']['write'] = (change) =>
      app.store.write(async (tx) => {
        const before = await rowsOf(tx);
        const value = await change(tx);
        steps.push(before - (await rowsOf(tx)));
        return value;
      });
    expect(await purge({ ...app, store: { ...app.store, write } })).toMatchObject({
      families: 2,
      refresh_tokens: 5_000,
    });
    expect(Math.max(...steps)).toBeLessThanOrEqual(1_000);
    expect(await count(app, 'refresh_tokens')).toBe(0);
  });

  test('events go after retention.events, with their deliveries; entries of the feed with the access tokens', async () => {
    const { app, clock } = await openTestApp(await database(), {
      'events.webhooks': [{ url: 'http://127.0.0.1:9/', secret: SECRET, types: ['client.created'] }],
    });
    const before = await count(app, 'events');
    await record(app, created('a'), created('b'));
    const worker = runWorker(app);
    await expect.poll(() => deliveriesOf(app)).toHaveLength(2);
    await worker.stop();
    await storeFamilies(app, [{}]);
    await revoke(app, { which: { all: true } });
    expect(await count(app, 'revocations')).toBe(1);
    clock.advance(6 * MINUTE);
    await purge(app);
    expect(await count(app, 'revocations')).toBe(0);
    clock.advance(90 * DAY);
    await record(app, created('young'));
    const all = before + 2 + 2;
    expect(await purge(app)).toMatchObject({ events: all });
    expect(await count(app, 'events')).toBe(1);
    expect(await count(app, 'deliveries')).toBe(0);
    expect(await count(app, 'outbox')).toBe(1);
  });

  test('events by a clock that was a year ahead hide none of the old ones behind them', async () => {
    const { app, clock } = await openTestApp(await database());
    clock.advance(365 * DAY);
    await record(app, ...Array.from({ length: 250 }, (_, index) => created(`ahead-${index}`)));
    clock.advance(-365 * DAY);
    await record(app, created('a'), created('b'));
    clock.advance(91 * DAY);
    await record(app, created('young'));
    expect(await purge(app)).toMatchObject({ events: 2 + 2 });
    expect(await count(app, 'events')).toBe(251);
  });

  test('what waits behind an event that is purged undelivered gets its turn', async () => {
    const receiver = await openWebhookReceiver();
    receiver.behave(answer(500));
    const { app, clock } = await openTestApp(await database(), {
      'events.webhooks': [{ url: receiver.url, secret: SECRET, types: ['family.revoked'] }],
      'retention.events': '1h',
    });
    const worker = runWorker(app);
    await record(app, revoked(family(1), 'one'));
    await expect.poll(() => receiver.received.length).toBeGreaterThan(0);
    clock.advance(HOUR / 2);
    await record(app, revoked(family(1), 'two'));
    await expect.poll(() => statesOf(app)).toEqual(['pending', 'waiting']);
    clock.advance(HOUR / 2 + 1);
    await worker.stop();
    await purge(app);
    receiver.behave(answer(200));
    runWorker(app);
    await expect.poll(() => notesOf(receiver.accepted)).toEqual(['two']);
  });

  test('counts of failed logins go with their window, keys by the schedule', async () => {
    const { app, clock } = await openTestApp(await database());
    await app.store.write(async (tx) => {
      for (let each = 0; each < 1_200; each += 1) await storeFailures(tx, `u:${each}`, { failures: 1, since: tx.now });
    });
    await rotateKeys(app, 'refresh');
    clock.advance(10 * MINUTE);
    await app.store.write((tx) => storeFailures(tx, 'u:young', { failures: 1, since: tx.now }));
    clock.advance(6 * MINUTE);
    expect(await purge(app)).toMatchObject({ keys: 0 });
    expect(await count(app, 'login_attempts')).toBe(1);
    clock.advance(92 * DAY);
    expect(await purge(app)).toMatchObject({ keys: 1 });
    await app.keys.reload();
  });

  test('of many workers one purges, once an hour', async () => {
    const { app, clock } = await openTestApp(await database());
    const { signal } = new AbortController();
    const runs = await Promise.all(Array.from({ length: 4 }, () => purgeOnSchedule(app, signal)));
    expect(runs.filter((run) => run !== undefined)).toHaveLength(1);
    clock.advance(HOUR - 1);
    expect(await purgeOnSchedule(app, signal)).toBeUndefined();
    clock.advance(1);
    expect(await purgeOnSchedule(app, signal)).toBeDefined();
  });

  test('a clock that stepped back from a year ahead does not put the purge off for that year', async () => {
    const { app, clock } = await openTestApp(await database());
    const { signal } = new AbortController();
    clock.advance(365 * DAY);
    expect(await purgeOnSchedule(app, signal)).toBeDefined();
    clock.advance(-365 * DAY);
    expect(await purgeOnSchedule(app, signal)).toBeDefined();
    expect(await purgeOnSchedule(app, signal)).toBeUndefined();
  });

  test('a purge that finds nothing takes nobody’s write lock', async () => {
    const { app } = await openTestApp(await database());
    await storeFamilies(app, [{}]);
    await revoke(app, { which: { all: true } });
    const write: App['store']['write'] = () => Promise.reject(new Error('a write'));
    await purge({ ...app, store: { ...app.store, write } });
  });

  test('I41: a change beside a purge of thousands of rows never waits long', async () => {
    const { app, clock } = await openTestApp(await database());
    await storeFamilies(
      app,
      Array.from({ length: 3_000 }, () => ({})),
    );
    clock.advance(121 * DAY);
    let isDone = false;
    const purging = purge(app).finally(() => {
      isDone = true;
    });
    let changes = 0;
    while (!isDone) {
      await app.store.write(async (tx) => tx.now);
      changes += 1;
    }
    expect(await purging).toMatchObject({ families: 3_000 });
    // Its fifteen steps leave room between them, whatever the machine: a purge in one piece would let in two.
    expect(changes).toBeGreaterThan(10);
  });

  test('W7: doctor names a receiver at a link-local address, and says that no worker was seen', async () => {
    const { app, clock } = await openTestApp(await database(), {
      'events.webhooks': [{ url: 'http://169.254.169.254/latest', secret: SECRET }],
    });
    clock.advance(2 * MINUTE);
    const findings = await examine(app, { isDefault: true });
    expect(findings.filter(({ name, status }) => name === 'receivers' && status === 'warn')).toMatchObject([
      { message: expect.stringContaining('169.254.169.254') },
    ]);
    expect(findings.find(({ name }) => name === 'worker')).toMatchObject({
      status: 'warn',
      message: expect.stringContaining('events wait'),
    });
  });
});
