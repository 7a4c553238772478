/**
 * The program's entry: runs one command and ends with its exit code. What every command shares is here: file modes, the
 * signals, closed pipes, and the errors.
 */
import type { Command } from 'commander';
import { type ExitCode, REFUSALS } from '../src/refusal.ts';
import type { GlobalFlags } from './command.ts';
import { listenForInterrupts } from './interrupt.ts';
import { keyIdsLast } from './key-ids.ts';
import { makeProgram } from './program.ts';

// Whatever is made here is nobody else's to read: keys, databases, backups.
process.umask(0o077);

// Whichever signal it was: to whoever called, the command was interrupted.
listenForInterrupts(() => {
  const error = { error: 'interrupted', error_description: 'Interrupted.' };
  process.stderr.write(`${program.opts<GlobalFlags>().json === true ? JSON.stringify(error) : 'interrupted'}\n`);
  process.exit(REFUSALS.interrupted.exit);
});

// `| head -1` has read enough; that is no failure. Who cannot be told of an error is not told.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  process.stderr.write(`error: the output could not be written (${error.code})\ntry:   look for room on the disk\n`);
  process.exit(1);
});
process.stderr.on('error', () => undefined);

const program = makeProgram();
let running: Command | undefined;
program.hook('preAction', (_, command) => {
  running = command;
});

async function run(args: readonly string[]): Promise<ExitCode> {
  try {
    // `help revoke` is what git, npm and docker taught.
    const asked = args[0] === 'help' ? [...args.slice(1), '--help'] : args;
    await program.parseAsync(keyIdsLast(asked), { from: 'user' });
    return 0;
  } catch (error) {
    return fail(error);
  }
}

/** Loaded late: when all goes well, nobody needs it. */
async function fail(error: unknown): Promise<ExitCode> {
  const { failureOf } = await import('./failure.ts');
  const { json = false } = program.opts<GlobalFlags>();
  const trace = process.env.AUTH_SERVER_LOG_LEVEL === 'trace';
  const { lines, exit } = failureOf(error, { json, command: running, trace });
  for (const line of lines) process.stderr.write(`${line}\n`);
  return exit;
}

const written = (stream: NodeJS.WriteStream): Promise<void> =>
  new Promise((resolve) => stream.write('', () => resolve()));

process.on('uncaughtException', (error) => {
  void fail(error).then((exit) => process.exit(exit));
});

const exit = await run(process.argv.slice(2));
await Promise.all([written(process.stdout), written(process.stderr)]);
process.exit(exit === 0 ? process.exitCode : exit);
