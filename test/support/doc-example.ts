/** Runs programs as they stand in a document: what readers copy is what works. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { onTestFinished } from 'vitest';

const root = path.dirname(path.dirname(import.meta.dirname));
const NODE = path.join(root, 'node_modules/.bin/node');

/** The code block that follows `<!-- example: NAME -->`, in whatever language. */
export function example(document: string, name: string): string {
  const text = readFileSync(path.join(root, document), 'utf8');
  const [, code] = new RegExp(`<!-- example: ${name} -->\\n\`\`\`[a-z]+\\n(.*?)\`\`\``, 's').exec(text) ?? [];
  if (code === undefined) throw new Error(`${document} has no example ${name}`);
  return code;
}

/** A folder with these files that goes with its test; below the project, so that programs in it find the same packages. */
export function exampleFolder(files: Readonly<Record<string, string>>): string {
  const cache = path.join(root, 'node_modules/.cache');
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(path.join(cache, 'example-'));
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text);
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface Program {
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** This project's Node, unless another one is named. */
  readonly command?: string;
}

/** Starts it; it is ended with its test. @returns what it has printed so far */
export function runProgram({ command = NODE, args, cwd, env }: Program): () => string {
  let said = '';
  const child: ChildProcess = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      said += chunk;
    });
  }
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  });
  return () => said;
}

/** Runs one block of JavaScript by itself. @returns what it has printed so far */
export function runExample(document: string, name: string, env: Readonly<Record<string, string>>): () => string {
  const cwd = exampleFolder({ 'example.mjs': example(document, name) });
  return runProgram({ args: ['example.mjs'], cwd, env });
}
