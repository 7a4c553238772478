/**
 * `migrate up` and `migrate status`. On SQLite `serve` migrates by itself; on Postgres somebody decides when, which may be
 * many processes at once.
 */
import { closeSync, openSync } from 'node:fs';
import type { Command } from 'commander';
import type { Config } from '../../src/config/config.ts';
import type { SchemaStatus } from '../../src/store/migrate.ts';
import { type DefineCommand, type GlobalFlags, helpNotes } from '../command.ts';
import { type Line, paint } from '../paint.ts';
import { DATABASE_WAIT, withApp } from '../with-app.ts';

const EXIT = '0 done, 5 the database is not usable, or newer than this program';

/** `up` makes a SQLite file that is not there, and no master key. */
export const defineMigrate: DefineCommand = (command) => {
  command.description('Brings the schema of the database up to date. Safe to run from many processes at once.');
  helpNotes(command, { examples: ['auth-server migrate up', 'auth-server migrate status --json'], exit: EXIT });
  defineUp(command.command('up', { isDefault: true }));
  defineStatus(command.command('status'));
};

function defineUp(command: Command): void {
  command.description('applies what is pending (also without "up")').action((flags: GlobalFlags) =>
    withApp(flags, { schema: 'any', waitForDatabase: DATABASE_WAIT, prepare: makeFile }, async (app, out) => {
      const { bringSchemaUp } = await import('../../src/operations/schema.ts');
      const migration = await bringSchemaUp(app);
      const { current, applied } = migration;
      const done = applied.length === 0 ? 'nothing was pending' : `applied ${applied.join(', ')}`;
      out.result(migration, `schema ${current}: ${done}`);
    }),
  );
  helpNotes(command, { examples: ['auth-server migrate up'], exit: EXIT });
}

/** SQLite takes an empty file for an empty database; where none can be made, opening it says why. */
function makeFile({ database }: Config): void {
  const [, path] = /^sqlite:(.*)$/s.exec(database.url.reveal()) ?? [];
  try {
    if (path !== undefined) closeSync(openSync(path, 'wx', 0o600));
  } catch {
    // It exists, or its folder does not.
  }
}

function defineStatus(command: Command): void {
  command.description('tells which schema the database has, and which is needed').action((flags: GlobalFlags) =>
    withApp(flags, { schema: 'any', waitForDatabase: DATABASE_WAIT }, async (app, out) => {
      const { schemaStatus } = await import('../../src/store/migrate.ts');
      const status = await schemaStatus(app.store);
      out.result(status, statusLine(status));
      if (status.pending.length > 0) out.note('next: auth-server migrate up');
    }),
  );
  helpNotes(command, { examples: ['auth-server migrate status', 'auth-server migrate status --json'], exit: EXIT });
}

function statusLine({ current, latest, pending }: SchemaStatus): readonly Line[] {
  if (pending.length === 0) return [`schema ${current}, up to date`];
  return [[`schema ${current}, needs ${latest}: `, paint('warn', 'BEHIND'), `  ${pending.join(', ')}`]];
}
