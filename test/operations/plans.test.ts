/** Nothing that an administrator asks for reads all families: how each database means to find them, in its own words. */
import { expect, test } from 'vitest';
import type { App } from '../../src/app.ts';
import type { ReceiverKey } from '../../src/domain/delivery.ts';
import type { ClientId, FamilyId, KeyId, Subject } from '../../src/domain/ids.ts';
import { durationMs, epochMs } from '../../src/domain/time.ts';
import { buryDeliveries, claimDeliveries, listBusyLanes, promote } from '../../src/store/deliveries.ts';
import { listDeliveries } from '../../src/store/delivery-pages.ts';
import { listEvents } from '../../src/store/events.ts';
import { findOldGenerations } from '../../src/store/expired.ts';
import { type FamilyFilter, findFamiliesByShortId, listFamilies } from '../../src/store/family-pages.ts';
import { listRefreshTokens } from '../../src/store/refresh-tokens.ts';
import { readFeed } from '../../src/store/revocations.ts';
import { kyselyOver, type Reader, type Tx } from '../../src/store/store.ts';
import {
  countRevocable,
  type FamilySelector,
  listLiveFamilies,
  revokeFamilies,
  sampleRevocable,
} from '../../src/store/token-families.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { openTestApp } from '../support/test-app.ts';

const FAMILIES = 20_000;
/** What one family in a thousand has. */
const SUBJECT = 'user-7' as Subject;
const CLIENT = 'client-7' as ClientId;
const IP = '192.0.2.7';
const KID = 'kid-7' as KeyId;
/** In the middle of all. */
const FAMILY = '00002710-0000-7000-8000-000000010000' as FamilyId;

/** Enough rows that a database would rather not read them all. */
const FILL = {
  sqlite: `with recursive n(i) as (values (1) union all select i + 1 from n where i < ${FAMILIES}) `,
  postgres: `with n(i) as (select generate_series(1, ${FAMILIES})) `,
} as const;

async function fill(app: App): Promise<void> {
  const { dialect } = app.store;
  const id =
    dialect === 'sqlite'
      ? "printf('%08x-0000-7000-8000-%012d', i, i)"
      : "lpad(to_hex(i), 8, '0') || '-0000-7000-8000-' || lpad(i::text, 12, '0')";
  const insert = `insert into token_families (id, subject, client_id, generation, jti, kid, issued_at, expires_at, created_at,
      last_refreshed_at, ends_at, ip)`;
  const select = `select ${id}, 'user-' || (i % 1000), 'client-' || (i % 1000), 0, 'jti',
      'kid-' || (i % 1000), i, 9000000000000, i, i, 9000000000000, '192.0.2.' || (i % 1000) from n`;
  // One wants the list first, the other the target.
  const statement = dialect === 'sqlite' ? `${insert} ${FILL.sqlite}${select}` : `${FILL.postgres}${insert} ${select}`;
  await app.store.write(async (tx) => {
    await tx.connection.execute(statement, []);
    // As Postgres does by itself after a minute. SQLite has no statistics in production either.
    if (dialect === 'postgres') await tx.connection.execute('analyze token_families', []);
  });
}

/** The plans of all statements that this would run, had there been nothing to find. */
async function plansOf(app: App, work: (tx: Tx) => Promise<unknown>): Promise<string> {
  const { dialect } = app.store;
  const lines: string[] = [];
  await app.store.write(async (tx) => {
    const connection: Reader['connection'] = {
      async execute(sql, parameters) {
        const explain = dialect === 'sqlite' ? 'explain query plan' : 'explain';
        const { rows } = await tx.connection.execute(`${explain} ${sql}`, parameters);
        for (const row of rows) lines.push(String(Object.values(row as object).at(-1)));
        return { rows: [], affected: 0 };
      },
    };
    await work({ ...tx, connection, sql: kyselyOver(dialect, connection) });
  });
  expect(lines).not.toEqual([]);
  return lines.join('\n');
}

describeOnBothDatabases('query plans', (makeDatabase, kind) => {
  test('a page of families is found by an index, whatever it is filtered by, and in order without sorting many', async () => {
    const { app } = await openTestApp(await makeDatabase());
    await fill(app);
    const page = (filter: Partial<FamilyFilter>): Promise<string> =>
      plansOf(app, (tx) =>
        listFamilies(tx, { limit: 51, ...filter }, { server: null, byClient: new Map() }, epochMs(1)),
      );
    const inOrder = kind === 'sqlite' ? /^SCAN token_families$/m : /Index Scan Backward using token_families_pkey/;
    for (const filter of [{}, { state: 'live' }] as const) {
      const plan = await page(filter);
      expect(plan).toMatch(inOrder);
      expect(plan).not.toMatch(/TEMP B-TREE/);
    }
    expect(await page({ before: FAMILY })).toMatch(
      kind === 'sqlite' ? /SEARCH token_families USING PRIMARY KEY \(id<\?\)/ : /Index Cond: .*id < /,
    );
    expect(await page({ since: epochMs(0x2710 * 65_536) })).toMatch(
      kind === 'sqlite' ? /SEARCH token_families USING PRIMARY KEY \(id>\?\)/ : /Index Cond: .*id >= /,
    );
    for (const [filter, index] of [
      [{ subject: SUBJECT }, 'token_families_subject'],
      [{ client: CLIENT }, 'token_families_client'],
      [{ ip: IP }, 'token_families_ip'],
    ] as const) {
      const plan = await page(filter);
      expect(plan).toContain(index);
      expect(plan).not.toMatch(/Seq Scan|SCAN|TEMP B-TREE/);
    }
  });

  test('what revoke ends, and counts before, is found by an index', async () => {
    const { app } = await openTestApp(await makeDatabase());
    await fill(app);
    const primary = kind === 'sqlite' ? 'PRIMARY KEY (id=?)' : 'token_families_pkey';
    const cases: readonly (readonly [FamilySelector, string])[] = [
      [{ family: FAMILY }, primary],
      [{ subject: SUBJECT }, 'token_families_subject'],
      [{ subject: SUBJECT, issuedBefore: epochMs(5_000) }, 'token_families_subject'],
      [{ client: CLIENT }, 'token_families_client'],
      [{ ip: IP }, 'token_families_ip'],
      [{ kid: KID }, 'token_families_kid'],
    ];
    for (const [which, index] of cases) {
      for (const work of [
        (tx: Tx) => countRevocable(tx, which, epochMs(1)),
        (tx: Tx) => sampleRevocable(tx, which, epochMs(1), 10),
        (tx: Tx) => revokeFamilies(tx, which, { cause: 'admin' }),
        (tx: Tx) => revokeFamilies(tx, which, { cause: 'admin' }, { after: FAMILY }),
      ]) {
        const plan = await plansOf(app, work);
        expect(plan, `${JSON.stringify(which)}: ${work}`).toContain(index);
        expect(plan).not.toMatch(/Seq Scan|SCAN/);
      }
    }
  });

  test('each next batch of all families begins where the one before ended', async () => {
    const { app } = await openTestApp(await makeDatabase());
    await fill(app);
    expect(
      await plansOf(app, (tx) => revokeFamilies(tx, { all: true }, { cause: 'admin' }, { after: FAMILY })),
    ).toMatch(kind === 'sqlite' ? /SEARCH token_families USING PRIMARY KEY \(id>\?\)/ : /Index Cond: .*id > /);
  });

  test('the revocation feed is read from a place on', async () => {
    const { app } = await openTestApp(await makeDatabase());
    await app.store.write(async (tx) => {
      for (let index = 0; index < 5_000; index += 1) tx.feed.push({ kid: KID });
    });
    if (kind === 'postgres') await app.store.write((tx) => tx.connection.execute('analyze revocations', []));
    const plan = await plansOf(app, async (tx) => {
      // It misses the row of the position, because nothing is to be found.
      await expect(readFeed(tx, 4_500, epochMs(1), 100)).rejects.toThrow('no row');
    });
    expect(plan).toMatch(kind === 'sqlite' ? /SEARCH revocations USING .*PRIMARY KEY/ : /Index Cond: .*number > /);
    expect(plan).not.toMatch(/(Seq Scan on|SCAN) revocations/);
  });

  test('what is on its way is found by an index, however much a receiver was sent before', async () => {
    const { app } = await openTestApp(await makeDatabase());
    const [receiver, family_id] = ['receiver-1' as ReceiverKey, 'family-7' as FamilyId];
    const select = `select '${receiver}', i, 'family-' || (i % 1000), 'delivered', 1, i, i from n`;
    const insert =
      'insert into deliveries (receiver, event_number, family_id, state, attempts, next_attempt_at, settled_at)';
    await app.store.write(async (tx) => {
      const statement = kind === 'sqlite' ? `${insert} ${FILL.sqlite}${select}` : `${FILL.postgres}${insert} ${select}`;
      await tx.connection.execute(statement, []);
      if (kind === 'postgres') await tx.connection.execute('analyze deliveries', []);
    });
    for (const [work, index] of [
      [(tx: Tx) => promote(tx, { receiver, family_id, now: tx.now }), 'deliveries_lane'],
      [(tx: Tx) => listBusyLanes(tx, [receiver], [family_id]), 'deliveries_lane'],
      [(tx: Tx) => buryDeliveries(tx, receiver, 'gone', 200), 'deliveries_lane'],
      [(tx: Tx) => buryDeliveries(tx, receiver, 'gone', 200), 'deliveries_due'],
      [(tx: Tx) => claimDeliveries(tx, { receiver, limit: 10, lease: durationMs(1) }), 'deliveries_due'],
    ] as const) {
      const plan = await plansOf(app, work);
      expect(plan, String(work)).toContain(index);
      expect(plan, String(work)).not.toMatch(/Seq Scan|SCAN deliveries|PRIMARY KEY \(receiver=\?\)$/m);
    }
  });

  test('each next page of the timeline, and of deliveries, begins where the one before ended', async () => {
    const { app } = await openTestApp(await makeDatabase());
    await fill(app);
    const timeline = 'insert into refresh_tokens (family_id, generation, jti, issued_at)';
    const deliveries = 'insert into deliveries (receiver, event_number, state, attempts, next_attempt_at)';
    await app.store.write(async (tx) => {
      await tx.connection.execute(`${timeline} select id, 0, jti, issued_at from token_families`, []);
      await tx.connection.execute(`${deliveries} select 'receiver-1', issued_at, 'dead', 1, 0 from token_families`, []);
      if (kind === 'postgres') await tx.connection.execute('analyze refresh_tokens, deliveries', []);
    });
    const place = { familyId: FAMILY, generation: 0 };
    expect(await plansOf(app, (tx) => findOldGenerations(tx, place, epochMs(1), 1_000))).toMatch(
      kind === 'sqlite'
        ? /SEARCH t USING PRIMARY KEY \(\(family_id,generation\)>/
        : /Index Cond: \(ROW\(.*family_id, .*generation\) > /,
    );
    const after = { number: 10_000, receiver: 'receiver-1' };
    const page = await plansOf(app, (tx) => listDeliveries(tx, { after, limit: 51 }));
    expect(page).toMatch(kind === 'sqlite' ? /SEARCH d USING .*event_number.*>/ : /Index Cond: .*event_number.* >=? /);
  });

  test('one family, its timeline, its events and the sessions of a subject are found by an index', async () => {
    const { app } = await openTestApp(await makeDatabase());
    await fill(app);
    const plans = await Promise.all([
      plansOf(app, (tx) => findFamiliesByShortId(tx, '00002710', '010000', 10)),
      plansOf(app, (tx) => listLiveFamilies(tx, SUBJECT, epochMs(1))),
    ]);
    for (const plan of plans) expect(plan).not.toMatch(/Seq Scan|SCAN/);
    // These tables are empty, and Postgres reads an empty table without an index.
    if (kind === 'postgres') return;
    expect(await plansOf(app, (tx) => listRefreshTokens(tx, FAMILY))).toContain('PRIMARY KEY (family_id=?)');
    expect(await plansOf(app, (tx) => listEvents(tx, { familyId: FAMILY, limit: 20 }))).toContain('events_family');
  });
});
