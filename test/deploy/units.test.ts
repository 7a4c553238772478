/**
 * The systemd units of docs/deploy: well-formed, as closed as promised, and the executable runs behind them. There is no
 * systemd to run here, so strace answers each system call that the unit forbids as the unit would.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { makeDatabase } from '../support/databases.ts';
import { scratchFolder } from '../support/scratch.ts';
import { until } from '../support/until.ts';

const root = path.dirname(path.dirname(import.meta.dirname));
const BUILT = path.join(root, 'dist/auth-server');

interface Unit {
  readonly file: string;
  /** The highest exposure that is allowed, in tenths, as `systemd-analyze security` counts it. */
  readonly exposure: number;
}

const SERVER: Unit = { file: 'auth-server.service', exposure: 11 };
/** It goes out to the receivers of events, which the other one may not. */
const WORKER: Unit = { file: 'auth-server-worker.service', exposure: 13 };

const textOf = ({ file }: Unit): string => readFileSync(path.join(root, 'docs/deploy', file), 'utf8');

function folder(): string {
  const made = scratchFolder('units');
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** The values of a setting, in order. */
const settings = (unit: Unit, name: string): string[] =>
  [...textOf(unit).matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value = '']) => value);

/** `Environment=`, as the service gets it. */
function environmentOf(unit: Unit, credentials: string): Record<string, string> {
  return Object.fromEntries(
    settings(unit, 'Environment').map((line) => {
      const [, name = '', value = ''] = /^'?([A-Z_]+)=(.*?)'?$/.exec(line) ?? [];
      return [name, value.replaceAll('%d', credentials)];
    }),
  );
}

/** The members of a set, its sets resolved. */
function callsIn(set: string): Set<string> {
  const calls = new Set<string>();
  for (const line of execFileSync('systemd-analyze', ['syscall-filter', set], { encoding: 'utf8' })
    .split('\n')
    .slice(1)) {
    const name = line.replace(/#.*/, '').trim();
    if (name.startsWith('@')) for (const call of callsIn(name)) calls.add(call);
    else if (name !== '') calls.add(name);
  }
  return calls;
}

/** System calls that `SystemCallFilter=` of the unit does not let through. */
function forbidden(unit: Unit): string[] {
  const allowed = new Set<string>();
  for (const filter of settings(unit, 'SystemCallFilter')) {
    const isDenied = filter.startsWith('~');
    for (const set of filter.replace('~', '').split(' ')) {
      for (const call of callsIn(set)) {
        if (isDenied) allowed.delete(call);
        else allowed.add(call);
      }
    }
  }
  expect(allowed.size).toBeGreaterThan(100);
  return [...callsIn('@known')].filter((call) => !allowed.has(call));
}

test.each([SERVER, WORKER])('$file: systemd reads it without a complaint', (unit) => {
  const made = folder();
  const file = path.join(made, unit.file);
  // A unit is checked where its program is installed.
  writeFileSync(file, textOf(unit).replace('/usr/local/bin/auth-server', BUILT));
  const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', file], { encoding: 'utf8' });
  // Of units of this machine it may say what it likes.
  const said = `${stdout}${stderr}`.split('\n').filter((line) => line.includes(unit.file));
  expect({ status, said }).toEqual({ status: 0, said: [] });
});

test.each([SERVER, WORKER])('$file: exposure of at most $exposure tenths', ({ file, exposure }) => {
  const check = ['security', '--offline=yes', '--no-pager'];
  const unit = path.join(root, 'docs/deploy', file);
  expect(spawnSync('systemd-analyze', [...check, `--threshold=${exposure}`, unit]).status).toBe(0);
  // The tool does tell one unit from another.
  expect(spawnSync('systemd-analyze', [...check, `--threshold=${exposure - 1}`, unit]).status).not.toBe(0);
});

test('a stop is given more time than the server takes', () => {
  for (const unit of [SERVER, WORKER]) {
    const [seconds] = settings(unit, 'TimeoutStopSec').map((value) => Number.parseInt(value, 10));
    expect(seconds).toBeGreaterThan(15);
  }
});

test('the executable serves and works behind the filters of its units, with the master key as a credential', async () => {
  const made = folder();
  const credentials = folder();
  const config = path.join(made, 'auth.config.json');
  writeFileSync(config, JSON.stringify({ database: { url: await makeDatabase('sqlite') } }), { mode: 0o640 });
  writeFileSync(path.join(credentials, 'master-key'), `${Buffer.alloc(32, 7).toString('base64')}\n`, { mode: 0o400 });
  for (const [unit, args] of [
    [SERVER, ['--port', '0']],
    [WORKER, []],
  ] as const) {
    const [, command = ''] = (settings(unit, 'ExecStart')[0] ?? '').split(' ');
    const calls = forbidden(unit).map((call) => `?${call}`);
    // -D: the process started here is the program itself, and strace a relative of it.
    const inject = `inject=${calls.join()}:error=EPERM`;
    const strace = ['-D', '-f', '-qqq', '-o', '/dev/null', '-e', `trace=${calls.join()}`, '-e', inject, BUILT];
    const child = spawn('strace', [...strace, command, ...args], {
      cwd: made,
      env: { PATH: '/usr/bin:/bin', ...environmentOf(unit, credentials), AUTH_SERVER_CONFIG: config },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const ended = once(child, 'exit');
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      said += chunk;
    });
    onTestFinished(async () => {
      child.kill('SIGKILL');
      await ended;
    });
    await until(() => /"(listening|worker started|working)"/.test(said) || child.exitCode !== null, `${command} runs`);
    if (command === 'serve') {
      const { url }: { url: string } = JSON.parse(said.split('\n').find((line) => line.includes('"listening"')) ?? '');
      const ready = await fetch(`${url}/readyz`);
      expect(ready.status).toBe(200);
      await ready.arrayBuffer();
    }
    child.kill('SIGTERM');
    const [code] = await ended;
    expect({ command, code, said: code === 0 ? '' : said }).toEqual({ command, code: 0, said: '' });
  }
});
