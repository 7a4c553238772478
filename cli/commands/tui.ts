/** `tui`: the operator's screen. What draws it is loaded when it runs, and only after the terminal has been looked at. */

import type { LoadedConfig } from '../../src/config/load.ts';
import { epochMs } from '../../src/domain/time.ts';
import type { LogLevel } from '../../src/log.ts';
import { Refusal } from '../../src/refusal.ts';
import { type DefineCommand, type GlobalFlags, helpNotes } from '../command.ts';
import { type Out, outFor } from '../output.ts';
import { readConfig, warn, withLoaded } from '../with-app.ts';

interface TuiFlags extends GlobalFlags {
  readonly screenReader?: boolean;
}

/** Takes any schema, to migrate it from the screen. Works beside servers or without. */
export const defineTui: DefineCommand = (command) => {
  command
    .description('Shows sessions, keys, events, clients, users and health live, and acts on them.')
    .option('--screen-reader', 'says it in lines, without the alternate screen')
    .action(async (flags: TuiFlags) => {
      const { stdin, stdout } = process;
      if (!stdin.isTTY || !stdout.isTTY || process.env.TERM === 'dumb') {
        throw new Refusal('invalid_request', 'The terminal interface needs a terminal that can be drawn on.', {
          remedy: 'auth-server families list',
        });
      }
      const out = outFor(flags);
      // Once, also for a database that is opened again: variables that bring secrets, its URL too, are read only once.
      const loaded = await readConfig(flags, { warn: (text) => warn(out, text) });
      while (await openAndRun(flags, loaded, out));
    });
  helpNotes(command, {
    examples: ['auth-server tui', 'auth-server tui --screen-reader'],
    exit: '0 done, 1 failed, 2 no terminal, 5 the database cannot be opened, 130 interrupted',
  });
};

/** @returns whether the database has to be opened again */
async function openAndRun(flags: TuiFlags, loaded: LoadedConfig, out: Out): Promise<boolean> {
  const { NO_COLOR = '', INK_SCREEN_READER = '', LC_ALL, LC_CTYPE, LANG } = process.env;
  const { makeLogLines } = await import('../tui/log-lines.ts');
  const kept = makeLogLines(() => epochMs(Date.now()));
  return withLoaded(loaded, { schema: 'any', out, log: (level: LogLevel) => kept.log(level) }, async (app) => {
    const { runTui } = await import('../tui/run.tsx');
    const { exit, isToReopen } = await runTui(app, {
      log: kept.lines,
      isColoured: flags.color && NO_COLOR === '',
      isSpoken: flags.screenReader === true || INK_SCREEN_READER === 'true',
      isUtf8: /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || ''),
    });
    process.exitCode = exit;
    return isToReopen;
  });
}
