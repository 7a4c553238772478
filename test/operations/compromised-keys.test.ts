/** A refresh-token key that somebody else has, with more sessions than one transaction should end (T7, I34), on both databases. */
import { expect, test } from 'vitest';
import type { App } from '../../src/app.ts';
import type { KeyId } from '../../src/domain/ids.ts';
import { declareKeyCompromised, rotateKeys } from '../../src/operations/keys.ts';
import { previewCompromise } from '../../src/operations/list-keys.ts';
import { countRevocable } from '../../src/store/token-families.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { beginSessions } from '../support/many-sessions.ts';
import { openTestApp, storeFamilies } from '../support/test-app.ts';
import { type Pair, startTestServer, type TestServer } from '../support/test-server.ts';

const activeKey = async (app: App): Promise<KeyId> => (await app.keys.current()).refresh.active.kid;

const left = (app: App, kid: KeyId): Promise<number> =>
  app.store.read((db) => countRevocable(db, { kid }, app.clock.now()));

/** Declares it, and is ended after the first batch of sessions. */
async function interruptedCompromise(app: App, kid?: KeyId): Promise<void> {
  const stop = (): never => {
    throw new Error('interrupted');
  };
  await expect(declareKeyCompromised(app, 'refresh', kid, stop)).rejects.toThrow('interrupted');
}

/** The key id of a token, from its header. */
const kidOf = (token: string): string => JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid;

/** Sessions end in the order of their ids. */
const youngest = (pairs: readonly Pair[]): Pair =>
  pairs.reduce((last, pair) => (pair.session_id > last.session_id ? pair : last));

const expectMalformed = async (server: TestServer, pair: Parameters<TestServer['tryRefresh']>[0]): Promise<void> =>
  expect(await server.tryRefresh(pair)).toMatchObject({ status: 401, body: { reason: 'malformed' } });

describeOnBothDatabases('a compromised refresh-token key', (makeDatabase) => {
  test('interrupted, no token of it is accepted; the next call ends the rest and declares no other key', async () => {
    const server = await startTestServer({ url: await makeDatabase() });
    const { app } = server;
    const first = await server.login();
    const sessions = await beginSessions(server, first, 1_100);
    const stolen = await activeKey(app);
    await interruptedCompromise(app);
    expect(await left(app, stolen)).toBe(601);

    const untouched = youngest([...sessions, first]);
    expect((await server.family(untouched.session_id)).revoked).toBeNull();
    await expectMalformed(server, untouched);
    const { refresh_token } = untouched;
    expect(await server.post('/sessions', { refresh_token })).toMatchObject({ status: 400 });
    expect(await server.post('/logout', { refresh_token })).toMatchObject({ status: 400 });
    const fresh = await server.login();

    const successor = await activeKey(app);
    expect(successor).not.toBe(stolen);
    expect(await previewCompromise(app, 'refresh')).toEqual({ kid: stolen, sessions: 601 });
    expect(await declareKeyCompromised(app, 'refresh')).toEqual({ changes: [], revoked: 601 });
    expect(await left(app, stolen)).toBe(0);
    await expectMalformed(server, untouched);
    await server.refresh(fresh);

    // With nothing left to end, the active key is meant again.
    expect(await previewCompromise(app, 'refresh')).toMatchObject({ kid: successor, sessions: 1 });
  });

  test('a server that has not heard of it yet moves no session away from the key, and begins none by it', async () => {
    const url = await makeDatabase();
    const server = await startTestServer({ url });
    const late = await startTestServer({ url, beside: server });
    const old = await server.login();
    await rotateKeys(server.app, 'refresh');
    const current = await server.login();
    await beginSessions(server, old, 600);
    // Its ring is read now, and the clock does not move.
    await late.app.keys.reload();
    const stolen = await activeKey(late.app);
    await interruptedCompromise(server.app);
    expect(await activeKey(late.app)).toBe(stolen);

    const begun = await late.login();
    expect(kidOf(begun.refresh_token)).not.toBe(stolen);
    await server.refresh(begun);
    await expectMalformed(late, current);

    // A session whose own key is good goes on, by a key that is good.
    const next = await late.refresh(old);
    expect(kidOf(next.refresh_token)).not.toBe(stolen);
  });

  test('a server that has not heard of it yet moves no session from an older key that was stolen to a good one', async () => {
    const url = await makeDatabase();
    const server = await startTestServer({ url });
    const late = await startTestServer({ url, beside: server });
    const pairs = await beginSessions(server, await server.login(), 600);
    const stolen = await activeKey(server.app);
    await rotateKeys(server.app, 'refresh');
    await late.app.keys.reload();
    await interruptedCompromise(server.app, stolen);
    const untouched = youngest(pairs);
    await expectMalformed(late, untouched);
    expect(await server.family(untouched.session_id)).toMatchObject({ generation: 0, current: { kid: stolen } });
  });

  test('two at once end each session once', async () => {
    const { app } = await openTestApp(await makeDatabase());
    await storeFamilies(
      app,
      Array.from({ length: 700 }, () => ({})),
    );
    const kid = await activeKey(app);
    const [one, other] = await Promise.all([
      declareKeyCompromised(app, 'refresh', kid),
      declareKeyCompromised(app, 'refresh', kid),
    ]);
    expect(one.revoked + other.revoked).toBe(700);
    const declared = [...one.changes, ...other.changes].filter(
      (change) => change.kind === 'move' && change.to === 'compromised',
    );
    expect(declared).toHaveLength(1);
  });
});
