/**
 * The questions of `init` and their answers: each has a flag, Enter and `--yes` take the default in brackets. It stands
 * apart because nothing is written here; whoever breaks off has changed nothing.
 */
import { parseClientId } from '../src/domain/ids.ts';
import type { Secret } from '../src/domain/secret.ts';
import type { DurationMs } from '../src/domain/time.ts';
import { Refusal } from '../src/refusal.ts';
import type { Reset } from './arguments.ts';
import { type GlobalFlags, wrongUsage } from './command.ts';
import { ask, canAsk, readSecret } from './prompt.ts';

export interface InitFlags extends GlobalFlags {
  readonly yes?: boolean;
  readonly database?: string;
  readonly url?: string;
  readonly users?: string;
  readonly userService?: string;
  readonly user?: string;
  readonly passwordStdin?: boolean;
  readonly passwordFile?: string;
  readonly resourceServer?: string;
  readonly browserClient?: string;
  readonly leeway?: DurationMs | Reset;
}

/** What goes into the configuration file. */
export interface Setting {
  readonly database: string;
  readonly url: string;
  /** Null: the local directory. */
  readonly userService: string | null;
}

/** What goes into the database. */
export interface FirstRecords {
  readonly user: { readonly name: string; readonly password: Secret } | null;
  readonly resourceServer: string | null;
  readonly browserClient: string | null;
}

const defaults = {
  database: 'sqlite:auth.db',
  url: 'http://127.0.0.1:8080',
  users: 'local',
  userService: 'http://127.0.0.1:3000/authenticate',
  none: 'none',
} as const;

/** What nobody needs to write into a file: the configuration has the same defaults. */
export const DEFAULT_SETTING: Setting = { database: defaults.database, url: defaults.url, userService: null };

interface Question {
  readonly label: string;
  readonly fallback: string;
  /** What else there is to choose. */
  readonly others?: string;
  /** What its flag says. */
  readonly given: string | undefined;
}

async function answer(flags: InitFlags, { label, fallback, others, given }: Question): Promise<string> {
  if (given !== undefined) return given;
  if (flags.yes === true) return fallback;
  if (!canAsk()) {
    throw new Refusal('not_confirmed', `There is no terminal to ask on: ${label}?`, {
      remedy: 'add --yes for the defaults; each question has a flag, see auth-server init --help',
    });
  }
  const typed = await ask(`${label.padEnd(16)} [${fallback}]${others === undefined ? '' : ` ${others}`} `);
  return typed === '' ? fallback : typed;
}

/** @throws Refusal invalid_request, not_confirmed, interrupted */
export async function askSetting(flags: InitFlags): Promise<Setting> {
  refusePassword(flags.database);
  const database = await answer(flags, { label: 'Database', fallback: defaults.database, given: flags.database });
  const url = await answer(flags, { label: 'Public URL', fallback: defaults.url, given: flags.url });
  const given = flags.users ?? (flags.userService === undefined ? undefined : 'http');
  const users = await answer(flags, { label: 'Users', fallback: defaults.users, others: 'or http', given });
  if (users !== 'local' && users !== 'http')
    throw wrongUsage('Users live in the "local" directory, or in an "http" one.');
  if (users === 'local') {
    if (flags.userService !== undefined) throw wrongUsage('A user service goes with --users http.');
    return { database, url, userService: null };
  }
  const service = { label: 'User service', fallback: defaults.userService, given: flags.userService };
  return { database, url, userService: await answer(flags, service) };
}

/** A password in an argument is seen by everybody on the machine. */
function refusePassword(database: string | undefined): void {
  if (database === undefined || !URL.canParse(database)) return;
  const { password, searchParams } = new URL(database);
  if (password === '' && !searchParams.has('password')) return;
  throw new Refusal('invalid_request', 'A password is never an argument: others can see the arguments of a process.', {
    remedy: 'leave --database out to be asked, or give the whole URL in AUTH_SERVER_DATABASE_URL to every command',
  });
}

/** @param isLocal whether there is a directory to add a user to */
export async function askFirstRecords(flags: InitFlags, isLocal: boolean): Promise<FirstRecords> {
  if (!isLocal && flags.user !== undefined)
    throw wrongUsage('Users live in your user service; add the first one there.');
  const wanted = { label: 'First user', fallback: defaults.none, given: flags.user };
  const name = isLocal ? unlessNone(await answer(flags, wanted)) : null;
  const user = name === null ? null : { name, password: await readNewPassword(flags) };
  const server = { label: 'Resource server', fallback: defaults.none, given: flags.resourceServer };
  const resourceServer = checkedId(unlessNone(await answer(flags, server)));
  return { user, resourceServer, browserClient: checkedId(flags.browserClient ?? null) };
}

const unlessNone = (text: string): string | null => (text === defaults.none ? null : text);

function checkedId(id: string | null): string | null {
  if (id !== null && parseClientId(id) === undefined) {
    throw wrongUsage('A client id is 1 to 64 characters of A-Z, a-z, 0-9, ".", "_" and "-".');
  }
  return id;
}

async function readNewPassword({ passwordStdin, passwordFile }: InitFlags): Promise<Secret> {
  const password = await readSecret({
    label: 'Password',
    isNew: true,
    fromStdin: passwordStdin,
    file: passwordFile,
    flag: '--password-stdin',
  });
  const { checkNewPassword } = await import('../src/operations/users.ts');
  checkNewPassword(password);
  return password;
}
