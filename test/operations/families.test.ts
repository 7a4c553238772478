/** Sessions as an operator looks at them, and the ids that are typed for them (contract §7 and §12, `families`). */
import { expect, test } from 'vitest';
import type { ClientId, FamilyId, Subject } from '../../src/domain/ids.ts';
import { Secret } from '../../src/domain/secret.ts';
import { DAY, durationMs, epochMs, HOUR, MINUTE } from '../../src/domain/time.ts';
import type { FamilyState } from '../../src/domain/token-family.ts';
import { addClient } from '../../src/operations/clients.ts';
import { type FamilyListRequest, listFamilyPage, namesOf, showFamily } from '../../src/operations/families.ts';
import { revoke } from '../../src/operations/revoke.ts';
import { resolveFamily, resolveKey } from '../../src/operations/short-id.ts';
import { addUser } from '../../src/operations/users.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { logIn, openTestApp, refreshWith, storeFamilies } from '../support/test-app.ts';

const id = (digits: string): FamilyId => `01993b2e-${digits}-7000-8000-000000c4d1f7` as FamilyId;
const spa = 'spa' as ClientId;

describeOnBothDatabases('families', (makeDatabase) => {
  test('a list is newest first, page by page, and loses and repeats no family', async () => {
    const { app } = await openTestApp(await makeDatabase());
    const ids = await storeFamilies(
      app,
      Array.from({ length: 7 }, () => ({})),
    );
    const seen: string[] = [];
    let cursor: FamilyId | undefined;
    do {
      const page = await listFamilyPage(app, { limit: 3, cursor });
      seen.push(...page.families.map(({ sid }) => sid));
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
    expect(seen).toEqual(ids.toSorted().reverse());
  });

  test('of a session that is refreshed by a loop only the newest part of its timeline is read', async () => {
    const { app } = await openTestApp(await makeDatabase());
    const [sid] = await storeFamilies(app, [{}]);
    const numbers =
      app.store.dialect === 'sqlite'
        ? 'with recursive n(i) as (values (1) union all select i + 1 from n where i < 12000)'
        : 'with n(i) as (select generate_series(1, 12000))';
    const insert = 'insert into refresh_tokens (family_id, generation, jti, issued_at)';
    const select = `select '${sid}', i, 'jti', i from n`;
    const statement =
      app.store.dialect === 'sqlite' ? `${insert} ${numbers} ${select}` : `${numbers} ${insert} ${select}`;
    await app.store.write((tx) => tx.connection.execute(statement, []));
    const { timeline } = await showFamily(app, sid ?? '');
    expect(timeline.map(({ generation }) => generation)).toEqual(Array.from({ length: 10_000 }, (_, i) => i + 2_001));
  });

  test('a family has the members of contract §12', async () => {
    const { app } = await openTestApp(await makeDatabase());
    await storeFamilies(app, [{ subject: 'sub-1', ip: '192.0.2.1', userAgent: 'curl' }]);
    const { families, nextCursor } = await listFamilyPage(app, { limit: 50 });
    expect(nextCursor).toBeNull();
    expect(families).toEqual([
      {
        sid: expect.stringMatching(/^[0-9a-f-]{36}$/),
        subject: 'sub-1',
        client_id: 'default',
        state: 'live',
        generation: 0,
        created_at: '2026-03-01T12:00:00.250Z',
        last_refreshed_at: '2026-03-01T12:00:00.250Z',
        expires_at: '2026-05-30T12:00:00.250Z',
        revoked_at: null,
        revoke_reason: null,
        device: null,
        user_agent: 'curl',
        ip: '192.0.2.1',
      },
    ]);
  });

  test('each filter narrows the list, and they narrow it together', async () => {
    const { app, clock } = await openTestApp(await makeDatabase());
    const now = clock.now();
    await storeFamilies(app, [
      { subject: 'a', client: spa, ip: '192.0.2.1' },
      { subject: 'a', ip: '192.0.2.2' },
      { subject: 'b', client: spa, createdAt: epochMs(now - HOUR) },
    ]);
    const count = async (filter: Partial<FamilyListRequest>): Promise<number> =>
      (await listFamilyPage(app, { limit: 50, ...filter })).families.length;
    expect(await count({ subject: 'a' as Subject })).toBe(2);
    expect(await count({ client: spa })).toBe(2);
    expect(await count({ ip: '192.0.2.2' })).toBe(1);
    expect(await count({ since: now })).toBe(2);
    expect(await count({ since: epochMs(now + 1) })).toBe(0);
    expect(await count({ subject: 'a' as Subject, client: spa })).toBe(1);
    expect(await count({ subject: 'c' as Subject })).toBe(0);
  });

  test('state counts idle limits: of the client where it has one, else of the server', async () => {
    const { app, clock } = await openTestApp(await makeDatabase(), { 'tokens.idleTimeout': '2h' });
    const idle = (text: string) => ({ policy: { idleTimeout: durationMs(Number(text) * HOUR) } });
    for (const [name, hours] of [
      ['short', '1'],
      ['long', '48'],
    ] as const) {
      await addClient(app, { id: name, type: 'app', isPublic: true, audiences: [], ...idle(hours) });
    }
    const at = (hours: number) => epochMs(clock.now() - hours * HOUR);
    const client = (name: string) => name as ClientId;
    const families = [
      { subject: 'server-live', createdAt: at(1.5) },
      { subject: 'server-idle', createdAt: at(2) },
      { subject: 'short-live', client: client('short'), createdAt: at(0.5) },
      { subject: 'short-idle', client: client('short'), createdAt: at(1) },
      { subject: 'long-live', client: client('long'), createdAt: at(47) },
      { subject: 'long-expired', client: client('long'), createdAt: epochMs(clock.now() - 91 * DAY) },
      { subject: 'removed-idle', client: client('removed'), createdAt: at(3) },
      { subject: 'revoked', createdAt: at(1) },
    ];
    await storeFamilies(app, families);
    await revoke(app, { which: { subject: 'revoked' as Subject } });
    const subjects = async (state: FamilyState): Promise<string[]> => {
      const page = await listFamilyPage(app, { limit: 50, state });
      expect(page.families.every((family) => family.state === state)).toBe(true);
      return page.families.map(({ subject }) => subject).toSorted();
    };
    expect(await subjects('live')).toEqual(['long-live', 'server-live', 'short-live']);
    expect(await subjects('expired')).toEqual(['long-expired', 'removed-idle', 'server-idle', 'short-idle']);
    expect(await subjects('revoked')).toEqual(['revoked']);
  });

  test('without idle limits a family expires with its refresh token', async () => {
    const { app, clock } = await openTestApp(await makeDatabase());
    await storeFamilies(app, [{ subject: 'old', createdAt: epochMs(clock.now() - 90 * DAY) }, { subject: 'young' }]);
    const { families } = await listFamilyPage(app, { limit: 50, state: 'expired' });
    expect(families).toMatchObject([{ subject: 'old', state: 'expired' }]);
    expect((await listFamilyPage(app, { limit: 50, state: 'live' })).families).toMatchObject([{ subject: 'young' }]);
  });

  test('a story tells each generation, and what ended the family: class, generation, address', async () => {
    const { app, clock } = await openTestApp(await makeDatabase());
    await addUser(app, { name: 'alice', password: new Secret('correct horse') });
    const first = await logIn(app, 'alice', 'correct horse');
    clock.advance(MINUTE);
    const outcome = await refreshWith(app, first, '203.0.113.9');
    expect(outcome.kind).toBe('issued');
    clock.advance(MINUTE);
    expect(await refreshWith(app, first, '198.51.100.7')).toMatchObject({ reason: 'reused' });
    const story = await showFamily(app, first.sid);
    expect(story.family).toMatchObject({ state: 'revoked', revoke_reason: 'reuse', generation: 1 });
    expect(story.timeline).toEqual([
      { generation: 0, issued_at: '2026-03-01T12:00:00.250Z', ip: '192.0.2.10', user_agent: 'test' },
      { generation: 1, issued_at: '2026-03-01T12:01:00.250Z', ip: '203.0.113.9', user_agent: 'test' },
    ]);
    expect(story.detected).toMatchObject({
      type: 'token.reuse_detected',
      data: { class: 'late_retry', presented_generation: 0, ip: '198.51.100.7', address_differs: true },
    });
    const { subject } = story.family;
    expect(await namesOf(app, [subject, 'nobody' as Subject])).toEqual(new Map([[subject, 'alice']]));
  });
});

describeOnBothDatabases('short ids', (makeDatabase) => {
  test('a family is found by its whole id and by its short form, in any case', async () => {
    const { app } = await openTestApp(await makeDatabase());
    await storeFamilies(app, [{ id: id('0001') }]);
    for (const text of [id('0001'), id('0001').toUpperCase(), '01993b2e..c4d1f7', '01993B2E..C4D1F7']) {
      expect((await resolveFamily(app, text)).id, text).toBe(id('0001'));
    }
  });

  test('a short form that fits several is refused with the candidates, never guessed', async () => {
    const { app } = await openTestApp(await makeDatabase());
    await storeFamilies(app, [{ id: id('0001') }, { id: id('0002') }]);
    await expect(resolveFamily(app, '01993b2e..c4d1f7')).rejects.toMatchObject({
      code: 'ambiguous',
      description: `The short id fits several sessions: ${id('0001')}, ${id('0002')}.`,
    });
    const many = Array.from({ length: 12 }, (_, index) => ({ id: id(`10${String(index).padStart(2, '0')}`) }));
    await storeFamilies(app, many);
    await expect(resolveFamily(app, '01993b2e..c4d1f7')).rejects.toMatchObject({
      description: expect.stringMatching(/, and more\.$/),
    });
  });

  test('one that fits none is not found; what is no id is wrong usage', async () => {
    const { app } = await openTestApp(await makeDatabase());
    for (const text of [id('0001'), '01993b2e..c4d1f7']) {
      await expect(resolveFamily(app, text)).rejects.toMatchObject({ code: 'not_found' });
    }
    for (const text of [
      '',
      'alice',
      '01993b2e',
      '01993b2e...c4d1f7',
      '01993b2e..c4d1f',
      '%..%',
      "'",
      '01993b2e%%c4d1f7',
    ]) {
      await expect(resolveFamily(app, text), text).rejects.toMatchObject({ code: 'invalid_request' });
    }
  });

  test('a key is found by its whole kid and by its short form', async () => {
    const { app } = await openTestApp(await makeDatabase());
    const { kid } = (await app.keys.current()).access.active;
    expect(await resolveKey(app, kid)).toMatchObject({ kid, state: 'active' });
    expect(await resolveKey(app, `${kid.slice(0, 4)}..${kid.slice(-4)}`)).toMatchObject({ kid });
    await expect(resolveKey(app, 'AAAA..AAAA')).rejects.toMatchObject({ code: 'not_found' });
    await expect(resolveKey(app, 'AAAA')).rejects.toMatchObject({ code: 'invalid_request' });
  });
});
