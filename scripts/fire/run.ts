/**
 * The long forms of the tests under fire: `node scripts/fire/run.ts [--times N] [--seed S] [file…]`, N times what CI does
 * (10 unless told), of the files of `test/fire` whose names hold one of the words. Each says in a line what it did.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { parseArgs } from 'node:util';

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
});
// Vitest ends what its tests have started.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
const [code] = await once(child, 'exit');
process.exitCode = code ?? 1;
