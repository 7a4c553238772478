/** `keys rewrap` and `keys reset`: another master key, with the old one at hand or without. They share what they speak of. */
import type { Command } from 'commander';
import type { SecretSource } from '../../src/config/config.ts';
import { Secret } from '../../src/domain/secret.ts';
import type { Rewrap } from '../../src/operations/rewrap.ts';
import { type DestructiveFlags, dryRunOption, yesOption } from '../arguments.ts';
import { type GlobalFlags, helpNotes, wrongUsage } from '../command.ts';
import type { Out } from '../output.ts';
import { startProgress } from '../progress.ts';
import { confirm } from '../prompt.ts';
import { withApp } from '../with-app.ts';

const CURRENT = { schema: 'current' } as const;

interface RewrapFlags extends GlobalFlags {
  readonly newKey?: string;
  readonly newKeyEnv?: string;
  readonly dryRun?: boolean;
}

/** `keys rewrap`. It asks nothing: no session ends, and the old master key is not thrown away. */
export function defineRewrap(command: Command): void {
  command
    .description('seals all keys under a new master key, in one step; no session ends and servers run on')
    .option('--new-key <file>', 'the new master key; a file that is not there is made')
    .option('--new-key-env <name>', 'the environment variable that holds the new master key')
    .addOption(dryRunOption())
    .action((flags: RewrapFlags) => {
      const to = sourceOf(flags);
      return withApp(flags, CURRENT, async (app, out) => {
        const { previewRewrap, rewrapKeys } = await import('../../src/operations/rewrap.ts');
        const rewrap = flags.dryRun === true ? await previewRewrap(app, to) : await rewrapKeys(app, to);
        tellRewrap(out, rewrap, { to, from: app.config.masterKey, isDry: flags.dryRun === true });
      });
    });
  helpNotes(command, {
    examples: ['auth-server keys rewrap --new-key new.key', 'auth-server keys rewrap --new-key new.key --dry-run'],
    exit: '0 done, 1 at the same time as another, 2 wrong usage, 5 wrong master key',
  });
}

function sourceOf({ newKey, newKeyEnv }: RewrapFlags): SecretSource {
  if ((newKey === undefined) === (newKeyEnv === undefined)) throw wrongUsage('one of --new-key and --new-key-env');
  if (newKey !== undefined) return { kind: 'file', path: newKey };
  const name = newKeyEnv ?? '';
  const value = process.env[name];
  if (value === undefined || value === '') throw wrongUsage(`the environment variable ${name} is not set`);
  return { kind: 'env', name, value: new Secret(value) };
}

interface Told {
  readonly to: SecretSource;
  readonly from: SecretSource;
  readonly isDry: boolean;
}

function tellRewrap(out: Out, { keys, masterKeyId, isMade }: Rewrap, { to, from, isDry }: Told): void {
  const name = to.kind === 'file' ? to.path : to.kind === 'env' ? to.name : 'it';
  const document = { [isDry ? 'would_rewrap' : 'rewrapped']: keys, master_key: masterKeyId, made: isMade };
  if (isDry) {
    const made = isMade ? ', which would be made' : '';
    out.result(document, `Would seal ${keys} keys under ${name}${made}. No session would end.`);
    return;
  }
  const made = isMade ? ', which is new. Back it up!' : '.';
  const done =
    keys === 0
      ? `All keys are sealed under ${name} already.`
      : `Sealed ${keys} keys under ${name} (${masterKeyId})${made}`;
  out.result(document, [done, 'No session ends. Servers run on; before the next start, put it in place:']);
  out.note(`next: ${placeOf(to, from)}; keep the old one for backups that were made before`);
}

/** What is to be done before the next start. Only a file can take the name of another. */
function placeOf(to: SecretSource, from: SecretSource): string {
  if (to.kind !== 'file') return `give every server the value of ${to.kind === 'env' ? to.name : 'it'}`;
  return from.kind === 'file'
    ? `mv ${to.path} ${from.path}`
    : `set masterKey of every server to {"file": "${to.path}"}`;
}

interface ResetFlags extends GlobalFlags, DestructiveFlags {
  readonly lostMasterKey?: boolean;
}

/** `keys reset`. Refused while the configured master key opens the database: then nothing is lost. */
export function defineReset(command: Command): void {
  command
    .description('makes new keys when the master key is lost for good: every session ends')
    .option('--lost-master-key', 'says that it is; users, clients and history stay')
    .addOption(dryRunOption())
    .addOption(yesOption())
    .action((flags: ResetFlags) => {
      if (flags.lostMasterKey !== true) throw wrongUsage('reset ends every session; say why with --lost-master-key');
      return withApp(flags, CURRENT, async (app, out) => {
        const { planReset, resetKeys } = await import('../../src/operations/reset-keys.ts');
        const { sessions, keys, masterKey, isMade } = await planReset(app);
        const place = `${masterKey}${isMade ? ', which is made' : ''}`;
        if (flags.dryRun === true) {
          const document = { would_revoke: sessions, would_remove: keys };
          return out.result(document, `Would end ${sessions} sessions and seal new keys under ${place}.`);
        }
        const question = `Replace all keys by new ones, sealed under ${place}, and end ${sessions} sessions?`;
        await confirm({ question, count: Math.max(1, sessions), yes: flags.yes });
        const progress = startProgress();
        const revoked = await resetKeys(app, (ended) => progress.show(`ended ${ended} of ${sessions} sessions`));
        progress.clear();
        out.result({ revoked, removed: keys }, [
          `Ended ${revoked} sessions. The keys are new, sealed under ${masterKey}. Back it up!`,
          'Servers on this machine follow within 2s; others need the new master key and a restart.',
        ]);
      });
    });
  helpNotes(command, {
    examples: ['auth-server keys reset --lost-master-key --dry-run', 'auth-server keys reset --lost-master-key --yes'],
    exit: '0 done, 1 it is not lost, 2 wrong usage, 4 not confirmed, 5 no master key',
  });
}
