/**
 * `restore`: a copy becomes the database, or a database that was restored by other means is made safe. Either way every
 * session ends, because tokens that were spent since the copy would live again.
 */
import { Option } from 'commander';
import type { App, OpenOptions } from '../../src/app.ts';
import { Secret } from '../../src/domain/secret.ts';
import { type DurationMs, toRfc3339 } from '../../src/domain/time.ts';
import type { Restored, RestorePlan } from '../../src/operations/restore.ts';
import { Refusal } from '../../src/refusal.ts';
import { type DestructiveFlags, dryRunOption, yesOption } from '../arguments.ts';
import { type DefineCommand, type GlobalFlags, helpNotes, wrongUsage } from '../command.ts';
import { type Out, outFor } from '../output.ts';
import { startProgress } from '../progress.ts';
import { confirm } from '../prompt.ts';
import { sizeText, withTransfer } from '../transfer.ts';
import { logOf, readConfig, warn, withApp } from '../with-app.ts';

interface RestoreFlags extends GlobalFlags, DestructiveFlags {
  readonly inPlace?: boolean;
  readonly withoutMasterKey?: boolean;
}

/** What no copy can know of. */
const OLDER =
  'Users, passwords, clients and keys are as they were at the copy: disable and remove again what you did since.';

/** Asks. The file that it replaces is kept under another name beside it. */
export const defineRestore: DefineCommand = (command) => {
  command
    .description(
      'Makes a copy the SQLite database; no process may have it open, and the file it replaces is kept. Every session ends, because spent tokens would live again.',
    )
    .argument('[file]', 'a file that backup made')
    .option('--in-place', 'of a database that was restored or failed over by other means: ends every session')
    .addOption(
      new Option('--without-master-key', 'restores although the master key does not open the copy; then: keys reset'),
    )
    .addOption(dryRunOption())
    .addOption(yesOption())
    .action((file: string | undefined, flags: RestoreFlags) => {
      if ((file === undefined) !== (flags.inPlace === true)) throw wrongUsage('a file, or --in-place without one');
      return file === undefined ? restoreInPlace(flags) : restoreFile(file, flags);
    });
  helpNotes(command, {
    examples: [
      'auth-server restore nightly.db --dry-run',
      'auth-server restore nightly.db',
      'auth-server restore --in-place --yes',
    ],
    exit: '0 done, 1 refused, 4 not confirmed, 5 not usable, 130 interrupted',
  });
};

async function restoreFile(file: string, flags: RestoreFlags): Promise<void> {
  const out = outFor(flags);
  const { config } = await readConfig(flags, { warn: (text) => warn(out, text) });
  const url = config.database.url.reveal();
  if (!url.startsWith('sqlite:')) {
    throw new Refusal('invalid_request', 'The database is Postgres, which has its own tools for copies.', {
      remedy: 'pg_restore, then auth-server restore --in-place; docs/backup-restore.md',
    });
  }
  const path = url.slice('sqlite:'.length);
  const { planRestore, restore } = await import('../../src/operations/restore.ts');
  const { closeApp, openApp } = await import('../../src/app.ts');
  const log = logOf(config, 'warn');
  const open = (database: string): Promise<App> => {
    const options: OpenOptions = {
      config: { ...config, database: { ...config.database, url: new Secret(`sqlite:${database}`) } },
      log,
      schema: 'any',
      waitForDatabase: 0 as DurationMs,
    };
    return openApp(options);
  };

  const plan = await planRestore(file, path);
  if (flags.dryRun === true) return tellPlan(out, plan);
  const question = `Make ${file} the database${plan.live === undefined ? '' : `, keep ${path} under another name`}, and end every session?`;
  await confirm({ question, count: 1, yes: flags.yes });
  const kept = `${path}.replaced-${toRfc3339(out.now).replaceAll(':', '-')}`;
  const restored = await withTransfer(({ signal, show, say }) =>
    restore(plan, {
      open,
      close: closeApp,
      signal,
      kept,
      withoutMasterKey: flags.withoutMasterKey === true,
      onCopied: show,
      onEnded: (count) => say(`ended ${count} sessions`),
    }),
  );
  tellRestored(out, plan, restored);
}

function tellPlan(out: Out, { from, path, copy, live }: RestorePlan): void {
  const document = { file: from, bytes: copy.bytes, schema: copy.schema, would_replace: live !== undefined };
  out.result(document, [
    `${from}: ${sizeText(copy.bytes)}, schema ${copy.schema}, integrity ok${live === undefined ? '' : ', of this database'}.`,
    `It would become ${path}, and every session in it would end.`,
  ]);
}

function tellRestored(out: Out, { from, path }: RestorePlan, { revoked, compromised, kept }: Restored): void {
  out.result({ file: from, database: path, revoked, compromised, kept }, [
    `${path} is ${from} now. ${ended(revoked)}, because spent tokens would live again.`,
    ...(kept === null ? [] : [`What it replaced is ${kept}.`]),
    ...(compromised.length === 0 ? [] : [`Still compromised: ${compromised.join(', ')}`]),
  ]);
  out.note(OLDER);
  out.note('next: auth-server doctor, then auth-server serve');
}

const ended = (count: number): string => (count === 1 ? '1 session ended' : `${count} sessions ended`);

function restoreInPlace(flags: RestoreFlags): Promise<void> {
  return withApp(flags, { schema: 'current' }, async (app, out) => {
    const { countLive, endAll } = await import('../../src/operations/end-all.ts');
    const count = await countLive(app);
    if (flags.dryRun === true) return out.result({ would_revoke: count }, `Would end ${count} sessions.`);
    const question = `End ${count} sessions of ${app.store.label}?`;
    await confirm({ question, count: Math.max(1, count), yes: flags.yes });
    const progress = startProgress();
    const revoked = await endAll(app, {
      revocation: { cause: 'restored' },
      onProgress: (ended) => progress.show(`ended ${ended} of ${count} sessions`),
    });
    progress.clear();
    out.result({ revoked }, `${ended(revoked)}, and began a new epoch of the revocation feed.`);
    out.note(OLDER);
  });
}
