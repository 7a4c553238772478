/** `purge`: what the worker does on schedule, once. For those who run no worker, and for a look at what it would find. */
import { type DefineCommand, type GlobalFlags, helpNotes } from '../command.ts';
import { withApp } from '../with-app.ts';

/** At any time, whenever a worker did it last. Needs no master key. */
export const definePurge: DefineCommand = (command) => {
  command
    .description('Removes what has had its time (retention), in small steps; the worker does it every hour.')
    .action((flags: GlobalFlags) =>
      withApp(flags, { schema: 'current' }, async (app, out) => {
        const { purge } = await import('../../src/operations/purge.ts');
        const purged = await purge(app);
        const { refresh_tokens, families, events, keys } = purged;
        out.result(
          purged,
          `Removed ${families} sessions, ${refresh_tokens} past generations, ${events} events, ${keys} keys.`,
        );
      }),
    );
  helpNotes(command, {
    examples: ['auth-server purge', 'auth-server purge --json'],
    exit: '0 done, also when nothing was old enough; 5 the database is not usable',
  });
};
