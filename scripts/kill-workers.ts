/**
 * N19 at length: workers killed in turn during many events, to a receiver that fails 30 % and hangs 10 % of the time, and to
 * each broker. `node scripts/kill-workers.ts [events]`, 10,000 unless told; CI does the same with few. It needs the brokers
 * that `.ci/run` installs.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

const root = path.dirname(import.meta.dirname);
const [events = '10000'] = process.argv.slice(2);
if (!/^[1-9][0-9]{0,6}$/.test(events)) throw new Error('usage: node scripts/kill-workers.ts [events]');

const RUNS = [
  ['test/vitest.config.ts', 'test/worker/kill.test.ts'],
  ['test/vitest.brokers.config.ts', 'test/brokers/kill.test.ts'],
] as const;

for (const [config, file] of RUNS) {
  const args = [
    path.join(root, 'node_modules/vitest/vitest.mjs'),
    'run',
    '--config',
    config,
    '--reporter=verbose',
    file,
  ];
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: { ...process.env, KILL_EVENTS: events },
    stdio: 'inherit',
  });
  const [code] = await once(child, 'exit');
  if (code !== 0) process.exitCode = 1;
}
