/** Runs a program as it stands in a document: what readers copy is what works. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { onTestFinished } from 'vitest';

const root = path.dirname(path.dirname(import.meta.dirname));

/** @param name of the block that follows `<!-- example: NAME -->`. @returns what it has printed so far */
export function runExample(document: string, name: string, env: Readonly<Record<string, string>>): () => string {
  const text = readFileSync(path.join(root, document), 'utf8');
  const [, code] = new RegExp(`<!-- example: ${name} -->\\n\`\`\`js\\n(.*?)\`\`\``, 's').exec(text) ?? [];
  if (code === undefined) throw new Error(`${document} has no example ${name}`);
  // Below the project, so that it finds the same packages.
  const cache = path.join(root, 'node_modules/.cache');
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(path.join(cache, 'example-'));
  const file = path.join(folder, 'example.mjs');
  writeFileSync(file, code);
  let said = '';
  const child: ChildProcess = spawn(path.join(root, 'node_modules/.bin/node'), [file], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      said += chunk;
    });
  }
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
    rmSync(folder, { recursive: true, force: true });
  });
  return () => said;
}
