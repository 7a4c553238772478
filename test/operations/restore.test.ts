/** What a restore must not do: put a file in place that does not say that every session has ended. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import BetterSqlite3 from 'better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import { type App, closeApp, openApp } from '../../src/app.ts';
import { Secret } from '../../src/domain/secret.ts';
import { backup } from '../../src/operations/backup.ts';
import { planRestore, restore } from '../../src/operations/restore.ts';
import { makeDatabase } from '../support/databases.ts';
import { scratchFolder } from '../support/scratch.ts';
import { openTestApp, storeFamilies } from '../support/test-app.ts';

test('a copy whose log did not get into its file takes nobody’s place', async () => {
  const { app, clock } = await openTestApp(await makeDatabase('sqlite'));
  await storeFamilies(app, [{}, {}]);
  const folder = scratchFolder('restore');
  const [copy, target] = [path.join(folder, 'copy.db'), path.join(folder, 'auth.db')];
  const { signal } = new AbortController();
  await backup(app, copy, { signal });

  const open = async (file: string): Promise<App> => {
    const config = { ...app.config, database: { ...app.config.database, url: new Secret(`sqlite:${file}`) } };
    const opened = await openApp({ config, log: app.log, schema: 'any', clock });
    // As long as another connection is there, none is the last to close: the log stays, as it does on a full disk.
    const other = new BetterSqlite3(file, { readonly: true });
    other.pragma('user_version');
    onTestFinished(() => {
      other.close();
    });
    return opened;
  };
  const restored = restore(await planRestore(copy, target), {
    open,
    close: closeApp,
    signal,
    kept: `${target}.kept`,
    withoutMasterKey: false,
    onCopied: () => undefined,
    onEnded: () => undefined,
  });
  await expect(restored).rejects.toMatchObject({ code: 'conflict', remedy: expect.stringContaining('make room') });
  expect(existsSync(target)).toBe(false);
});
