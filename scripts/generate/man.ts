/** The manual page, out of the same tree that `--help` and completion are made of. */
import type { Command } from 'commander';
import { allNodes, type TreeNode } from '../../cli/command-tree.ts';
import { VERSION } from '../../src/version.ts';

/** Text as roff reads it: a hyphen that can be copied, no line that is taken for a request. */
const roff = (text: string): string =>
  text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll(/^([.'])/gm, '\\&$1')
    .replaceAll('…', '...')
    .replaceAll('’', '\\(cq');

const EXIT_CODES: readonly (readonly [number, string])[] = [
  [0, 'done'],
  [1, 'failed'],
  [2, 'wrong usage'],
  [3, 'not found'],
  [4, 'refused, because it was not confirmed'],
  [5, 'configuration or database not usable, or a port in use'],
  [130, 'interrupted'],
];

/** @returns auth-server.1, as roff (man(7)). @param tree of `commandTree`, all of it */
export function renderManPage(tree: TreeNode): string {
  const commands = allNodes(tree).filter(({ path }) => path.length > 0);
  return `${[
    '.\\" Generated from the help of the program by scripts/generate.ts',
    `.TH AUTH\\-SERVER 1 "" "auth\\-server ${VERSION}" "User Commands"`,
    '.SH NAME',
    'auth\\-server \\- issues and rotates access and refresh token pairs for other services',
    '.SH SYNOPSIS',
    '.B auth\\-server',
    '.I command',
    '[options]',
    '.SH DESCRIPTION',
    roff(tree.command.description()),
    'Results go to standard output, remarks and errors to standard error. In a pipe, lists are lines of tab\\-separated values.',
    '.SH OPTIONS',
    ...optionsOf(tree.command),
    '.SH COMMANDS',
    ...commands.flatMap(({ command }) => sectionOf(command)),
    '.SH EXIT STATUS',
    ...EXIT_CODES.flatMap(([code, meaning]) => ['.TP', `.B ${code}`, roff(meaning)]),
    '.SH ENVIRONMENT',
    '.TP',
    '.B AUTH_SERVER_CONFIG',
    'the configuration file, where \\-\\-config names none',
    '.TP',
    '.B AUTH_SERVER_\\fIPATH\\fR',
    'any value of the configuration, by its path in upper snake case',
    '.TP',
    '.B NO_COLOR',
    'no colour',
  ].join('\n')}\n`;
}

function sectionOf(command: Command): string[] {
  const helper = command.createHelp();
  return [
    `.SS "${roff(helper.commandUsage(command).replace(/ \[command\]$/, ' command'))}"`,
    roff(command.description()),
    ...helper
      .visibleArguments(command)
      .flatMap((argument) => [
        '.TP',
        `.I ${roff(helper.argumentTerm(argument))}`,
        roff(helper.argumentDescription(argument)),
      ]),
    ...optionsOf(command),
    ...notesOf(command),
  ];
}

function optionsOf(command: Command): string[] {
  const helper = command.createHelp();
  return helper
    .visibleOptions(command)
    .filter(({ long }) => command.parent === null || long !== '--help')
    .flatMap((option) => ['.TP', `.B ${roff(helper.optionTerm(option))}`, roff(helper.optionDescription(option))]);
}

/** Examples and exit codes: the help prints them after its options. */
function notesOf(command: Command): string[] {
  let help = '';
  command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
  const [, examples = '', exit = ''] = /\nExamples?:\n([\s\S]*?)\n\nExit: (.*)/.exec(help) ?? [];
  if (examples === '') return [];
  return ['.P', '.nf', ...examples.split('\n').map(roff), '.fi', '.P', `Exit: ${roff(exit)}`];
}
