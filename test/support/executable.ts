/**
 * Runs the built executable as a stranger would: from an empty folder outside the project, with an emptied environment.
 * Every process started here is ended with its test.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, onTestFinished } from 'vitest';
import { type DatabaseKind, makeDatabase } from './databases.ts';
import { freePort } from './free-port.ts';
import { scratchFolder } from './scratch.ts';

const built = path.join(path.dirname(path.dirname(import.meta.dirname)), 'dist/auth-server');
const START_LIMIT_MS = 20_000;

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Program {
  /** The working folder, empty but for `auth.config.json` where the database is not the default one. */
  readonly folder: string;
  /** Runs a command to its end. */
  run(args: readonly string[], input?: string): Promise<Finished>;
  /** Runs a command that must succeed, and reads its `--json` output. */
  json<T>(args: readonly string[], input?: string): Promise<T>;
  /** Starts the server, on a free port unless one is given, and waits until it answers. */
  serve(port?: number): Promise<Server>;
}

export interface Server {
  readonly url: string;
  /** Sends the signal and waits for the end. */
  stop(signal: NodeJS.Signals): Promise<number | null>;
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Answer>;
}

export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

/** A copy in a folder with nothing above it that the program could find by accident. */
let copy: string | undefined;
function executable(): string {
  if (!existsSync(built)) throw new Error('dist/auth-server does not exist: npm run build');
  if (copy === undefined) {
    copy = path.join(scratchFolder('executable', os.tmpdir()), 'auth-server');
    copyFileSync(built, copy);
  }
  return copy;
}
afterAll(() => {
  if (copy !== undefined) rmSync(path.dirname(copy), { recursive: true, force: true });
  copy = undefined;
});

/** To be called in a test: what it makes goes when the test has passed. */
export async function makeProgram(kind: DatabaseKind): Promise<Program> {
  const folder = scratchFolder('smoke', os.tmpdir());
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  if (kind === 'postgres') {
    const config = { database: { url: await makeDatabase('postgres') } };
    writeFileSync(path.join(folder, 'auth.config.json'), JSON.stringify(config), { mode: 0o600 });
  }
  const run = (args: readonly string[], input = ''): Promise<Finished> => finish(startExecutable(folder, args), input);
  return {
    folder,
    run,
    json: async <T>(args: readonly string[], input?: string) => {
      const { code, stdout, stderr } = await run([...args, '--json'], input);
      if (code !== 0) throw new Error(`auth-server ${args.join(' ')}: exit ${code}\n${stderr}`);
      const value: T = JSON.parse(stdout);
      return value;
    },
    serve: async (port) => serve(folder, port ?? (await freePort())),
  };
}

/** Starts it with an environment of these variables alone. It is ended with its test, if it has not ended by then. */
export function startExecutable(
  folder: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): ChildProcess {
  const child = spawn(executable(), args, { cwd: folder, env, stdio: 'pipe' });
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  });
  return child;
}

function textOf(stream: NodeJS.ReadableStream | null): () => string {
  let text = '';
  stream?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  return () => text;
}

async function finish(child: ChildProcess, input: string): Promise<Finished> {
  const stdout = textOf(child.stdout);
  const stderr = textOf(child.stderr);
  // A program that ends without reading its input closes the pipe; what counts is its exit code.
  child.stdin?.on('error', () => {}).end(input);
  await once(child, 'close');
  return { code: child.exitCode, stdout: stdout(), stderr: stderr() };
}

async function serve(folder: string, port: number): Promise<Server> {
  const child = startExecutable(folder, ['serve', '--host', '127.0.0.1', '--port', String(port)]);
  const stderr = textOf(child.stderr);
  textOf(child.stdout);
  const url = `http://127.0.0.1:${port}`;
  onTestFinished(({ task }) => {
    if (task.result?.state === 'fail') process.stderr.write(`\nThe server of "${task.name}" said:\n${stderr()}\n`);
  });
  const limit = performance.now() + START_LIMIT_MS;
  while (!(await isHealthy(url))) {
    if (child.exitCode !== null) throw new Error(`serve ended with ${child.exitCode}:\n${stderr()}`);
    if (performance.now() > limit) throw new Error(`serve did not answer /healthz in time:\n${stderr()}`);
    await delay(20);
  }
  return {
    url,
    stop: async (signal) => {
      const ended = once(child, 'exit');
      child.kill(signal);
      await ended;
      return child.exitCode;
    },
    post: async (to, body, headers = {}) => {
      const response = await fetch(`${url}${to}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      });
      const text = await response.text();
      return { status: response.status, body: text === '' ? {} : JSON.parse(text) };
    },
  };
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/healthz`);
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}
