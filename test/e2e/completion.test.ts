/**
 * `completion`: what the executable prints, asked in the real shells as Tab asks (row 25). Nothing of the program runs when
 * Tab is pressed. Here and not in `npm test`, because a machine need not have zsh and fish.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { makeProgram } from '../support/executable.ts';
import { scratchFolder } from '../support/scratch.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

const scripts = new Map<Shell, Promise<string>>();
const shared = scratchFolder('completion');
afterAll(() => rmSync(shared, { recursive: true, force: true }));
/** zsh looks through all its functions once, and remembers. */
const zcompdump = path.join(shared, 'zcompdump');

async function print(shell: Shell): Promise<string> {
  const { code, stdout, stderr } = await (await makeProgram('sqlite')).run(['completion', shell]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

function scriptOf(shell: Shell): Promise<string> {
  const script = scripts.get(shell) ?? print(shell);
  scripts.set(shell, script);
  return script;
}

/** A bash that is asked as readline asks: with the words so far, and where the cursor is. */
const askBash = (script: string, words: readonly string[]): string => `source ${script}
COMP_WORDS=(auth-server ${words.map((word) => `'${word}'`).join(' ')})
COMP_CWORD=${words.length}
_auth_server
printf '%s\\n' "\${COMPREPLY[@]}"`;

const askFish = (script: string, words: readonly string[]): string =>
  `source ${script}; complete -C 'auth-server ${words.join(' ')}' | string split -f 1 \\t`;

/** An interactive zsh in a terminal of its own, whose matches are printed instead of shown. */
const askZsh = (script: string, words: readonly string[]): string => `zmodload zsh/zpty || exit 1
zpty z zsh -f -i
zpty -w z 'PROMPT=; autoload -Uz compinit; compinit -u -d ${zcompdump}; source ${script}
null-line() { print -n -- $'"'\\\\0'"' }
compprefuncs=(null-line) comppostfuncs=(null-line exit)
zstyle ":completion:*" insert-tab false
bindkey "^I" complete-word
compadd() {
  if [[ \${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then builtin compadd "$@"; return; fi
  local -a hits
  builtin compadd -A hits "$@"
  print -rl -- $hits
}
print READY'
zpty -r z line '*READY*READY*'
zpty -n -w z 'auth-server ${words.join(' ')}'$'\\t'
zpty -r z line $'*\\0*\\0*'
line=\${line#*$'\\0'}
print -r -- \${line%%$'\\0'*}`;

const ASK = { bash: askBash, fish: askFish, zsh: askZsh } as const;

async function complete(shell: Shell, ...words: readonly string[]): Promise<string[]> {
  const folder = scratchFolder('tab');
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const script = path.join(folder, 'script');
  writeFileSync(script, await scriptOf(shell));
  mkdirSync(path.join(folder, 'files'));
  writeFileSync(path.join(folder, 'files', 'copy.db'), '');
  const flags = { bash: ['--norc', '--noprofile'], zsh: ['-f'], fish: ['--no-config'] }[shell];
  const child = spawn(shell, [...flags, '-c', ASK[shell](script, words)], {
    cwd: path.join(folder, 'files'),
    env: { PATH: process.env.PATH ?? '', HOME: folder, TERM: 'dumb', LC_ALL: 'C.UTF-8' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  await once(child, 'close');
  expect(errors).toBe('');
  return output
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .toSorted();
}

describe.each(SHELLS)('%s', (shell) => {
  test('commands, at each level and by their other names', async () => {
    expect(await complete(shell, 'ke')).toEqual(['keys']);
    expect(await complete(shell, 'keys', '')).toEqual(['list', 'reset', 'rewrap', 'rotate']);
    expect(await complete(shell, 'sessions', 'sh')).toEqual(['show']);
    expect(await complete(shell, '--json', 'keys', 'ro')).toEqual(['rotate']);
    expect(await complete(shell, '--config', 'keys', 'ba')).toEqual(['backup']);
  });

  test('flags of a command, and those of all', async () => {
    expect(await complete(shell, 'keys', 'rotate', '--co')).toEqual(['--compromised', '--config']);
    expect(await complete(shell, 'revoke', '--dry')).toEqual(['--dry-run']);
  });

  test('values, where they are known', async () => {
    expect(await complete(shell, 'keys', 'rotate', '--ring', '')).toEqual(['access', 'refresh']);
    expect(await complete(shell, 'simulate', 'thief')).toEqual(['thief-first', 'thief-late']);
    expect(await complete(shell, 'completion', '')).toEqual(['bash', 'fish', 'zsh']);
  });
});

test('what is typed is never run by it', async () => {
  expect(await complete('bash', '$(touch run)', '`touch run`', '')).not.toContain('run');
  for (const shell of SHELLS) expect(await scriptOf(shell)).not.toMatch(/^\s*eval /m);
});

test('a file where a file is meant', async () => {
  expect(await complete('fish', 'backup', 'co')).toEqual(['copy.db']);
  expect(await complete('zsh', 'restore', 'co')).toEqual(['copy.db']);
  // bash offers files by itself where the function has nothing.
  expect(await complete('bash', 'backup', 'co')).toEqual([]);
  expect(await scriptOf('bash')).toContain('complete -o bashdefault -o default');
});
