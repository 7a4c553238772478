/**
 * What a command is to the program: a line in the table, and a function that defines its options when it is the one
 * that runs. Its module stays light: what an action needs beyond `cli/` and the domain it imports when it runs.
 */
import type { Command } from 'commander';
import { type ExitCode, Refusal } from '../src/refusal.ts';

/** What every command takes, before or after its name; an action finds them among its own flags. */
export interface GlobalFlags {
  readonly config?: string;
  readonly json?: boolean;
  /** False with `--no-color`. */
  readonly color: boolean;
}

/** Gives a command its arguments, options, subcommands, actions and help. */
export type DefineCommand = (command: Command) => void;

export interface HelpNotes {
  /** Lines that can be pasted. */
  readonly examples: readonly string[];
  /** `0 done, 3 no such session` */
  readonly exit: string;
}

/** Puts examples and exit codes below the options of a command's help. */
export function helpNotes(command: Command, { examples, exit }: HelpNotes): Command {
  const title = examples.length === 1 ? 'Example' : 'Examples';
  return command.addHelpText(
    'after',
    `\n${title}:\n${examples.map((line) => `  ${line}`).join('\n')}\n\nExit: ${exit}`,
  );
}

/** For what commander cannot judge: two selectors, an id that is none. The command's usage is shown with it. */
export const wrongUsage = (description: string): Refusal => new Refusal('invalid_request', description);

/** For a command that did its work and has bad news: `doctor`, `token inspect`. */
export function endWith(exit: ExitCode): void {
  process.exitCode = exit;
}
