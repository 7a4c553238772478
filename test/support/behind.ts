/** An `App` on a database whose schema is older than the program: here, one without any. */
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { closeApp, openApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config/load.ts';
import { makeLog } from '../../src/log.ts';
import { fakeClock } from './fake-clock.ts';
import { scratchFolder } from './scratch.ts';
import type { TestApp } from './test-app.ts';

/** It closes when its test has finished. */
export async function openBehind(url: string): Promise<TestApp> {
  const folder = scratchFolder('behind');
  const clock = fakeClock();
  const flags = { 'database.url': url, masterKey: { file: path.join(folder, 'auth-server.key') } };
  const { config } = loadConfig({ flags, env: {}, cwd: folder });
  const log = makeLog({ level: 'warn', format: 'json', now: clock.now, write: (line) => process.stderr.write(line) });
  // A file that SQLite has not written anything into yet.
  if (url.startsWith('sqlite:')) writeFileSync(url.slice('sqlite:'.length), '', { mode: 0o600 });
  const app = await openApp({ config, log, schema: 'any', clock, databaseClock: false });
  onTestFinished(async () => {
    await closeApp(app);
    rmSync(folder, { recursive: true, force: true });
  });
  return { app, clock };
}
