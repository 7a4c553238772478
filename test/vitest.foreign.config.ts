/**
 * Other people's client libraries against the server, and our client in a browser: `npm run test:foreign`. Apart because
 * those in Python and the browser come with the distribution (python3-jwt, python3-authlib, python3-flask, chromium):
 * `.ci/run` installs them.
 */
import path from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: path.dirname(import.meta.dirname),
  test: {
    include: ['test/foreign/**/*.test.ts'],
    globalSetup: ['test/support/postgres-global-setup.ts'],
    pool: 'forks',
    // Real processes and sockets on a machine that may do other things too: an accident is tried again, a fault stays one.
    retry: process.env.CI === 'true' ? 2 : 0,
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 30_000,
    env: { NO_COLOR: '1', TZ: 'UTC' },
  },
});
