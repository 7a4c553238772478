/** The command line as such: help, usage errors, global flags, what it waits for. Rows G1 and G9 of the security table. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { beforeAll, expect, test } from 'vitest';
import type { GlobalFlags } from '../../cli/command.ts';
import { COMMANDS } from '../../cli/command-table.ts';
import { type Failure, failureOf } from '../../cli/failure.ts';
import { makeProgram } from '../../cli/program.ts';
import { runCli, startCli, workFolder } from '../support/cli.ts';

const root = path.dirname(path.dirname(import.meta.dirname));

test('--version and -v print the version alone', async () => {
  const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  for (const flag of ['--version', '-v']) {
    const { code, stdout, stderr } = await runCli([flag], { cwd: workFolder() });
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  }
});

test('--help is one screen, names every command in its group, and waits for no library but commander', async () => {
  const cwd = workFolder();
  const loaded = path.join(cwd, 'loaded.txt');
  const hook = `import { registerHooks } from 'node:module'; import { appendFileSync } from 'node:fs';
    registerHooks({ load(url, context, next) { appendFileSync(${JSON.stringify(loaded)}, url + '\\n'); return next(url, context); } });`;
  const nodeArgs = ['--import', `data:text/javascript,${encodeURIComponent(hook)}`];
  const { code, stdout } = await runCli(['--help'], { cwd, nodeArgs });
  expect(code).toBe(0);
  for (const { name, group, summary } of COMMANDS) {
    expect(stdout).toMatch(new RegExp(`^(${group})? +${name} +${summary}`, 'm'));
  }
  const lines = stdout.split('\n');
  expect(lines.length).toBeLessThan(40);
  expect(lines.filter((line) => line.length > 80)).toEqual([]);
  const libraries = [...readFileSync(loaded, 'utf8').matchAll(/node_modules\/([^/]+)/g)].map(([, name]) => name);
  expect(new Set(libraries)).toEqual(new Set(['commander']));
});

test('help COMMAND is COMMAND --help', async () => {
  const cwd = workFolder();
  const [asked, flag] = await Promise.all([
    runCli(['help', 'migrate'], { cwd }),
    runCli(['migrate', '--help'], { cwd }),
  ]);
  expect(asked).toEqual(flag);
  expect(flag).toMatchObject({ code: 0, stderr: '' });
  expect(flag.stdout).toContain('Usage: auth-server migrate');
});

test.for<[string, readonly string[]]>([
  ['no command', []],
  ['no subcommand', ['config']],
  ['an option that there is not', ['migrate', 'status', '--bogus']],
])('G1: %s: exit 2, usage on stderr, nothing on stdout', async ([, args]) => {
  const { code, stdout, stderr } = await runCli(args, { cwd: workFolder() });
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(/usage: auth-server/i);
});

/** The same without a process: how these arguments fail. */
async function failing(args: readonly string[]): Promise<Failure> {
  const called = makeProgram();
  const error: unknown = await called.parseAsync(args, { from: 'user' }).catch((thrown: unknown) => thrown);
  const { json = false } = called.opts<GlobalFlags>();
  return failureOf(error, { json, command: undefined, trace: false });
}

test.for<[string, readonly string[], RegExp]>([
  ['an unknown command', ['migrat'], /unknown command 'migrat' \(Did you mean migrate\?\)/],
  [
    'an unknown option of the program',
    ['--colour'],
    /unknown option '--colour' \(Did you mean --no-color\?\)|unknown option/,
  ],
  ['an argument too many', ['migrate', 'status', 'now'], /too many arguments/],
  ['an option without its value', ['serve', '--port'], /argument missing/],
  ['a value that does not fit', ['serve', '--port', '99999'], /whole number from 0 to 65535/],
])('G1: %s: exit 2, what is wrong, the usage, and what to do', async ([, args, wrong]) => {
  const { exit, lines } = await failing(args);
  expect(exit).toBe(2);
  expect(lines[0]).toMatch(/^error: /);
  expect(lines[0]).toMatch(wrong);
  expect(lines[1]).toMatch(/^usage: auth-server/);
  expect(lines[2]).toMatch(/^try: {3}auth-server.* --help$/);
  expect(lines).toHaveLength(3);
});

test.for<readonly string[]>([
  ['--json', 'migrat'],
  ['migrate', 'status', '--bogus', '--json'],
  ['config', '--json'],
])('with --json, before or after the command, an error is one document: %o', async (args) => {
  const { exit, lines } = await failing(args);
  expect(exit).toBe(2);
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? '')).toEqual({ error: 'invalid_request', error_description: expect.any(String) });
});

test('what nobody foresaw is called a bug, without a stack unless one asks for it', () => {
  const error = new TypeError('x\u001b[2J is not a function');
  const [first, second, ...rest] = failureOf(error, { json: false, command: undefined, trace: false }).lines;
  expect(first).toBe('error: this is a bug: TypeError: x\\u001b[2J is not a function');
  expect(second).toContain('AUTH_SERVER_LOG_LEVEL=trace');
  expect(rest).toEqual([]);
  const traced = failureOf(error, { json: false, command: undefined, trace: true });
  expect(traced.lines.length).toBeGreaterThan(2);
  expect(traced.exit).toBe(1);
});

test('a refusal has one line of what is wrong and one of what to do; its exit code is the same with --json', async () => {
  const cwd = workFolder();
  const plain = await runCli(['migrate', 'status'], { cwd });
  expect(plain).toMatchObject({ code: 5, stdout: '' });
  expect(plain.stderr).toMatch(/^error: There is no database auth\.db\.\ntry: {3}auth-server serve makes it.*\n$/);
  const json = await runCli(['--json', 'migrate', 'status'], { cwd });
  expect(json).toMatchObject({ code: 5, stdout: '' });
  expect(JSON.parse(json.stderr)).toEqual({
    error: 'database_unusable',
    error_description: 'There is no database auth.db.',
  });
});

test('G9: a reader that has read enough is no failure', async () => {
  const { child } = startCli(['config', 'schema'], { cwd: workFolder() });
  child.stdout?.destroy();
  await once(child, 'exit');
  expect(child.exitCode).toBe(0);
});

let program: Command;
beforeAll(async () => {
  program = makeProgram();
  for (const [index, { load }] of COMMANDS.entries()) {
    const command = program.commands[index];
    if (command !== undefined) (await load())(command);
  }
});

const everyCommand = (command: Command): Command[] => [command, ...command.commands.flatMap(everyCommand)];

test('every command has a description, examples that begin with its name, and its exit codes', () => {
  for (const command of program.commands.flatMap(everyCommand)) {
    const names = [command.parent?.parent?.name(), command.parent?.name(), command.name()].filter(Boolean).join(' ');
    let help = '';
    command
      .configureOutput({
        writeOut: (text) => {
          help += text;
        },
      })
      .outputHelp();
    expect(command.description(), names).not.toBe('');
    expect(help, names).toMatch(new RegExp(`Examples?:\\n( {2}.*\\n)*.*${names}`));
    expect(help, names).toMatch(/^Exit: \d/m);
  }
});

/** The words of an example as a shell would give them, without what it reads from or writes to. */
const wordsOf = (example: string): string[] =>
  [...(example.split(/ [|<>]/, 1)[0] ?? '').matchAll(/"([^"]*)"|\S+/g)].map(([word, quoted]) => quoted ?? word);

test('every example is one that its command takes (tick 20)', () => {
  const examples = program.commands.flatMap(everyCommand).flatMap((command) => {
    let help = '';
    command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
    const [, block = ''] = /Examples?:\n((?: {2}.*\n)*)/.exec(help) ?? [];
    return [...block.matchAll(/\bauth-server( .*)/g)].map(([, rest = '']) => rest.trim());
  });
  expect(examples.length).toBeGreaterThan(60);
  for (const example of examples) {
    let command = program;
    let { operands, unknown } = program.parseOptions(wordsOf(example));
    for (let child: Command | undefined; ; command = child) {
      const [name] = operands;
      child = command.commands.find((one) => one.name() === name || one.aliases().includes(name ?? ''));
      if (child === undefined) break;
      ({ operands, unknown } = child.parseOptions([...operands.slice(1), ...unknown]));
    }
    expect(command, example).not.toBe(program);
    expect({ example, unknown }).toEqual({ example, unknown: [] });
    const { registeredArguments } = command;
    const needed = registeredArguments.filter(({ required }) => required).length;
    expect(operands.length, example).toBeGreaterThanOrEqual(needed);
    expect(operands.length, example).toBeLessThanOrEqual(registeredArguments.length);
  }
});

test('no option of any command takes a secret', () => {
  for (const command of program.commands.flatMap(everyCommand)) {
    const named = command.options.filter(({ long, hidden }) => /password$|secret$|token$/.test(long ?? '') && !hidden);
    expect(named.filter((option) => option.required || option.optional).map(({ flags }) => flags)).toEqual([]);
  }
});
