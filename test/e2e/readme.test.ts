/** The first minute of the README, typed as it stands there: what it shows is what a stranger sees. It needs curl. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { scratchFolder } from '../support/scratch.ts';

const root = path.dirname(path.dirname(import.meta.dirname));
const node = path.join(root, 'node_modules/.bin/node');
const PROGRAM = [node, '--import', path.join(root, 'scripts/tsx-hook.ts'), path.join(root, 'cli/main.ts')];
const PATIENCE_MS = 20_000;

interface Step {
  readonly command: string;
  readonly shown: string;
}

/** The `$ ` lines of the transcript, each with what it prints. */
function transcript(): Step[] {
  const readme = readFileSync(path.join(root, 'README.md'), 'utf8');
  const block = /```console\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
  return block
    .split(/^\$ /m)
    .filter((part) => part !== '')
    .map((part) => {
      const [command = '', ...shown] = part.split('\n');
      return { command, shown: shown.join('\n').trim() };
    });
}

/** What differs from run to run: ids, times, and here the port. */
const settled = (text: string): string =>
  text
    .trim()
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<id>')
    .replace(/\b\d{10}\b/g, '<time>')
    .replace(/127\.0\.0\.1:\d+/g, '<address>');

async function startServer(folder: string, port: number): Promise<void> {
  const server = spawn(PROGRAM[0] ?? '', [...PROGRAM.slice(1), 'serve', '--port', String(port)], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  onTestFinished(async () => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    server.kill('SIGTERM');
    await once(server, 'exit');
  });
  const signal = AbortSignal.timeout(PATIENCE_MS);
  let printed = '';
  for await (const chunk of server.stderr.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
    printed += chunk;
    if (printed.includes('listening')) break;
    signal.throwIfAborted();
  }
  server.stderr.resume();
}

async function type(folder: string, script: string): Promise<string> {
  const shell = spawn('bash', ['-c', script], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
  let printed = '';
  shell.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    printed += chunk;
  });
  const [code] = await once(shell, 'close');
  expect(code).toBe(0);
  return printed;
}

describe('README: the first minute', () => {
  it('prints what the README shows', async () => {
    const steps = transcript();
    expect(steps.length).toBeGreaterThan(5);
    const folder = scratchFolder('readme');
    const port = await freePort();
    await startServer(folder, port);

    const command = PROGRAM.map((part) => `'${part}'`).join(' ');
    const script = [
      `auth-server() { ${command} "$@"; }`,
      ...steps.map((step) => `${step.command.replace('127.0.0.1:8080', `127.0.0.1:${port}`)}; echo; echo ----`),
    ].join('\n');
    const printed = (await type(folder, script)).split(/^----$/m).slice(0, -1);

    expect(printed.map(settled)).toEqual(steps.map((step) => settled(step.shown)));
  });
});
