/** `tui`: the operator's screen. What draws it is loaded when it runs, and only after the terminal has been looked at. */
import { Refusal } from '../../src/refusal.ts';
import { type DefineCommand, endWith, type GlobalFlags, helpNotes } from '../command.ts';
import { withApp } from '../with-app.ts';

interface TuiFlags extends GlobalFlags {
  readonly screenReader?: boolean;
}

export const defineTui: DefineCommand = (command) => {
  command
    .description('Shows sessions, keys, events, clients, users and health live, and acts on them.')
    .option('--screen-reader', 'says it in lines, without the alternate screen')
    .action(async (flags: TuiFlags) => {
      const { stdin, stdout } = process;
      const { NO_COLOR = '', TERM = '' } = process.env;
      if (!stdin.isTTY || !stdout.isTTY || TERM === 'dumb') {
        throw new Refusal('invalid_request', 'The terminal interface needs a terminal that can be drawn on.', {
          remedy: 'auth-server families list',
        });
      }
      await withApp(flags, { schema: 'any' }, async (app) => {
        const { runTui } = await import('../tui/run.tsx');
        const isColoured = flags.color && NO_COLOR === '';
        const isSpoken = flags.screenReader === true || process.env.INK_SCREEN_READER === 'true';
        endWith(await runTui(app, { isColoured, isSpoken }));
      });
    });
  helpNotes(command, {
    examples: ['auth-server tui', 'auth-server tui --screen-reader'],
    exit: '0 done, 1 failed, 2 no terminal, 130 interrupted',
  });
};
