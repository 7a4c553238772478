/** Contract §5, and security rows A6, A9 and A10: what an `admin` client may do over HTTP. */
import { expect, test } from 'vitest';
import { describeOnBothDatabases } from '../support/databases.ts';
import type { Answer } from '../support/http-client.ts';
import { type Admin, expectInvalid, startWithAdmin } from './admin.ts';

const UNKNOWN = '01995f2e-7c1d-7c3a-9f5e-3b8a52f1c0de';

const isActive = async ({ server }: Admin, token: string): Promise<unknown> => (await server.verify(token)).active;

describeOnBothDatabases('the admin API', (makeOne) => {
  test('revocations end the families of a subject, a family, a client, or all, and say where the feed stands', async () => {
    const it = await startWithAdmin(await makeOne());
    const { server, post } = it;
    await server.addUser('bob');
    await server.addClient('shop', { isPublic: true });
    const [one, two] = [await server.login(), await server.login()];
    const bob = await server.login({ username: 'bob' });
    const shop = await server.login({ username: 'bob', client_id: 'shop' });
    await server.events();

    const cursors: string[] = [];
    const revoke = async (body: object): Promise<unknown> => {
      const answer = await post('/admin/v1/revocations', body);
      expect(answer).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' } });
      expect(Object.keys(answer.body)).toEqual(['revoked', 'cursor']);
      cursors.push(String(answer.body.cursor));
      return answer.body.revoked;
    };
    expect(await revoke({ family: UNKNOWN })).toBe(0);
    expect(await revoke({ family: one.session_id, reason: 'lost phone' })).toBe(1);
    expect(await isActive(it, one.access_token)).toBe(false);
    expect(await revoke({ family: one.session_id })).toBe(0);
    expect(await revoke({ subject: server.subject, issued_before: '2026-01-01T00:00:00Z' })).toBe(0);
    expect(await isActive(it, two.access_token)).toBe(true);
    expect(await revoke({ subject: server.subject })).toBe(1);
    expect(await revoke({ client: 'shop' })).toBe(1);
    expect(await isActive(it, shop.access_token)).toBe(false);
    expect(await isActive(it, bob.access_token)).toBe(true);
    expect(await revoke({ all: true })).toBe(1);
    expect(await isActive(it, bob.access_token)).toBe(false);
    expect(await revoke({ all: true })).toBe(0);

    const epochs = new Set(cursors.map((cursor) => cursor.split('.')[0]));
    expect(epochs.size).toBe(1);
    expect(cursors.map((cursor) => Number(cursor.split('.')[1]))).toEqual([0, 1, 1, 1, 2, 3, 4, 4]);
    expect((await server.events()).map(({ type, data }) => [type, data.note ?? data.selector ?? data.sid])).toEqual([
      ['family.revoked', 'lost phone'],
      ['family.revoked', two.session_id],
      ['family.revoked', shop.session_id],
      ['families.revoked', 'client'],
      ['family.revoked', bob.session_id],
      ['families.revoked', 'all'],
    ]);
    expect(server.log()).toMatch(/1 sessions revoked.*"client":"ops"/);
  });

  test('a global token revocation ends the sessions of the subject, whoever that is', async () => {
    const it = await startWithAdmin(await makeOne());
    const { server, post } = it;
    const pair = await server.login();
    const to = (id: string): Promise<Answer> =>
      post('/admin/v1/global-token-revocation', { sub_id: { format: 'opaque', id } });
    const done = await to(server.subject);
    expect([done.status, done.text]).toEqual([204, '']);
    expect(await server.verify(pair.access_token)).toEqual({ active: false, reason: 'revoked' });
    expect((await server.tryRefresh(pair)).body.reason).toBe('revoked');
    expect((await to(server.subject)).status).toBe(204);
    expect((await to('nobody')).status).toBe(204);
  });

  test('families are listed newest first, by page and by filter, and shown with their timeline', async () => {
    const { server, get } = await startWithAdmin(await makeOne(), { 'tokens.idleTimeout': '1d' });
    await server.addClient('shop', { isPublic: true });
    const idle = await server.login({ device: 'old phone' });
    server.clock.advance(86_400_000);
    const pairs = [];
    for (let count = 0; count < 4; count += 1) {
      pairs.push(await server.login());
      server.clock.advance(1_000);
    }
    const shop = await server.login({ client_id: 'shop', headers: { 'user-agent': 'Browser/1' } });
    const ended = pairs[3];
    await server.post('/logout', { refresh_token: ended?.refresh_token });
    const all = [shop, ...pairs.toReversed(), idle].map(({ session_id }) => session_id);
    const sids = ({ body }: Answer): unknown[] => (body.families as { sid: string }[]).map(({ sid }) => sid);

    const whole = await get('/admin/v1/families');
    expect([sids(whole), whole.body.next_cursor]).toEqual([all, null]);
    expect(sids(await get('/admin/v1/families?state=expired'))).toEqual([idle.session_id]);
    expect(sids(await get('/admin/v1/families?state=revoked'))).toEqual([ended?.session_id]);
    expect(sids(await get('/admin/v1/families?client=shop&unknown=1'))).toEqual([shop.session_id]);
    expect(sids(await get(`/admin/v1/families?subject=${server.subject}&state=live`))).toHaveLength(4);
    expect(sids(await get('/admin/v1/families?subject=nobody'))).toEqual([]);

    const paged: unknown[] = [];
    let next = '';
    do {
      const page = await get(`/admin/v1/families?limit=2${next}`);
      paged.push(...sids(page));
      next = page.body.next_cursor === null ? '' : `&cursor=${String(page.body.next_cursor)}`;
    } while (next !== '');
    expect(paged).toEqual(all);

    const rotated = await server.refresh(shop);
    const shown = await get(`/admin/v1/families/${rotated.session_id}`);
    expect(shown.body).toMatchObject({
      sid: shop.session_id,
      subject: server.subject,
      client_id: 'shop',
      state: 'live',
      generation: 1,
      revoked_at: null,
      timeline: [{ generation: 0, user_agent: 'Browser/1' }, { generation: 1 }],
    });
    expect((await get(`/admin/v1/families/${UNKNOWN}`)).status).toBe(404);
    for (const id of ['nobody', `${UNKNOWN}0`, UNKNOWN.toUpperCase(), '...', '-'.repeat(128)]) {
      expectInvalid(await get(`/admin/v1/families/${id}`), id);
    }
    const hidden = ['', '.', '..', '%30', '{id}', `${UNKNOWN}/`, `${UNKNOWN}/x`, '%2e%2e', '-'.repeat(129)];
    for (const id of hidden) expect((await get(`/admin/v1/families/${id}`)).status, id).toBe(404);
  });

  test('a cursor is good for its own question alone (A6)', async () => {
    const { server, get } = await startWithAdmin(await makeOne());
    const sids: string[] = [];
    for (let count = 0; count < 3; count += 1) sids.push((await server.login()).session_id);
    const first = await get('/admin/v1/families?limit=1');
    const cursor = String(first.body.next_cursor);
    const flipped = `${cursor.slice(0, -3)}${cursor.at(-3) === 'A' ? 'B' : 'A'}${cursor.slice(-2)}`;
    const bad = [
      '',
      'x',
      sids[1],
      cursor.slice(0, -1),
      cursor.slice(1),
      `${cursor}A`,
      `${cursor}=`,
      flipped,
      Buffer.from(sids[1] ?? '').toString('base64url'),
      "' or 1=1 --",
      '%00',
      'é',
      'A'.repeat(4_000),
    ];
    for (const one of bad) {
      expectInvalid(await get(`/admin/v1/families?limit=1&cursor=${encodeURIComponent(String(one))}`), one);
    }
    for (const filter of ['client=default', 'state=live', `subject=${server.subject}`]) {
      expectInvalid(await get(`/admin/v1/families?${filter}&cursor=${cursor}`), filter);
    }
    expect((await get(`/admin/v1/families?limit=500&cursor=${cursor}`)).body.families).toHaveLength(2);
  });

  test('keys are listed and rotated; two rotations at once leave one active key of each ring (A9)', async () => {
    const { server, get, post } = await startWithAdmin(await makeOne());
    type Key = { kid: string; ring: string; state: string };
    const keysOf = (answer: Answer): Key[] => answer.body.keys as Key[];
    const active = (keys: readonly Key[], ring: string): string[] =>
      keys.filter((key) => key.ring === ring && key.state === 'active').map(({ kid }) => kid);
    const before = keysOf(await get('/admin/v1/keys'));
    expect(before.map(({ ring, state }) => `${ring} ${state}`)).toEqual([
      'access next',
      'access active',
      'refresh next',
      'refresh active',
    ]);
    const pair = await server.login();

    const both = await Promise.all([post('/admin/v1/keys/rotate'), post('/admin/v1/keys/rotate', {})]);
    for (const { status } of both) expect([200, 409]).toContain(status);
    const after = keysOf(await get('/admin/v1/keys'));
    expect(active(after, 'access')).toHaveLength(1);
    expect(active(after, 'access')).not.toEqual(active(before, 'access'));
    expect(active(after, 'refresh')).toEqual(active(before, 'refresh'));

    const refresh = await post('/admin/v1/keys/rotate', { ring: 'refresh' });
    expect(active(keysOf(refresh), 'refresh')).not.toEqual(active(before, 'refresh'));
    expect(await server.verify((await server.refresh(pair)).access_token)).toMatchObject({ active: true });

    // What was issued under a key goes with it when that is declared compromised.
    const [kid] = active(keysOf(refresh), 'refresh');
    const compromised = await post('/admin/v1/keys/rotate', { ring: 'refresh', compromised: true, kid });
    expect(compromised.body.revoked).toBe(1);
    expect(keysOf(compromised).find((key) => key.kid === kid)?.state).toBe('compromised');
    const unknown = await post('/admin/v1/keys/rotate', { compromised: true, kid });
    expect([unknown.status, unknown.body.error]).toEqual([404, 'not_found']);
    for (const body of [{ ring: 'both' }, { compromised: false }, { kid }, { kid: '', compromised: true }]) {
      expectInvalid(await post('/admin/v1/keys/rotate', body), body);
    }
    expect(JSON.stringify(keysOf(compromised))).not.toMatch(/sealed|private|"d"|"k"/);
  });

  test('events are read in order, from a place on (A10)', async () => {
    const { server, get } = await startWithAdmin(await makeOne());
    for (let count = 0; count < 3; count += 1) await server.login();
    interface Event {
      readonly id: string;
      readonly type: string;
    }
    const eventsOf = ({ body }: Answer): Event[] => body.events as Event[];
    const all = eventsOf(await get('/admin/v1/events'));
    expect(all.slice(-3).map(({ type }) => type)).toEqual(Array(3).fill('login.succeeded'));
    const first = await get('/admin/v1/events?limit=2');
    expect(eventsOf(first)).toEqual(all.slice(0, 2));
    const rest = await get(`/admin/v1/events?after=${String(first.body.next_cursor)}`);
    expect([eventsOf(rest), rest.body.next_cursor]).toEqual([all.slice(2), null]);
    expect(eventsOf(await get(`/admin/v1/events?after=${all[1]?.id}&limit=500`))).toEqual(all.slice(2));
    expect(eventsOf(await get(`/admin/v1/events?after=${all.at(-1)?.id}`))).toEqual([]);
    for (const after of [UNKNOWN, '-1', '', '1e3', '0x1', '01', 'x', "1' or '1'='1", '%00', '9'.repeat(40)]) {
      expectInvalid(await get(`/admin/v1/events?after=${encodeURIComponent(after)}`), after);
    }
  });
});
