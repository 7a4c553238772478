/** `keys`: the two rings, and moving them on by hand; the schedule does it otherwise. */
import { type Command, Option } from 'commander';
import type { App } from '../../src/app.ts';
import { shortKid } from '../../src/domain/ids.ts';
import type { KeyRingName, KeyState } from '../../src/domain/signing-key.ts';
import type { EpochMs } from '../../src/domain/time.ts';
import type { KeyOutlook } from '../../src/operations/list-keys.ts';
import { type DestructiveFlags, dryRunOption, yesOption } from '../arguments.ts';
import { type DefineCommand, type GlobalFlags, helpNotes, wrongUsage } from '../command.ts';
import type { Out } from '../output.ts';
import type { Tone } from '../paint.ts';
import { startProgress } from '../progress.ts';
import { confirm } from '../prompt.ts';
import type { Column } from '../table.ts';
import { relative, roughly } from '../when.ts';
import { withApp } from '../with-app.ts';
import { defineReset, defineRewrap } from './keys-master.ts';

const CURRENT = { schema: 'current' } as const;
const RINGS = ['access', 'refresh'] as const;

/** `rotate` asks where it costs something: sessions, or verifiers that do not know the next key yet. */
export const defineKeys: DefineCommand = (command) => {
  command.description('The signing keys: one ring for access tokens, one for refresh tokens.');
  helpNotes(command, {
    examples: ['auth-server keys list', 'auth-server keys rotate', 'auth-server keys rotate --compromised'],
    exit: '0 done, 2 wrong usage, 3 no such key, 4 not confirmed, 5 wrong master key',
  });
  defineList(command.command('list'));
  defineRotate(command.command('rotate'));
  defineRewrap(command.command('rewrap'));
  defineReset(command.command('reset'));
};

/** What needs no look is plain. */
const TONES: Readonly<Record<KeyState, Tone | undefined>> = {
  next: 'warn',
  active: undefined,
  retiring: 'warn',
  verify_only: 'dim',
  compromised: 'alarm',
};

/** `signs in 22h`; a time that has come waits for a server that moves the ring on. */
function stepText({ step }: KeyOutlook, now: EpochMs): string {
  if (step === null) return '';
  const verb = { active: 'signs', retiring: 'retires', verify_only: 'only verifies', gone: 'gone' }[step.to];
  return step.at <= now ? `${verb} now` : `${verb} in ${roughly(step.at - now)}`;
}

function columns(now: EpochMs, iso: (time: EpochMs) => string): readonly Column<KeyOutlook>[] {
  const since = ({ key }: KeyOutlook): EpochMs => key.activatedAt ?? key.createdAt;
  return [
    { title: 'RING', value: ({ key }) => key.ring },
    { title: 'KID', value: ({ key }) => key.kid, text: ({ key }) => shortKid(key.kid) },
    { title: 'ALG', value: ({ key }) => key.alg },
    {
      title: 'STATE',
      value: ({ key }) => key.state,
      tone: ({ key }) => TONES[key.state],
    },
    {
      title: 'SIGNS SINCE',
      value: (row) => iso(since(row)),
      text: (row) => (row.key.activatedAt === null ? '' : relative(since(row), now)),
    },
    { title: 'NEXT', value: ({ step }) => (step === null ? null : iso(step.at)), text: (row) => stepText(row, now) },
  ];
}

function defineList(command: Command): void {
  command.description('lists the keys of both rings, and what comes next for each').action((flags: GlobalFlags) =>
    withApp(flags, CURRENT, async (app, out) => {
      const { listKeyOutlooks } = await import('../../src/operations/list-keys.ts');
      const { keyView } = await import('../../src/operations/views.ts');
      const { toRfc3339 } = await import('../../src/domain/time.ts');
      const rows = await listKeyOutlooks(app);
      out.list({
        document: { keys: rows.map(({ key }) => keyView(key)) },
        rows,
        columns: columns(out.now, toRfc3339),
        empty: 'no keys yet: auth-server serve makes them',
      });
    }),
  );
  helpNotes(command, { examples: ['auth-server keys list', 'auth-server keys list --json'], exit: '0 done' });
}

interface RotateFlags extends GlobalFlags, DestructiveFlags {
  readonly ring?: KeyRingName;
  readonly compromised?: boolean;
}

function defineRotate(command: Command): void {
  command
    .description('hands over to the next key now; with --compromised no old token of the key is accepted again')
    .argument('[kid]', 'with --compromised: the key, also in its short form (default: the active one)')
    .addOption(new Option('--ring <ring>', 'which ring (default: access, or that of the kid)').choices(RINGS))
    .option('--compromised', 'somebody else has the key: nothing accepts it again, and nothing waits')
    .addOption(dryRunOption())
    .addOption(yesOption())
    .action((kid: string | undefined, flags: RotateFlags) => {
      if (kid !== undefined && flags.compromised !== true) throw wrongUsage('a key is named only with --compromised');
      return withApp(flags, CURRENT, (app, out) =>
        flags.compromised === true ? replaceCompromised(app, out, kid, flags) : handOver(app, out, flags),
      );
    });
  helpNotes(command, {
    examples: [
      'auth-server keys rotate',
      'auth-server keys rotate --ring refresh --compromised --dry-run',
      'auth-server keys rotate --compromised --yes',
    ],
    exit: '0 done, 2 wrong usage, 3 no such key, 4 not confirmed, 5 wrong master key',
  });
}

async function handOver(app: App, out: Out, flags: RotateFlags): Promise<void> {
  const { listKeyOutlooks, unripeUntil } = await import('../../src/operations/list-keys.ts');
  const ring = flags.ring ?? 'access';
  const before = await listKeyOutlooks(app);
  if (flags.dryRun === true) {
    const active = before.find(({ key }) => key.ring === ring && key.state === 'active')?.key;
    const name = active === undefined ? `The ${ring} ring` : `${shortKid(active.kid)} (${ring})`;
    return out.result({ would_revoke: 0, kid: active?.kid ?? null }, `${name} would hand over. No session would end.`);
  }
  const ripe = await unripeUntil(app, ring);
  if (ripe !== null) {
    const when = roughly(Math.max(0, ripe - out.now));
    const young = `The next key is young: verifiers that keep the published keys may not know it yet. It is ripe in ${when}.`;
    if (flags.yes === true) out.note(young);
    await confirm({ question: `${young} Rotate all the same?`, count: 1, yes: flags.yes });
  }
  const { rotateKeys } = await import('../../src/operations/keys.ts');
  const { revoked } = await rotateKeys(app, ring);
  await report(app, out, { before, revoked });
}

async function replaceCompromised(app: App, out: Out, text: string | undefined, flags: RotateFlags): Promise<void> {
  const { listKeyOutlooks, previewCompromise } = await import('../../src/operations/list-keys.ts');
  const { resolveKey } = await import('../../src/operations/short-id.ts');
  const named = text === undefined ? undefined : await resolveKey(app, text);
  if (named !== undefined && flags.ring !== undefined && flags.ring !== named.ring) {
    throw wrongUsage(`this key is of the ${named.ring} ring`);
  }
  const ring = named?.ring ?? flags.ring ?? 'access';
  const { kid, sessions } = await previewCompromise(app, ring, named?.kid);
  const before = await listKeyOutlooks(app);
  const isDeclared = before.some(({ key }) => key.kid === kid && key.state === 'compromised');
  const cost = ring === 'access' ? 'no session ends' : `${sessions} sessions end`;
  if (flags.dryRun === true) {
    const outlook = isDeclared ? 'was declared compromised before' : 'would not be accepted again by anything';
    return out.result({ would_revoke: sessions, kid }, `${shortKid(kid)} (${ring}) ${outlook}; ${cost}.`);
  }
  const question = isDeclared
    ? `Go on ending the sessions of ${shortKid(kid)} (${ring}), which was declared compromised? ${sessions} are left.`
    : `Declare ${shortKid(kid)} (${ring}) compromised? Nothing accepts it again, and ${cost}.`;
  await confirm({ question, count: Math.max(1, sessions), yes: flags.yes });
  const { declareKeyCompromised } = await import('../../src/operations/keys.ts');
  const progress = startProgress();
  try {
    const { revoked } = await declareKeyCompromised(app, ring, kid, (ended) => {
      if (ended < sessions) progress.show(`nothing accepts the key any more; ended ${ended} of ${sessions} sessions`);
    });
    progress.clear();
    await report(app, out, { before, revoked });
  } finally {
    progress.clear();
  }
}

interface Rotated {
  readonly before: readonly KeyOutlook[];
  readonly revoked: number;
}

/** What became of each key, told by what differs from before. */
async function report(app: App, out: Out, { before, revoked }: Rotated): Promise<void> {
  const { listKeyOutlooks } = await import('../../src/operations/list-keys.ts');
  const { keyView } = await import('../../src/operations/views.ts');
  const now = await listKeyOutlooks(app);
  const states = new Map(before.map(({ key }) => [key.kid, key.state]));
  const moves = now
    .filter(({ key }) => states.get(key.kid) !== key.state)
    .map(({ key }) => `${shortKid(key.kid)} ${states.get(key.kid) ?? 'new'} -> ${key.state}`);
  const cost = revoked === 0 ? 'No session ends.' : `${revoked} sessions ended.`;
  const changed = moves.length === 0 ? 'nothing changed' : moves.join(', ');
  out.result({ keys: now.map(({ key }) => keyView(key)), revoked }, [changed, `${cost} Servers follow within 2s.`]);
}
