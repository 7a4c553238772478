/** The tests of the executable, `npm run test:e2e`. Apart from the others because they need `npm run build` before. */
import path from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: path.dirname(import.meta.dirname),
  test: {
    include: ['test/e2e/**/*.test.ts'],
    globalSetup: ['test/support/postgres-global-setup.ts'],
    pool: 'forks',
    // Processes are killed and clocks are real: on a machine that does other things too, a test may be told to try again.
    retry: process.env.CI === 'true' ? 2 : 0,
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
