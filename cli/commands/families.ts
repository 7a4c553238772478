/** `families`, which users call sessions: a list with filters, and the story of one. */
import { type Command, Option } from 'commander';
import type { App } from '../../src/app.ts';
import type { ClientId, FamilyId } from '../../src/domain/ids.ts';
import type { EpochMs } from '../../src/domain/time.ts';
import type { FamilyState } from '../../src/domain/token-family.ts';
import { limitOption, readAddress, readClientId, readCursor, readMoment } from '../arguments.ts';
import { type DefineCommand, type GlobalFlags, helpNotes } from '../command.ts';
import { storyLines } from '../family-story.ts';
import { type FamilyRow, familyColumns, nameless, withNames } from '../family-text.ts';
import { listPages } from '../pages.ts';
import { withApp } from '../with-app.ts';

const CURRENT = { schema: 'current' } as const;
const PAGE = { default: 50, max: 500 } as const;
const STATES = ['live', 'revoked', 'expired'] as const;

/** Only reads: sessions end with `revoke`. */
export const defineFamilies: DefineCommand = (command) => {
  command.description('Sessions: each is a family of refresh tokens, from one login on.');
  helpNotes(command, {
    examples: [
      'auth-server families list --client spa --state live',
      'auth-server families show 01993b2e..c4d1f7',
      'auth-server families list --since 2h | cut -f1',
    ],
    exit: '0 done, 2 wrong usage or an ambiguous id, 3 no such session',
  });
  defineList(command.command('list'));
  defineShow(command.command('show'));
};

interface ListFlags extends GlobalFlags {
  readonly subject?: string;
  readonly client?: ClientId;
  readonly state?: FamilyState;
  readonly ip?: string;
  readonly since?: EpochMs;
  readonly limit?: number;
  readonly cursor?: FamilyId;
}

function defineList(command: Command): void {
  command
    .description('lists sessions, newest first')
    .option('--subject <s>', 'of this subject, or of the local user of this name')
    .addOption(new Option('--client <id>', 'of this client').argParser(readClientId))
    .addOption(new Option('--state <state>', 'only these').choices(STATES))
    .addOption(new Option('--ip <address>', 'last used from this address').argParser(readAddress))
    .addOption(new Option('--since <t>', 'begun since (2h, RFC 3339)').argParser(readMoment))
    .addOption(limitOption(PAGE))
    .addOption(new Option('--cursor <id>', 'goes on after this session').argParser(readCursor))
    .action((flags: ListFlags) => withApp(flags, CURRENT, (app, out) => list(app, out, flags)));
  helpNotes(command, {
    examples: ['auth-server families list --subject alice', 'auth-server families list --state revoked --json'],
    exit: '0 done, also when there is none; 2 wrong usage',
  });
}

async function list(app: App, out: Parameters<typeof listPages>[0], flags: ListFlags): Promise<void> {
  const { listFamilyPage } = await import('../../src/operations/families.ts');
  const { resolveSubject } = await import('../../src/operations/users.ts');
  const { client, state, ip, since } = flags;
  const subject = flags.subject === undefined ? undefined : await resolveSubject(app, flags.subject);
  const isFiltered = [subject, client, state, ip, since].some((filter) => filter !== undefined);
  await listPages<FamilyRow>(out, {
    limit: flags.limit,
    cursor: flags.cursor,
    page: PAGE,
    columns: familyColumns(out.now),
    empty: isFiltered
      ? 'no session fits; all of them: auth-server families list'
      : 'no sessions yet: nobody has logged in',
    flag: '--cursor',
    fetch: async (limit, cursor) => {
      const request = { subject, client, state, ip, since, limit, cursor: cursor as FamilyId | undefined };
      const { families, nextCursor } = await listFamilyPage(app, request);
      const rows = out.isTerminal && !out.json ? await withNames(app, families) : families.map(nameless);
      return { rows, nextCursor, document: { families, next_cursor: nextCursor } };
    },
  });
}

function defineShow(command: Command): void {
  command
    .description('shows one session: each generation, when, from where, and what ended it')
    .argument('<session>', 'id, also in its short form')
    .option('--all', 'shows each rotation')
    .action((text: string, flags: GlobalFlags & { readonly all?: boolean }) =>
      withApp(flags, CURRENT, async (app, out) => {
        const { showFamily } = await import('../../src/operations/families.ts');
        const story = await showFamily(app, text);
        const [row = nameless(story.family)] = await withNames(app, [story.family]);
        const isWhole = flags.all === true || !out.isTerminal;
        out.result(
          { ...story.family, timeline: story.timeline },
          storyLines(row, story, out.now, { isWhole, all: '--all' }),
        );
        if (row.state === 'live') out.note(`end it: auth-server revoke ${row.sid}`);
      }),
    );
  helpNotes(command, {
    examples: ['auth-server families show 01993b2e..c4d1f7', 'auth-server families show 01993b2e..c4d1f7 --json'],
    exit: '0 done, 2 no id or an ambiguous one, 3 no such session',
  });
}
