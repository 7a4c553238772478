/** A Python program of this folder, run by the distribution's Python: it answers each line of JSON with a line of JSON. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';

const PYTHON = '/usr/bin/python3';

export type Ask = (request: object) => Promise<Readonly<Record<string, unknown>>>;

/** Starts it; it ends with its test. @throws what it wrote to stderr, when it ends before it has answered */
export function startPython(script: string, env: Readonly<Record<string, string>>): Ask {
  const file = path.isAbsolute(script) ? script : path.join(import.meta.dirname, script);
  const child = spawn(PYTHON, [file], { env: { PYTHONDONTWRITEBYTECODE: '1', ...env }, stdio: 'pipe' });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text;
  });
  const ended = once(child, 'close');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  // A program that has ended closes the pipe; what counts is what it said.
  child.stdin.on('error', () => undefined);
  return async (request) => {
    child.stdin.write(`${JSON.stringify(request)}\n`);
    const { done, value } = await lines.next();
    if (done === true) throw new Error(`${script} has ended:\n${complaint}`);
    return JSON.parse(value) as Record<string, unknown>;
  };
}
