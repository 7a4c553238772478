/**
 * How an error ends a command: its lines on stderr, and its exit code. It stands alone because it is the one place where
 * an error becomes text; whatever it prints of others is made printable.
 */
import type { Command } from 'commander';
import { ConfigurationRefusal } from '../src/config/fault.ts';
import { printable } from '../src/domain/printable.ts';
import { type ExitCode, REFUSALS, Refusal } from '../src/refusal.ts';
import { WrongUsage } from './program.ts';

/** `lines` are for stderr, printable; with `--json` it is one, a document. */
export interface Failure {
  readonly lines: readonly string[];
  readonly exit: ExitCode;
}

interface Circumstances {
  readonly json: boolean;
  /** The command that ran, when it came so far. */
  readonly command: Command | undefined;
  /** Shows the stack of what nobody foresaw. */
  readonly trace: boolean;
}

/** What there is to say, before it takes its form. */
interface Story {
  readonly code: string;
  readonly exit: ExitCode;
  readonly problems: readonly { readonly description: string; readonly remedy: string }[];
  readonly usage?: string;
  readonly details?: readonly string[];
}

/** Characters of an unforeseen error's message: a driver may put a whole statement there. */
const MESSAGE_LIMIT = 300;

/** Commander has printed what was asked for, and ends the program by an error. */
const ASKED_FOR = new Set(['commander.helpDisplayed', 'commander.version']);

/**
 * Whatever is thrown has a code: what nobody foresaw is told as a bug, and ends with 1. Help that was asked for ends
 * with 0.
 */
export function failureOf(error: unknown, circumstances: Circumstances): Failure {
  if (error instanceof WrongUsage && ASKED_FOR.has(error.code)) return { lines: [], exit: 0 };
  // Its help is on stderr already, because no command was named.
  if (error instanceof WrongUsage && error.code === 'commander.help' && !circumstances.json)
    return { lines: [], exit: 2 };
  const story = storyOf(error, circumstances);
  const { code, exit, problems, usage, details = [] } = story;
  if (circumstances.json) {
    const description = problems.map((problem) => problem.description).join('; ');
    return { lines: [printable(JSON.stringify({ error: code, error_description: description }))], exit };
  }
  const lines = problems.flatMap(({ description, remedy }, index) => [
    `error: ${description}`,
    ...(usage === undefined || index > 0 ? [] : [`usage: ${usage}`]),
    `try:   ${remedy}`,
  ]);
  return { lines: [...lines, ...details].map(printable), exit };
}

function storyOf(error: unknown, { command, trace }: Circumstances): Story {
  if (error instanceof WrongUsage) return wrongUsageStory(error);
  if (error instanceof ConfigurationRefusal) {
    const problems = error.faults.map(({ where, message, remedy }) => ({
      description: `${where}: ${message}`,
      remedy,
    }));
    return { code: error.code, exit: REFUSALS[error.code].exit, problems };
  }
  if (error instanceof Refusal) return refusalStory(error, command);
  if (isSystemError(error)) {
    const remedy =
      error.code === 'ENOENT'
        ? 'correct the path, or make the folder first'
        : 'auth-server doctor checks files and their modes';
    const problems = [{ description: error.message, remedy }];
    return { code: 'server_error', exit: 1, problems };
  }
  return unforeseenStory(error, trace);
}

function wrongUsageStory({ code, command, message }: WrongUsage): Story {
  const [, dashed] = code === 'commander.unknownOption' ? (/'(-[^-'][^']*)'/.exec(message) ?? []) : [];
  const isPerhapsName = dashed !== undefined && command.registeredArguments.length > 0;
  const remedy = isPerhapsName
    ? `if it is a name or an id: ${pathOf(command)} -- ${dashed}`
    : `${pathOf(command)} --help`;
  const description = code === 'commander.help' ? `${pathOf(command)} needs a command` : message;
  return { code: 'invalid_request', exit: 2, problems: [{ description, remedy }], usage: usageOf(command) };
}

function refusalStory(error: Refusal, command: Command | undefined): Story {
  const { exit } = REFUSALS[error.code];
  const description = `${error.description}${driverCode(error)}`;
  const help = `${command === undefined ? 'auth-server' : pathOf(command)} --help`;
  const remedy = error.remedy ?? (exit === 5 ? 'auth-server doctor says what is wrong' : help);
  const needsUsage = exit === 2 && error.remedy === undefined && command !== undefined;
  return {
    code: error.code,
    exit,
    problems: [{ description, remedy }],
    ...(needsUsage ? { usage: usageOf(command) } : {}),
  };
}

/** Whoever runs a command may know what the driver said; callers of the server may not. */
function driverCode({ code, cause }: Refusal): string {
  if (code !== 'temporarily_unavailable' || !(cause instanceof Error) || !('code' in cause)) return '';
  return ` (${String(cause.code)})`;
}

function unforeseenStory(error: unknown, trace: boolean): Story {
  const reason = error instanceof Error ? `${error.name}: ${error.message}` : typeof error;
  const stack = error instanceof Error && trace ? (error.stack ?? '').split('\n').slice(1) : [];
  return {
    code: 'server_error',
    exit: 1,
    problems: [
      {
        description: `this is a bug: ${reason.slice(0, MESSAGE_LIMIT)}`,
        remedy: 'AUTH_SERVER_LOG_LEVEL=trace shows where; please report it',
      },
    ],
    details: stack,
  };
}

/** A file, a socket, a disk: trouble of the machine, in words of the machine. */
const isSystemError = (error: unknown): error is NodeJS.ErrnoException =>
  error instanceof Error && 'syscall' in error && 'code' in error;

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

const usageOf = (command: Command): string => `${pathOf(command)} ${command.usage()}`;
