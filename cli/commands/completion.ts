/** `completion`: prints the script with which a shell completes commands, flags and their values. */
import { Argument, type Command } from 'commander';
import { type DefineCommand, helpNotes } from '../command.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

/** Loads every command, and no configuration. */
export const defineCompletion: DefineCommand = (command) => {
  command
    .description('Prints a script that completes commands, flags and their values in a shell.')
    .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS))
    .action(async (shell: Shell, _flags, { parent }: Command) => {
      if (parent === null) throw new Error('completion is a command of the program');
      const { commandTree } = await import('../command-tree.ts');
      const tree = await commandTree(parent);
      process.stdout.write((await scriptOf(shell))(tree));
    });
  helpNotes(command, {
    examples: [
      'auth-server completion bash > ~/.local/share/bash-completion/completions/auth-server',
      'auth-server completion fish > ~/.config/fish/completions/auth-server.fish',
    ],
    exit: '0 done, 2 no such shell',
  });
};

async function scriptOf(shell: Shell) {
  if (shell === 'bash') return (await import('../completion/bash.ts')).bashScript;
  if (shell === 'zsh') return (await import('../completion/zsh.ts')).zshScript;
  return (await import('../completion/fish.ts')).fishScript;
}
