/** The tests that run from source, all of `npm test`. Those that need the executable, or packages of the distribution, are apart. */
import os from 'node:os';
import path from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: path.dirname(import.meta.dirname),
  test: {
    include: ['test/**/*.test.{ts,tsx}'],
    exclude: ['e2e', 'brokers', 'fire', 'foreign', 'proxies', 'deploy'].map((name) => `test/${name}/**`),
    globalSetup: ['test/support/postgres-global-setup.ts'],
    // A process per file, because tests end servers, send signals and load a compiled library.
    pool: 'forks',
    // Real processes and sockets on a machine that may do other things too: an accident is tried again, a fault stays one.
    retry: process.env.CI === 'true' ? 2 : 0,
    maxWorkers: Math.max(2, os.availableParallelism()),
    // Most tests take milliseconds. This much is for the slowest on a machine that does other things too.
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // A promise that nobody awaited, a timer that throws: the run fails.
    dangerouslyIgnoreUnhandledErrors: false,
    passWithNoTests: false,
    restoreMocks: true,
    unstubEnvs: true,
    env: { NO_COLOR: '1', TZ: 'UTC' },
  },
});
