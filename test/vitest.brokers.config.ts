/** The tests against real brokers, which come with the distribution: `.ci/run` installs them. Apart, so that `npm test` needs none. */
import path from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: path.dirname(import.meta.dirname),
  test: {
    include: ['test/brokers/**/*.test.ts'],
    globalSetup: ['test/support/postgres-global-setup.ts'],
    pool: 'forks',
    // Processes are killed and clocks are real: on a machine that does other things too, a test may be told to try again.
    retry: process.env.CI === 'true' ? 2 : 0,
    // RabbitMQ alone keeps a machine of two cores busy while it starts.
    maxWorkers: 1,
    // Bounds, for a machine that does other things too.
    testTimeout: 300_000,
    hookTimeout: 150_000,
    env: { NO_COLOR: '1', TZ: 'UTC' },
  },
});
