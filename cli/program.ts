/**
 * The program as commander sees it: global flags, the table of commands, the look of the help. It stands apart from
 * `main.ts` so that what reads the whole tree of commands (completion, documents, tests) runs nothing.
 */
import { Command, type CommanderError, Help, type Option } from 'commander';
import { VERSION } from '../src/version.ts';
import type { GlobalFlags } from './command.ts';
import { COMMANDS } from './command-table.ts';
import { defineLater } from './lazy-commands.ts';

/** What commander found wrong, and in which command. */
export class WrongUsage extends Error {
  readonly code: string;
  readonly command: Command;

  constructor({ code, message }: CommanderError, command: Command) {
    super(message.replace(/^error: /, '').replaceAll('\n', ' '));
    this.code = code;
    this.command = command;
  }
}

/** Commands are named, not loaded, until one of them runs. Parsing throws WrongUsage, for `--help` as well. */
export function makeProgram(): Command {
  const program: Command = new Command('auth-server')
    .description('Issues and rotates access and refresh token pairs for other services.')
    .usage('<command> [options]')
    .version(VERSION, '-v, --version', 'prints the version')
    .option('--config <file>', 'the configuration file')
    .option('--json', 'prints JSON for machines, errors too')
    .option('--no-color', 'prints no colour; so does NO_COLOR')
    .helpOption('-h, --help', 'prints this')
    .configureOutput({
      // Errors are told in one place, see failure.ts; with --json that place tells of a missing command too.
      outputError: () => undefined,
      writeErr: (text) => {
        if (program.opts<GlobalFlags>().json !== true) process.stderr.write(text);
      },
    })
    .configureHelp({ showGlobalOptions: true, visibleGlobalOptions, formatHelp });

  const isDefined = new Set<Command>();
  const loaders = new Map(COMMANDS.map((entry) => [entry.name, entry.load]));
  for (const { name, group, summary, alias } of COMMANDS) {
    const command = program.commandsGroup(group).command(name).description(summary).summary(summary);
    if (alias !== undefined) command.alias(alias);
  }
  prepare(program);

  program.hook('preSubcommand', async (_, command) => {
    const define = await loaders.get(command.name())?.();
    define?.(command);
    isDefined.add(command);
    prepare(command);
  });
  defineLater(program, async () => {
    for (const command of program.commands) {
      // The one that runs has been defined.
      const load = isDefined.has(command) ? undefined : loaders.get(command.name());
      const define = await load?.();
      define?.(command);
      prepare(command);
    }
  });
  program.hook('preAction', (_, command) => {
    for (const [name, value] of Object.entries(program.opts<GlobalFlags>())) command.setOptionValue(name, value);
  });
  return program;
}

/** Errors are thrown, each with its command, because commander's do not tell whose they are. */
function prepare(command: Command): void {
  command.helpCommand(false).exitOverride((error) => {
    throw new WrongUsage(error, command);
  });
  for (const child of command.commands) prepare(child);
}

/** Those that mean something with a command: it has no version of its own. */
const visibleGlobalOptions = (command: Command): Option[] =>
  command.parent === null ? [] : [...rootOf(command).options].filter(({ long }) => long !== '--version');

const rootOf = (command: Command): Command => (command.parent === null ? command : rootOf(command.parent));

/** The program's own help is one line a command, with its group before the first; a command has commander's. */
function formatHelp(command: Command, helper: Help): string {
  if (command.parent !== null) return Help.prototype.formatHelp.call(helper, command, helper);
  const groups = helper.groupItems([...command.commands], helper.visibleCommands(command), (child) =>
    child.helpGroup(),
  );
  const names = widest([...command.commands].map((child) => child.name()));
  const titles = widest([...groups.keys()]);
  const commands = [...groups].flatMap(([title, children]) =>
    children.map((child, index) => {
      const [name] = child.aliases();
      const alias = name === undefined ? '' : ` (or: ${name})`;
      return `${(index === 0 ? title : '').padEnd(titles)}  ${child.name().padEnd(names)}  ${child.summary()}${alias}`;
    }),
  );
  const options = helper.visibleOptions(command);
  const flags = widest(options.map(({ flags }) => flags));
  return [
    command.description(),
    `Usage: ${helper.commandUsage(command)}`,
    '',
    ...commands,
    '',
    ...options.map((option) => `${option.flags.padEnd(flags)}  ${option.description}`),
    '',
    'Start: auth-server serve. Each command has --help with examples.',
    '',
  ].join('\n');
}

const widest = (texts: readonly string[]): number => Math.max(0, ...texts.map((text) => text.length));
