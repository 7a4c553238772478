/** `keys rewrap`: another master key, beside servers that run, on both databases (security.md §6.5, G10). */
import { renameSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { type App, closeApp, openApp } from '../../src/app.ts';
import type { SecretSource } from '../../src/config/config.ts';
import { moveKeysOn, rotateKeys } from '../../src/operations/keys.ts';
import { previewRewrap, rewrapKeys } from '../../src/operations/rewrap.ts';
import { listKeys, resealKey } from '../../src/store/signing-keys.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { openTestApp } from '../support/test-app.ts';
import { startTestServer } from '../support/test-server.ts';

const fileOf = (app: App): string => {
  const { masterKey } = app.config;
  if (masterKey.kind !== 'file') throw new Error('the master key is in a file');
  return masterKey.path;
};
const beside = (app: App, name: string): SecretSource & { kind: 'file' } => ({
  kind: 'file',
  path: path.join(path.dirname(fileOf(app)), name),
});
const sealedIn = async (app: App): Promise<(string | null)[]> =>
  (await app.store.read(listKeys)).map((key) => key.sealedKey);
const sealers = async (app: App): Promise<Set<string | undefined>> =>
  new Set((await sealedIn(app)).map((text) => text?.split('.')[1]));

describeOnBothDatabases('keys rewrap', (makeDatabase) => {
  test('no session ends, servers run on before and after the new key is in place, and only it opens a start', async () => {
    const url = await makeDatabase();
    const server = await startTestServer({ url });
    const other = await startTestServer({ url, beside: server });
    const { app } = server;
    let pair = await server.login();
    const to = beside(app, 'new.key');
    expect(await previewRewrap(app, to)).toMatchObject({ keys: 4, masterKeyId: null, isMade: true });
    const done = await rewrapKeys(app, to);
    expect(done).toMatchObject({ keys: 4, isMade: true });
    expect(await sealers(app)).toEqual(new Set([done.masterKeyId]));

    const goesOn = async (): Promise<void> => {
      // Older than any snapshot.
      server.clock.advance(2_000);
      for (const one of [server, other]) {
        const { unreadable } = await one.app.keys.current();
        expect(unreadable).toEqual([]);
        pair = await one.refresh(pair);
        expect(await one.verify(pair.access_token)).toMatchObject({ active: true });
        await one.login();
      }
    };
    await goesOn();
    const { config, log } = app;
    await expect(openApp({ config, log, schema: 'current' }).then(startWith)).rejects.toMatchObject({
      code: 'master_key_unusable',
    });
    renameSync(to.path, fileOf(app));
    await goesOn();
    const next = await openApp({ config, log, schema: 'current' });
    expect((await next.master()).id).toBe(done.masterKeyId);
    await closeApp(next);
  });

  /** As a start does it; closes what it cannot use. */
  async function startWith(app: App): Promise<void> {
    try {
      await app.master();
    } finally {
      await closeApp(app);
    }
  }

  test('a server with the old key makes no new key under it; once the new one is in place it does', async () => {
    const url = await makeDatabase();
    const server = await startTestServer({ url });
    const { app } = server;
    const to = beside(app, 'new.key');
    const { masterKeyId } = await rewrapKeys(app, to);
    const pair = await server.login();
    await expect(rotateKeys(app, 'access')).rejects.toMatchObject({ code: 'master_key_unusable' });
    await expect(rotateKeys(app, 'refresh')).rejects.toMatchObject({ code: 'master_key_unusable' });
    expect(await sealers(app)).toEqual(new Set([masterKeyId]));
    expect(await moveKeysOn(app)).toEqual([]);
    await server.refresh(pair);

    renameSync(to.path, fileOf(app));
    await rotateKeys(app, 'access');
    await rotateKeys(app, 'refresh');
    expect(await sealers(app)).toEqual(new Set([masterKeyId]));
    expect(await server.verify((await server.login()).access_token)).toMatchObject({ active: true });
  });

  test('keys that another process makes under the new key are opened as soon as it is in place', async () => {
    const url = await makeDatabase();
    const server = await startTestServer({ url });
    const { app } = server;
    const to = beside(app, 'new.key');
    await rewrapKeys(app, to);
    const cli = await openApp({
      config: { ...app.config, masterKey: to },
      log: app.log,
      schema: 'current',
      clock: app.clock,
    });
    const pair = await server.login();
    await rotateKeys(cli, 'access');
    await closeApp(cli);

    // The key that signs now was published before: the server has it opened. The one after it, it cannot open yet.
    server.clock.advance(2_000);
    const { unreadable, access } = await app.keys.current();
    expect(unreadable).toHaveLength(1);
    expect(access.byId.has(unreadable[0] ?? ('' as never))).toBe(true);
    const refreshed = await server.refresh(pair);
    expect(await server.verify(refreshed.access_token)).toMatchObject({ active: true });

    renameSync(to.path, fileOf(app));
    server.clock.advance(2_000);
    expect((await app.keys.current()).unreadable).toEqual([]);
  });

  test('said again it changes nothing; from a key that is not in force any more, or to none, it is refused', async () => {
    const { app } = await openTestApp(await makeDatabase());
    const to = beside(app, 'new.key');
    await rewrapKeys(app, to);
    const before = await sealedIn(app);
    expect(await rewrapKeys(app, to)).toMatchObject({ keys: 0, isMade: false });
    expect(await previewRewrap(app, to)).toMatchObject({ keys: 0, isMade: false });
    // What this process has open is not in force any more.
    await expect(rewrapKeys(app, beside(app, 'third.key'))).rejects.toMatchObject({ code: 'conflict' });
    const junk: SecretSource = { kind: 'file', path: path.join(path.dirname(fileOf(app)), 'missing', 'new.key') };
    await expect(rewrapKeys(app, junk)).rejects.toMatchObject({ code: 'master_key_unusable' });
    expect(await sealedIn(app)).toEqual(before);
  });

  test('a key that cannot be opened stops it, and all stay as they were', async () => {
    const { app } = await openTestApp(await makeDatabase());
    const keys = await app.store.read(listKeys);
    const last = keys.at(-1);
    if (last === undefined) throw new Error('no keys');
    await app.store.write((tx) => resealKey(tx, last.kid, `${last.sealedKey?.slice(0, -4)}AAAA`));
    const before = await sealedIn(app);
    await expect(rewrapKeys(app, beside(app, 'new.key'))).rejects.toMatchObject({ code: 'master_key_unusable' });
    expect(await sealedIn(app)).toEqual(before);
  });

  test('two at once leave one master key in force', async () => {
    const { app } = await openTestApp(await makeDatabase());
    const one = await openApp({ config: app.config, log: app.log, schema: 'current', clock: app.clock });
    const results = await Promise.allSettled([
      rewrapKeys(app, beside(app, 'a.key')),
      rewrapKeys(one, beside(app, 'b.key')),
    ]);
    await closeApp(one);
    const done = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value.masterKeyId] : []));
    expect(done).toHaveLength(1);
    expect(await sealers(app)).toEqual(new Set(done));
  });
});
