/** `backup`: a copy of the SQLite database, made while servers write to it. */
import { type DefineCommand, type GlobalFlags, helpNotes } from '../command.ts';
import { sizeText, withTransfer } from '../transfer.ts';
import { withApp } from '../with-app.ts';

/** Takes any schema: a backup comes before a migration. */
export const defineBackup: DefineCommand = (command) => {
  command
    .description(
      'Copies the SQLite database into a file while servers use it. The copy is one moment, and is checked. The master key is not in it.',
    )
    .argument('<file>', 'the copy; an existing file is never replaced')
    .action((file: string, flags: GlobalFlags) =>
      withApp(flags, { schema: 'any' }, async (app, out) => {
        const { backup } = await import('../../src/operations/backup.ts');
        const { bytes, took } = await withTransfer(({ signal, show }) =>
          backup(app, file, { signal, onProgress: show }),
        );
        const text = `wrote ${file}: ${sizeText(bytes)} in ${(took / 1000).toFixed(1)}s, integrity ok. The master key is not in it.`;
        out.result({ file, bytes, duration_ms: Math.round(took), integrity: 'ok' }, text);
      }),
    );
  helpNotes(command, {
    examples: ['auth-server backup nightly.db', 'auth-server backup "/mnt/backups/$(date +%F).db" --json'],
    exit: '0 done, 1 not written, 5 database not usable, 130 interrupted',
  });
};
