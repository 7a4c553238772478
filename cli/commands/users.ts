/**
 * `users`: the local directory. A password comes from a prompt, standard input or a file; what takes somebody's access away
 * says how many sessions ended with it.
 */
import { type Command, Option } from 'commander';
import type { App } from '../../src/app.ts';
import type { Secret } from '../../src/domain/secret.ts';
import type { UserChange } from '../../src/operations/users.ts';
import type { UserView } from '../../src/operations/views.ts';
import { Refusal } from '../../src/refusal.ts';
import { type DestructiveFlags, dryRunOption, limitOption, yesOption } from '../arguments.ts';
import { type DefineCommand, type GlobalFlags, helpNotes } from '../command.ts';
import { type Out, timeColumn } from '../output.ts';
import { listPages } from '../pages.ts';
import { paint } from '../paint.ts';
import { canAsk, confirm, readSecret } from '../prompt.ts';
import type { Column } from '../table.ts';
import { relativeAndExact } from '../when.ts';
import { withApp } from '../with-app.ts';

const CURRENT = { schema: 'current' } as const;
const PAGE = { default: 50, max: 500 } as const;
const NO_USERS = 'no users yet: auth-server users add NAME';
const USER = 'name, or subject, also in its short form';

/** Refused where a user service knows the users. `disable`, `remove` and `passwd` end sessions, and ask. */
export const defineUsers: DefineCommand = (command) => {
  command.description('The local user directory: who can log in.');
  helpNotes(command, {
    examples: ['auth-server users add alice', 'auth-server users list', 'auth-server users disable alice --dry-run'],
    exit: '0 done, 1 failed, 2 wrong usage, 3 no such user, 4 not confirmed',
  });
  defineAdd(command.command('add'));
  defineList(command.command('list'));
  defineShow(command.command('show'));
  definePasswd(command.command('passwd'));
  defineDisable(command.command('disable'));
  defineEnable(command.command('enable'));
  defineRemove(command.command('remove'));
};

interface PasswordFlags extends GlobalFlags {
  readonly passwordStdin?: boolean;
  readonly passwordFile?: string;
}

function passwordOptions(command: Command): Command {
  const refuse = (): never => {
    throw new Refusal(
      'invalid_request',
      'A password is never an argument: others can see the arguments of a process.',
      {
        remedy: 'leave it out to be asked, or give it on standard input with --password-stdin',
      },
    );
  };
  return command
    .option('--password-stdin', 'reads the password from standard input')
    .option('--password-file <file>', 'reads the password from a file')
    .addOption(new Option('--password [text]').argParser(refuse).hideHelp())
    .hook('preAction', (_, called) => {
      if (called.getOptionValue('password') !== undefined) refuse();
    });
}

const askPassword = ({ passwordStdin, passwordFile }: PasswordFlags): Promise<Secret> =>
  readSecret({
    label: 'Password',
    isNew: true,
    fromStdin: passwordStdin,
    file: passwordFile,
    flag: '--password-stdin',
  });

function defineAdd(command: Command): void {
  passwordOptions(command.description('adds a user').argument('<name>', 'as they type it at login'));
  command.action((name: string, flags: PasswordFlags) =>
    withApp(flags, CURRENT, async (app, out) => {
      const { addUser, checkNewName } = await import('../../src/operations/users.ts');
      await checkNewName(app, name);
      const user = await addUser(app, { name, password: await askPassword(flags) });
      out.result({ username: user.name, subject: user.subject }, `Added ${user.name} (${user.subject}).`);
    }),
  );
  helpNotes(command, {
    examples: ['auth-server users add alice', 'auth-server users add alice --password-stdin < password.txt'],
    exit: '0 done, 1 the name is taken, 2 wrong usage, or not a fit password',
  });
}

const columns = (out: Out): readonly Column<UserView>[] => [
  { title: 'USER', value: ({ username }) => username },
  {
    title: 'STATE',
    value: ({ state }) => state,
    tone: ({ state }) => (state === 'disabled' ? 'dim' : undefined),
  },
  { title: 'SUBJECT', value: ({ subject }) => subject },
  timeColumn('ADDED', out.now, (user) => user.created_at),
  timeColumn('PASSWORD', out.now, (user) => user.password_changed_at),
];

interface ListFlags extends GlobalFlags {
  readonly limit?: number;
  readonly cursor?: string;
}

function defineList(command: Command): void {
  command
    .description('lists the users, by name')
    .addOption(limitOption(PAGE))
    .option('--cursor <name>', 'goes on after this name')
    .action(({ limit, cursor, ...flags }: ListFlags) =>
      withApp(flags, CURRENT, async (app, out) => {
        const { listUserPage } = await import('../../src/operations/users.ts');
        const { userView } = await import('../../src/operations/views.ts');
        await listPages(out, {
          limit,
          cursor,
          page: PAGE,
          columns: columns(out),
          empty: NO_USERS,
          flag: '--cursor',
          fetch: async (size, after) => {
            const { users, nextCursor } = await listUserPage(app, { limit: size, cursor: after });
            const rows = users.map(userView);
            return { rows, nextCursor, document: { users: rows, next_cursor: nextCursor } };
          },
        });
      }),
    );
  helpNotes(command, { examples: ['auth-server users list', 'auth-server users list | cut -f1'], exit: '0 done' });
}

function defineShow(command: Command): void {
  command
    .description('shows a user')
    .argument('<user>', USER)
    .action((text: string, flags: GlobalFlags) =>
      withApp(flags, CURRENT, async (app, out) => {
        const { showUser } = await import('../../src/operations/users.ts');
        const { userView } = await import('../../src/operations/views.ts');
        const { user, sessions } = await showUser(app, text);
        const view = userView(user);
        const state = view.disabled_at === null ? 'active' : `disabled ${relativeAndExact(view.disabled_at, out.now)}`;
        out.result({ ...view, sessions }, [
          `User      ${view.username}   ${view.subject}`,
          ['State     ', view.disabled_at === null ? state : paint('warn', state)],
          `Added     ${relativeAndExact(view.created_at, out.now)}`,
          `Password  changed ${relativeAndExact(view.password_changed_at, out.now)}`,
          `Sessions  ${sessions}`,
        ]);
        if (sessions > 0) out.note(`next: auth-server families list --subject ${view.subject} --state live`);
      }),
    );
  helpNotes(command, { examples: ['auth-server users show alice'], exit: '0 done, 3 no such user' });
}

const countOf = (sessions: number): string => `${sessions} ${sessions === 1 ? 'session' : 'sessions'}`;

/** What ended with a change, in words. */
const ended = (revoked: number): string => (revoked === 0 ? 'No session was live.' : `${countOf(revoked)} ended.`);

interface PasswdFlags extends PasswordFlags, DestructiveFlags {
  readonly keepSessions?: boolean;
}

function definePasswd(command: Command): void {
  passwordOptions(command.description('sets a new password').argument('<user>', USER))
    .option('--keep-sessions', 'ends no session; otherwise who knew the old password is logged out')
    .addOption(dryRunOption())
    .addOption(yesOption())
    .action((text: string, { keepSessions = false, dryRun, yes, ...flags }: PasswdFlags) =>
      withApp(flags, CURRENT, async (app, out) => {
        const { changePassword, showUser } = await import('../../src/operations/users.ts');
        const { userView } = await import('../../src/operations/views.ts');
        const before = await showUser(app, text);
        const { name, subject } = before.user;
        const sessions = keepSessions ? 0 : before.sessions;
        const cost = countOf(sessions);
        if (dryRun === true) {
          return out.result({ would_revoke: sessions }, `Would set a new password for ${name} and end ${cost}.`);
        }
        // Whoever hands over a password without a terminal has said what they want.
        if (sessions > 0 && canAsk()) {
          await confirm({ question: `Set a new password for ${name} (${subject}) and end ${cost}?`, count: 1, yes });
        }
        const password = await askPassword(flags);
        const { user, revoked } = await changePassword(app, { user: subject, password, keepSessions });
        const told = keepSessions ? 'Its sessions go on.' : ended(revoked);
        out.result({ ...userView(user), revoked }, `${user.name} has a new password. ${told}`);
      }),
    );
  helpNotes(command, {
    examples: [
      'auth-server users passwd alice',
      'auth-server users passwd alice --password-stdin < password.txt',
      'auth-server users passwd alice --dry-run',
    ],
    exit: '0 done, 2 a password of a wrong length, 3 no such user, 4 not confirmed',
  });
}

interface Ending {
  /** `Disable` */
  readonly verb: string;
  readonly change: (app: App, text: string) => Promise<UserChange>;
  readonly text: (change: UserChange) => string;
}

/** Whatever ends sessions asks, unless it is told not to, and can be tried without changing anything. */
async function endAccess(app: App, out: Out, text: string, flags: DestructiveFlags & Ending): Promise<void> {
  const { showUser } = await import('../../src/operations/users.ts');
  const { userView } = await import('../../src/operations/views.ts');
  const { user, sessions } = await showUser(app, text);
  const cost = countOf(sessions);
  if (flags.dryRun === true) {
    return out.result({ would_revoke: sessions }, `Would ${flags.verb.toLowerCase()} ${user.name} and end ${cost}.`);
  }
  const question = `${flags.verb} ${user.name} (${user.subject}) and end ${cost}?`;
  await confirm({ question, count: 1, yes: flags.yes });
  // By subject: the name may have been given to somebody else meanwhile.
  const change = await flags.change(app, user.subject);
  out.result({ ...userView(change.user), revoked: change.revoked }, flags.text(change));
}

function defineDisable(command: Command): void {
  command
    .description('locks a user out: no login, and every session ends')
    .argument('<user>', USER)
    .addOption(dryRunOption())
    .addOption(yesOption())
    .action((text: string, flags: GlobalFlags & DestructiveFlags) =>
      withApp(flags, CURRENT, async (app, out) => {
        const { disableUser } = await import('../../src/operations/users.ts');
        await endAccess(app, out, text, {
          ...flags,
          verb: 'Disable',
          change: disableUser,
          text: ({ user, revoked }) => `Disabled ${user.name}. ${ended(revoked)}`,
        });
      }),
    );
  helpNotes(command, {
    examples: ['auth-server users disable alice --dry-run', 'auth-server users disable alice --yes'],
    exit: '0 done, 3 no such user, 4 not confirmed',
  });
}

function defineEnable(command: Command): void {
  command
    .description('lets a disabled user log in again')
    .argument('<user>', USER)
    .action((text: string, flags: GlobalFlags) =>
      withApp(flags, CURRENT, async (app, out) => {
        const { enableUser } = await import('../../src/operations/users.ts');
        const { userView } = await import('../../src/operations/views.ts');
        const { user } = await enableUser(app, text);
        out.result(userView(user), `${user.name} can log in again. Sessions that ended stay ended.`);
      }),
    );
  helpNotes(command, { examples: ['auth-server users enable alice'], exit: '0 done, 3 no such user' });
}

function defineRemove(command: Command): void {
  command
    .description('removes a user; every session ends, and the name added again is somebody else')
    .argument('<user>', USER)
    .addOption(dryRunOption())
    .addOption(yesOption())
    .action((text: string, flags: GlobalFlags & DestructiveFlags) =>
      withApp(flags, CURRENT, async (app, out) => {
        const { removeUser } = await import('../../src/operations/users.ts');
        await endAccess(app, out, text, {
          ...flags,
          verb: 'Remove',
          change: removeUser,
          text: ({ user, revoked }) => `Removed ${user.name}. ${ended(revoked)}`,
        });
      }),
    );
  helpNotes(command, {
    examples: ['auth-server users remove alice --dry-run', 'auth-server users remove alice --yes'],
    exit: '0 done, 3 no such user, 4 not confirmed',
  });
}
