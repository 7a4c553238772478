/**
 * Everything that is judged without running the program: format, lint, types, boundaries, dead code, generated files.
 * One line a check, the output of those that fail, and exit code 1 if any did; the tests are `npm test`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import os from 'node:os';
import path from 'node:path';

interface Check {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
}

const root = path.dirname(import.meta.dirname);
const bin = path.join(root, 'node_modules/.bin');
const node = process.execPath;

/** Fastest first: who made a slip hears of it soon. */
const CHECKS: readonly Check[] = [
  { name: 'types', command: [path.join(bin, 'tsc'), '--project', root, '--noEmit'] },
  { name: 'format and lint', command: [path.join(bin, 'biome'), 'ci', '--colors=off', '--max-diagnostics=50', '.'] },
  { name: 'boundaries', command: [node, 'scripts/boundaries.mjs'] },
  { name: 'dead code', command: [path.join(bin, 'knip'), '--no-progress'] },
  { name: 'generated files', command: [node, 'scripts/generate.ts', '--check'] },
];

/** Tools start through `env node`, which has to find the pinned one. */
const env = { ...process.env, PATH: `${bin}${path.delimiter}${process.env.PATH ?? ''}`, NO_COLOR: '1' };

async function run({ name, command: [program, ...args] }: Check): Promise<boolean> {
  const started = performance.now();
  const child = spawn(program, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const passed = await once(child, 'close').then(
    ([code]) => code === 0,
    (error: unknown) => {
      output += `${error}\n`;
      return false;
    },
  );
  const seconds = `${((performance.now() - started) / 1000).toFixed(1)}s`;
  // Warnings fail nothing, but whoever looks at the result should know that there are some to look at.
  const [warnings = ''] = /\d+ warnings?\b/.exec(output) ?? [];
  process.stdout.write(
    passed ? `ok    ${name}  ${seconds}  ${warnings}`.trimEnd().concat('\n') : `FAIL  ${name}  ${seconds}\n${output}\n`,
  );
  return passed;
}

const waiting = [...CHECKS];
const results: boolean[] = [];

async function runWaiting(): Promise<void> {
  for (let check = waiting.shift(); check !== undefined; check = waiting.shift()) results.push(await run(check));
}

await Promise.all(Array.from({ length: os.availableParallelism() }, runWaiting));
process.exitCode = results.every(Boolean) ? 0 : 1;
