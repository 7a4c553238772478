/** `completion` as a command: a script for each of its shells. What the scripts do is tried in the shells, in test/e2e. */
import { expect, test } from 'vitest';
import { commandTree } from '../../cli/command-tree.ts';
import { bashScript } from '../../cli/completion/bash.ts';
import { fishScript } from '../../cli/completion/fish.ts';
import { zshScript } from '../../cli/completion/zsh.ts';
import { makeProgram } from '../../cli/program.ts';
import { runCli, workFolder } from '../support/cli.ts';

test.each([
  ['bash', bashScript],
  ['zsh', zshScript],
  ['fish', fishScript],
] as const)('the script for %s is printed, whole and alone', async (shell, write) => {
  const { code, stdout, stderr } = await runCli(['completion', shell], { cwd: workFolder() });
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: write(await commandTree(makeProgram())), stderr: '' });
});

test('another shell is wrong usage', async () => {
  expect((await runCli(['completion', 'tcsh'], { cwd: workFolder() })).code).toBe(2);
});
