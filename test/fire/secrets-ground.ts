/** The program with marked secrets in it: its processes, its endpoints, its configuration, and all that they say. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { startExecutable } from '../support/executable.ts';
import { documentedPath } from '../support/openapi.ts';
import { until } from '../support/until.ts';
import { MARKED, type Places } from './marked.ts';

const ENV = { WEBHOOK_SECRET: MARKED.webhookSecretOfEnv };

export interface Ground {
  readonly folder: string;
  readonly url: string;
  readonly places: Places;
  readonly commands: Set<string>;
  readonly operations: Set<string>;
}

/** Runs a command; what it says is looked at, but for what it is there to grant. */
export async function run(
  ground: Ground,
  args: readonly string[],
  input = '',
  granted: (stdout: string) => readonly string[] = () => [],
) {
  const child = startExecutable(ground.folder, args, ENV);
  const said = collect(child);
  child.stdin?.on('error', () => undefined).end(input);
  await once(child, 'close');
  const words = args.filter((word) => !word.startsWith('-'));
  for (const name of [words[0], words.slice(0, 2).join(' ')]) ground.commands.add(String(name));
  const { stdout, stderr } = said;
  ground.places.look(`stdout of ${args.join(' ')}`, stdout(), granted(stdout()));
  ground.places.look(`stderr of ${args.join(' ')}`, stderr());
  return { code: child.exitCode, stdout: stdout(), stderr: stderr() };
}

function collect(child: ChildProcess): { stdout: () => string; stderr: () => string } {
  const text = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (chunk: string) => {
      text[name] += chunk;
    });
  }
  return { stdout: () => text.stdout, stderr: () => text.stderr };
}

export interface Running {
  readonly child: ChildProcess;
  readonly name: string;
  readonly stderr: () => string;
  end(): Promise<void>;
}

/** A process that runs until it is told to end. Its arguments and its environment are looked at while it runs. */
export async function start(
  ground: Ground,
  args: readonly string[],
  isReady: (stderr: string) => boolean,
): Promise<Running> {
  const child = startExecutable(ground.folder, args, ENV);
  const { stdout, stderr } = collect(child);
  const name = args.join(' ');
  await until(() => isReady(stderr()) || child.exitCode !== null, `${name} runs`);
  expect(child.exitCode, stderr()).toBeNull();
  ground.commands.add(String(args[0]));
  const proc = (file: string): string => readFileSync(`/proc/${child.pid}/${file}`, 'latin1');
  for (const file of ['cmdline', 'comm']) ground.places.look(`${file} of ${name}`, proc(file));
  // What the operator put into the environment is there; what came from files is not.
  ground.places.look(`environ of ${name}`, proc('environ'), [MARKED.webhookSecretOfEnv]);
  return {
    child,
    name,
    stderr,
    async end() {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
      ground.places.look(`stdout of ${name}`, stdout());
      ground.places.look(`stderr of ${name}`, stderr());
      expect(stderr().length, name).toBeGreaterThan(0);
    },
  };
}

export interface Sent {
  readonly body?: unknown;
  readonly form?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Asks an endpoint; what it answers is looked at, but for the tokens that it is there to grant. */
export async function ask(
  ground: Ground,
  base: string,
  what: `${'GET' | 'POST'} ${string}`,
  { body, form, headers = {} }: Sent = {},
) {
  const [method = '', to = ''] = what.split(' ');
  const content = form === undefined ? body : new URLSearchParams(form).toString();
  const type = form === undefined ? 'application/json' : 'application/x-www-form-urlencoded';
  const response = await fetch(`${base}${to}`, {
    method,
    headers: { ...(content === undefined ? {} : { 'content-type': type }), ...headers },
    ...(content === undefined ? {} : { body: typeof content === 'string' ? content : JSON.stringify(content) }),
  });
  const text = await response.text();
  ground.operations.add(`${method} ${documentedPath(to)} ${response.ok ? 'granted' : 'refused'}`);
  const answer = (text.startsWith('{') ? JSON.parse(text) : {}) as Record<string, string>;
  const isGrant = response.ok && ['/login', '/refresh', '/oauth/token'].includes(to);
  if (isGrant) ground.places.addTokens(`${to} ${ground.operations.size}`, answer);
  const granted = isGrant ? [answer.access_token ?? '', answer.refresh_token ?? ''] : [];
  const head = JSON.stringify([...response.headers]);
  ground.places.look(
    `${response.status} of ${method} ${documentedPath(to)}`,
    `${head}\n${text}`,
    granted.filter((one) => one !== ''),
  );
  return { status: response.status, body: answer };
}

export const secretOf = (stdout: string): string[] =>
  Object.values(JSON.parse(stdout) as object).filter((one) => typeof one === 'string' && one.length === 43);

export async function addClient(ground: Ground, id: string, ...args: readonly string[]): Promise<string> {
  const { stdout, code, stderr } = await run(ground, ['clients', 'add', id, ...args, '--json'], '', secretOf);
  expect(code, stderr).toBe(0);
  const { client_secret } = JSON.parse(stdout) as { client_secret: string };
  ground.places.addSecret(`secret of ${id}`, client_secret);
  return client_secret;
}

/** Writes the configuration; secrets are literals, in a file and in the environment. */
export function configure(ground: Ground, name: string, more: object): void {
  const write = (file: string, text: string) => writeFileSync(path.join(ground.folder, file), text, { mode: 0o600 });
  write('auth-server.key', `${MARKED.masterKey}\n`);
  write('service.secret', `${MARKED.serviceSecret}\n`);
  const config = {
    issuer: 'https://auth.example',
    database: { url: ground.url },
    log: { level: 'trace', format: 'json' },
    ...more,
  };
  write(name, JSON.stringify(config));
}
