/**
 * The long forms of the tests under fire: `node scripts/fire/run.ts [--times N] [--seed S] [file…]`, N times what CI does
 * (10 unless told), of the files of `test/fire` whose names hold one of the words. Each says in a line what it did.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';

/** For Vitest to end by itself, ms. */
const PATIENCE_MS = 10_000;

const root = path.dirname(path.dirname(import.meta.dirname));
const { values, positionals } = parseArgs({
  options: { times: { type: 'string', default: '10' }, seed: { type: 'string' } },
  allowPositionals: true,
});
const seed = values.seed ?? String(Date.now() % 1_000_000);
if (!/^\d+(\.\d+)?$/.test(values.times) || !/^\d{1,9}$/.test(seed)) {
  throw new Error('usage: node scripts/fire/run.ts [--times N] [--seed S] [file…]');
}
process.stdout.write(`seed ${seed}, ${values.times} times what CI does\n`);

const config = ['--config', 'test/vitest.fire.config.ts', '--reporter=verbose', '--disable-console-intercept=true'];
const files = positionals.map((word) => `test/fire/${word}`);
const vitest = path.join(root, 'node_modules/vitest/vitest.mjs');
const child = spawn(process.execPath, [vitest, 'run', ...config, ...files], {
  cwd: root,
  env: {
    ...process.env,
    FIRE_TIMES: values.times,
    FIRE_SEED: seed,
    FIRE_LIMIT_MS: String(Math.max(600_000, Number(values.times) * 600_000)),
  },
  stdio: 'inherit',
  // A group of its own, so that nothing of it is left behind.
  detached: true,
});
if (child.pid === undefined) throw new Error('Vitest could not be started');
const group = -child.pid;

/** Vitest ends the database it has started; its workers, and the servers under test, may go on for minutes. */
async function stopAll(): Promise<void> {
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  await Promise.race([gone, delay(PATIENCE_MS)]);
  endGroup();
}

function endGroup(): void {
  try {
    process.kill(group, 'SIGKILL');
  } catch {
    // Nobody is left.
  }
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stopAll());
const [code] = await once(child, 'exit');
process.exitCode = code ?? 1;
