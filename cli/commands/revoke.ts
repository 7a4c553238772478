/** `revoke`: ends sessions. It says how many beforehand, asks, and says how many have really ended. */
import { Option } from 'commander';
import type { App } from '../../src/app.ts';
import type { ClientId } from '../../src/domain/ids.ts';
import type { EpochMs } from '../../src/domain/time.ts';
import type { RevocationRequest } from '../../src/operations/revoke.ts';
import type { FamilyView } from '../../src/operations/views.ts';
import { type DestructiveFlags, dryRunOption, readAddress, readClientId, readMoment, yesOption } from '../arguments.ts';
import { type DefineCommand, type GlobalFlags, helpNotes, wrongUsage } from '../command.ts';
import { familyInWords, withNames } from '../family-text.ts';
import type { Out } from '../output.ts';
import { startProgress } from '../progress.ts';
import { canAsk, confirm } from '../prompt.ts';
import { relativeAndExact } from '../when.ts';
import { withApp } from '../with-app.ts';

interface RevokeFlags extends GlobalFlags, DestructiveFlags {
  readonly subject?: string;
  readonly client?: ClientId;
  readonly ip?: string;
  readonly all?: boolean;
  readonly issuedBefore?: EpochMs;
  readonly reason?: string;
}

/** Sessions that a question or a dry run names. */
const NAMED = 3;

/** Ends with 3 only for a FAMILY that is not there: a selector that fits nothing has done its work. */
export const defineRevoke: DefineCommand = (command) => {
  command
    .description('Ends sessions; their tokens are refused from then on.')
    .usage('FAMILY | --subject S | --client C | --ip A | --all')
    .argument('[family]', 'id of a session, also in its short form')
    .option('--subject <s>', 'all of this subject, or of the local user of this name')
    .addOption(new Option('--client <id>', 'all of this client').argParser(readClientId))
    .addOption(new Option('--ip <address>', 'all that were last used from this address').argParser(readAddress))
    .option('--all', 'all there are')
    .addOption(new Option('--issued-before <t>', 'only those begun before (2h, RFC 3339)').argParser(readMoment))
    .option('--reason <text>', 'kept with each session, and told in its event')
    .addOption(dryRunOption())
    .addOption(yesOption())
    .action((family: string | undefined, flags: RevokeFlags) => {
      const given = [family, flags.subject, flags.client, flags.ip, flags.all].filter((one) => one !== undefined);
      if (given.length !== 1) throw wrongUsage('name exactly one of FAMILY, --subject, --client, --ip and --all');
      return withApp(flags, { schema: 'current' }, (app, out) => run(app, out, family, flags));
    });
  helpNotes(command, {
    examples: [
      'auth-server revoke 01993b2e..c4d1f7 --reason "lost phone"',
      'auth-server revoke --subject alice --dry-run',
      'auth-server revoke --all --issued-before 2026-11-23T09:00:00Z --yes',
    ],
    exit: '0 done, 2 wrong usage, 3 no such session, 4 not confirmed',
  });
};

async function run(app: App, out: Out, family: string | undefined, flags: RevokeFlags): Promise<void> {
  const { previewRevocation, revoke } = await import('../../src/operations/revoke.ts');
  const request: RevocationRequest = {
    which: await selector(app, out, family, flags),
    issuedBefore: flags.issuedBefore,
    reason: flags.reason,
  };
  const { count, sample } = await previewRevocation(app, request);
  const named = (await withNames(app, sample.slice(0, NAMED))).map((row) => familyInWords(row, out.now));
  if (flags.dryRun === true) return out.result({ would_revoke: count, sample }, forecast(count, named));
  if (count === 0) return out.result({ revoked: 0 }, 'Nothing to end: no live session fits.');

  const question = count === 1 ? `End session ${named[0]}?` : `End ${count} sessions?`;
  if (count > 1 && flags.yes !== true && canAsk())
    for (const line of ['among them', ...indented(named)]) out.note(line);
  await confirm({ question, count, yes: flags.yes });
  const progress = startProgress();
  const onProgress = (ended: number): void => {
    if (ended < count) progress.show(`ended ${ended} of ${count}`);
  };
  try {
    const { revoked } = await revoke(app, { ...request, onProgress });
    progress.clear();
    out.result({ revoked }, report(revoked, count));
  } finally {
    progress.clear();
  }
}

async function selector(
  app: App,
  out: Out,
  text: string | undefined,
  flags: RevokeFlags,
): Promise<RevocationRequest['which']> {
  if (text !== undefined) return { family: await resolve(app, out, text) };
  const { resolveSubject } = await import('../../src/operations/users.ts');
  if (flags.subject !== undefined) return { subject: await resolveSubject(app, flags.subject) };
  if (flags.client !== undefined) return { client: flags.client };
  return flags.ip === undefined ? { all: true } : { ip: flags.ip };
}

async function resolve(app: App, out: Out, text: string): Promise<FamilyView['sid']> {
  const { showFamily } = await import('../../src/operations/families.ts');
  const { family } = await showFamily(app, text);
  if (family.state === 'revoked' && !out.json) {
    out.note(`it was ended before (${family.revoke_reason}), ${relativeAndExact(family.revoked_at, out.now)}`);
  }
  return family.sid;
}

function forecast(count: number, named: readonly string[]): string | string[] {
  if (count === 0) return 'Would end nothing: no live session fits.';
  if (count === 1) return `Would end session ${named[0]}.`;
  return [`Would end ${count} sessions, among them`, ...indented(named)];
}

/** A line for each, which a narrow terminal does not break. */
const indented = (named: readonly string[]): string[] => named.map((name) => `  ${name}`);

function report(revoked: number, expected: number): string {
  const difference = revoked - expected;
  const remark =
    difference === 0
      ? ''
      : difference > 0
        ? ` (${difference} began meanwhile)`
        : ` (${-difference} ended by themselves)`;
  return `Ended ${revoked}${remark}. /verify refuses now, offline verifiers within 1s.`;
}
