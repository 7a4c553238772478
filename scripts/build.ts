/**
 * Builds `dist/auth-server`: one file that needs neither Node nor `node_modules`. esbuild makes one module of the
 * program, and Node puts it, SQLite's compiled file beside it, into a copy of itself (a "single executable application").
 * The same sources give the same bytes. With arguments it packs another entry: `scripts/build.ts [entry [output]]`.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle } from './bundle.ts';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const { platform, arch } = process;
if (platform !== 'linux' && platform !== 'darwin') throw new Error(`The executable is not made for ${platform}.`);

/** Symbols are a fifth of Node and of no use to an operator. Taken off before packing: afterwards it would not start. */
function stripNode(folder: string): void {
  const copy = path.join(folder, 'node');
  copyFileSync(process.execPath, copy);
  chmodSync(copy, 0o755);
  if (platform !== 'linux') return;
  try {
    execFileSync('strip', [copy], { stdio: ['ignore', 'inherit', 'inherit'] });
  } catch (error) {
    process.stderr.write(`warning: strip (of binutils) failed, so the executable is 33 MB larger: ${error}\n`);
    copyFileSync(process.execPath, copy);
  }
}

/** @param folder with `main.mjs` and `node`; the executable comes beside them */
function pack(folder: string, name: string): void {
  const seaConfig = {
    // Names, not paths: they become part of the executable, and another folder shall not make another one.
    main: 'main.mjs',
    executable: 'node',
    output: name,
    mainFormat: 'module',
    disableExperimentalSEAWarning: true,
    useSnapshot: false,
    useCodeCache: true,
    // Neither a signal nor the environment may open a debugger into a process that holds keys. And half of V8's room for
    // new objects: 35 MB less resident under load, at no cost that a benchmark could see. That room is there from the
    // start and need not grow, a collection at a time: a sixth of the time to the first picture of `tui`.
    execArgv: ['--disable-sigusr1', '--min-semi-space-size=4', '--max-semi-space-size=8'],
    execArgvExtension: 'none',
    assets: {
      'better_sqlite3.node': path.join(root, `node_modules/better-sqlite3/prebuilds/${platform}-${arch}.node`),
    },
  };
  writeFileSync(path.join(folder, 'sea.json'), JSON.stringify(seaConfig));
  // The seed decides how hash tables lie in the code cache; the program that reads the cache has its own.
  execFileSync(process.execPath, ['--random-seed=1', '--build-sea', 'sea.json'], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (platform === 'darwin') execFileSync('codesign', ['--force', '--sign', '-', path.join(folder, name)]);
}

async function main(entry = 'cli/main.ts', output = 'dist/auth-server'): Promise<void> {
  const cache = path.join(root, 'node_modules/.cache');
  mkdirSync(cache, { recursive: true });
  // A folder per build: two at once do not meet, and the last step, a rename, leaves a running server its file.
  const folder = mkdtempSync(path.join(cache, 'build-'));
  try {
    await bundle(entry, path.join(folder, 'main.mjs'));
    stripNode(folder);
    pack(folder, 'packed');
    const packed = path.join(folder, 'packed');
    const target = path.resolve(root, output);
    mkdirSync(path.dirname(target), { recursive: true });
    renameSync(packed, target);
    process.stdout.write(`${output}  ${(statSync(target).size / 1e6).toFixed(1)} MB\n`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

await main(...process.argv.slice(2));
