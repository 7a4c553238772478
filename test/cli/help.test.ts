/** The help of the administrator's commands: it fits a terminal, shows how to call it, and tells what the exit codes mean. */
import { Command } from 'commander';
import { expect, test } from 'vitest';
import { COMMANDS } from '../../cli/command-table.ts';
import { makeProgram } from '../../cli/program.ts';

/** The command and all below it, with their help. */
function helpOf(command: Command): { name: string; help: string }[] {
  let help = '';
  command.configureOutput({ writeOut: (text) => (help += text), getOutHelpWidth: () => 80 }).outputHelp();
  return [{ name: command.name(), help }, ...command.commands.flatMap(helpOf)];
}

const NAMES = new Set([
  'families',
  'revoke',
  'token',
  'events',
  'keys',
  'users',
  'clients',
  'doctor',
  'backup',
  'restore',
  'simulate',
]);
const commands = COMMANDS.filter(({ name }) => NAMES.has(name)).map(({ name, load }) => [name, load] as const);

test.each(commands)('%s', async (name, load) => {
  const command = makeProgram().commands.find((one) => one.name() === name) ?? new Command(name);
  (await load())(command);
  for (const { name: part, help } of helpOf(command)) {
    expect(help, part).toMatch(/\nExamples?:\n {2}auth-server /);
    expect(help, part).toMatch(/\nExit: \d/);
    expect(
      help.split('\n').filter((line) => line.length > 80),
      part,
    ).toEqual([]);
  }
});
