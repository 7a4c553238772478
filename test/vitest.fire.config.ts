/**
 * The tests under fire, `npm run test:fire`: crashes, races and faults against the built executable, so they need
 * `npm run build` before. Their long forms: `node scripts/fire/run.ts`.
 */
import path from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: path.dirname(import.meta.dirname),
  test: {
    include: ['test/fire/**/*.test.ts'],
    globalSetup: ['test/support/postgres-global-setup.ts'],
    pool: 'forks',
    // Processes are killed and clocks are real: on a machine that does other things too, a test may be told to try again.
    retry: process.env.CI === 'true' ? 2 : 0,
    maxWorkers: Number(process.env.FIRE_WORKERS ?? 2),
    // Bounds for a machine that does other things too. The long forms take as long as they are told to.
    testTimeout: Number(process.env.FIRE_LIMIT_MS ?? 600_000),
    hookTimeout: 60_000,
    env: { NO_COLOR: '1', TZ: 'UTC' },
  },
});
