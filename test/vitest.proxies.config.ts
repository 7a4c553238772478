/**
 * The tests with real proxies and real tools of deployment, `npm run test:proxies`. Apart because they need packages of the
 * distribution (nginx, caddy, haproxy, apache2, libapache2-mod-auth-openidc, systemd, postgresql), which `.ci/run` installs, and `npm run build`.
 */
import path from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: path.dirname(import.meta.dirname),
  test: {
    include: ['test/proxies/**/*.test.ts', 'test/deploy/**/*.test.ts'],
    globalSetup: ['test/support/postgres-global-setup.ts'],
    pool: 'forks',
    // Processes and sockets are real: on a machine that does other things too, a test may be told to try again.
    retry: process.env.CI === 'true' ? 2 : 0,
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 60_000,
    env: { NO_COLOR: '1', TZ: 'UTC' },
  },
});
