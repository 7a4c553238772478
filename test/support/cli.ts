/**
 * Runs the command line from source, as a process of its own: exit codes, signals, streams and file modes are part of
 * what it promises. Its environment is empty but for what a test gives.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { onTestFinished, vi } from 'vitest';
import { scratchFolder } from './scratch.ts';
import { until } from './until.ts';

// A process takes a third of a second on a machine of its own, and several where other things run.
vi.setConfig({ testTimeout: 120_000 });

const root = path.dirname(path.dirname(import.meta.dirname));
const NODE = path.join(root, 'node_modules/.bin/node');
const MAIN = path.join(root, 'cli/main.ts');

/** The command line as the first words of a process: for what `startCli` cannot set. */
export const CLI: readonly string[] = [NODE, MAIN];

/** What Node compiled of the sources, for the next process: half of the time of a command. */
const NODE_COMPILE_CACHE = path.join(root, 'node_modules/.cache/node');

export interface CliOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string | Uint8Array;
  /** For Node itself, before the program. */
  readonly nodeArgs?: readonly string[];
}

export interface CliResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** An empty working folder that goes with its test. */
export function workFolder(): string {
  const folder = scratchFolder('cli');
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Runs one command to its end. */
export async function runCli(args: readonly string[], options: CliOptions): Promise<CliResult> {
  const { child, stdout, stderr } = startCli(args, options);
  // A program that ends without reading its input closes the pipe; what counts is its exit code.
  child.stdin?.on('error', () => undefined).end(options.stdin ?? '');
  await once(child, 'close');
  return { code: child.exitCode, signal: child.signalCode, stdout: stdout(), stderr: stderr() };
}

export interface RunningCli {
  readonly child: ChildProcess;
  readonly stdout: () => string;
  readonly stderr: () => string;
}

/** Starts a command that runs until it is told to stop; it is ended with its test. */
export function startCli(args: readonly string[], { cwd, env = {}, nodeArgs = [] }: CliOptions): RunningCli {
  const child = spawn(NODE, [...nodeArgs, MAIN, ...args], {
    cwd,
    env: { NODE_COMPILE_CACHE, ...env },
    stdio: 'pipe',
  });
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  });
  return { child, stdout: textOf(child.stdout), stderr: textOf(child.stderr) };
}

/** What `serve` said when it began to listen. */
export interface Listening {
  readonly url: string;
  readonly database: string;
  readonly schema: number;
}

/** Starts a server on a free port, unless the arguments name one, and waits until it listens. */
export async function startServe(
  options: CliOptions,
  args: readonly string[] = ['--port', '0'],
): Promise<RunningCli & Listening> {
  const running = startCli(['serve', ...args], options);
  const line = (): string | undefined =>
    running
      .stderr()
      .split('\n')
      .find((text) => text.includes('"listening"'));
  await until(() => line() !== undefined || running.child.exitCode !== null, 'serve listens');
  const found = line();
  if (found === undefined) throw new Error(`serve ended with ${running.child.exitCode}:\n${running.stderr()}`);
  const listening: Listening = JSON.parse(found);
  return { ...running, ...listening };
}

function textOf(stream: NodeJS.ReadableStream | null): () => string {
  let text = '';
  stream?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  return () => text;
}
