/**
 * `init`: a commented configuration, a master key and, if asked, the first user and clients. All questions come first;
 * then it writes, and what exists is kept.
 */
import { existsSync } from 'node:fs';
import { Option } from 'commander';
import type { App } from '../../src/app.ts';
import type { LoadedConfig } from '../../src/config/load.ts';
import type { Client } from '../../src/domain/client.ts';
import type { Secret } from '../../src/domain/secret.ts';
import { durationMs, formatDuration, SECOND } from '../../src/domain/time.ts';
import { Refusal } from '../../src/refusal.ts';
import { readPolicyDuration } from '../arguments.ts';
import { type DefineCommand, helpNotes } from '../command.ts';
import { askFirstRecords, askSetting, type FirstRecords, type InitFlags } from '../init-answers.ts';
import { writeConfiguration } from '../init-files.ts';
import { type Out, outFor } from '../output.ts';
import type { Line } from '../paint.ts';
import { startedAs } from '../started-as.ts';
import { DATABASE_WAIT, readConfig, warn, withLoaded } from '../with-app.ts';

const DEFAULT_FILE = 'auth.config.json';

/** Of a browser client: what a page needs that is reloaded while its refresh is under way. */
const DEFAULT_LEEWAY = durationMs(10 * SECOND);

/** Run again it keeps each file that it finds, and adds what was asked for. */
export const defineInit: DefineCommand = (command) => {
  command
    .description(
      'Writes a commented configuration and a master key and, if asked, adds the first user and clients. Nothing is overwritten.',
    )
    .option('--yes', 'asks nothing, takes the defaults')
    .option('--database <url>', 'sqlite:PATH or postgres://…, without a password (default: sqlite:auth.db)')
    .option('--url <url>', 'where clients reach the server, the issuer (default: http://127.0.0.1:8080)')
    .option('--users <where>', 'local, or http for your user service (default: local)')
    .option('--user-service <url>', 'where the user service checks a password')
    .option('--user <name>', 'the first user (default: none)')
    .option('--password-stdin', 'reads the password from standard input')
    .option('--password-file <file>', 'reads the password from a file')
    .option('--resource-server <id>', 'the first resource server; its secret is shown once (default: none)')
    .option('--browser-client <id>', 'a public client for a browser app')
    .addOption(
      new Option(
        '--leeway <duration>',
        'how long a spent refresh token of the browser client still gets its successor (default: 10s)',
      ).argParser(readPolicyDuration),
    )
    .action(init);
  helpNotes(command, {
    examples: [
      'auth-server init',
      'auth-server init --yes --resource-server api',
      'auth-server init --yes --user alice --password-stdin < password.txt',
    ],
    exit: '0 done, 1 something of that name exists, 2 wrong usage, 4 no terminal to ask on, 5 a value does not fit',
  });
};

async function init(flags: InitFlags): Promise<void> {
  const out = outFor(flags);
  const path = flags.config ?? DEFAULT_FILE;
  const isKept = existsSync(path);
  if (isKept) refuseSettings(path, flags);
  const load = (): Promise<LoadedConfig> => readConfig({ ...flags, config: path }, { warn: (text) => warn(out, text) });

  let loaded = isKept ? await load() : undefined;
  const setting = isKept ? undefined : await askSetting(flags);
  const isLocal = loaded === undefined ? setting?.userService === null : loaded.config.users.directory === 'local';
  const records = await askFirstRecords(flags, isLocal);

  const made = setting === undefined ? [] : [...(await writeConfiguration(path, setting))];
  loaded ??= await load();
  const masterKey = await makeMasterKey(loaded, out);
  const files = masterKey === undefined ? made : [...made, masterKey];
  // At once: should the database not answer, these are there.
  if (!out.json) for (const line of fileLines(path, made, masterKey)) out.print(line);

  const added = await addRecords(loaded, out, { ...records, leeway: flags.leeway });
  if (out.json) out.result({ files, user: added.user, clients: added.clients.map(clientDocument) }, '');
  else out.print(...addedLines(added));
  if (records.browserClient !== null) out.note(`To do: the origin of ${records.browserClient} in server.cors.origins.`);
  // Security D1: strict is the default, and nobody should learn it from users who are logged out.
  out.note(
    'A refresh token works once. A client that may lose an answer sends an Idempotency-Key, or gets a --leeway.',
  );
  out.note(`next: ${startedAs(flags.config)} serve`);
}

/** What the file says is not asked again, and not changed by a flag that comes too late. */
function refuseSettings(path: string, flags: InitFlags): void {
  const { database, url, users, userService } = flags;
  if ([database, url, users, userService].every((given) => given === undefined)) return;
  throw new Refusal('conflict', `${path} exists, and is not overwritten.`, {
    remedy: 'change it there, or leave out --database, --url, --users and --user-service',
  });
}

/** @returns its path when it was made */
async function makeMasterKey(loaded: LoadedConfig, out: Out): Promise<string | undefined> {
  const { masterKey, database } = loaded.config;
  if (masterKey.kind !== 'file' || existsSync(masterKey.path)) return undefined;
  const [, sqlite] = /^sqlite:(.*)$/s.exec(database.url.reveal()) ?? [];
  if (sqlite !== undefined && existsSync(sqlite)) {
    // It may hold keys that only the master key which is missing opens: the app looks before it makes one.
    await withLoaded(loaded, { schema: 'create', out }, (app) => app.master());
    return masterKey.path;
  }
  const { makeMasterKeyFile } = await import('../../src/operations/new-master-key.ts');
  return makeMasterKeyFile(masterKey.path) ? masterKey.path : undefined;
}

function fileLines(path: string, made: readonly string[], masterKey: string | undefined): Line[] {
  const wrote = [
    ...made.map((name) => (name === path ? `${name} (commented)` : `${name} (0600; the user service needs it too)`)),
    ...(masterKey === undefined ? [] : [`${masterKey} (0600; keep a copy)`]),
  ];
  return [
    ...(made.includes(path) ? [] : [`kept ${path}`]),
    ...(wrote.length === 0 ? [] : [`wrote ${wrote.join(', ')}`]),
  ];
}

interface Added {
  readonly user: { readonly username: string; readonly subject: string } | null;
  readonly clients: readonly { readonly client: Client; readonly secret: Secret | null }[];
}

type Wanted = FirstRecords & { readonly leeway: InitFlags['leeway'] };

async function addRecords(loaded: LoadedConfig, out: Out, wanted: Wanted): Promise<Added> {
  const { user, resourceServer, browserClient } = wanted;
  if (user === null && resourceServer === null && browserClient === null) return { user: null, clients: [] };
  const isPostgres = !loaded.config.database.url.reveal().startsWith('sqlite:');
  if (isPostgres) await makeSchema(loaded, out);
  return withLoaded(loaded, { schema: isPostgres ? 'current' : 'create', out }, (app) => addTo(app, wanted));
}

/** Of an empty database; one that is behind is left to `migrate up`. */
const makeSchema = (loaded: LoadedConfig, out: Out): Promise<void> =>
  withLoaded(loaded, { schema: 'any', out, waitForDatabase: DATABASE_WAIT }, async (app) => {
    const { bringSchemaUp } = await import('../../src/operations/schema.ts');
    if (app.instance === '') await bringSchemaUp(app);
  });

async function addTo(app: App, { user, resourceServer, browserClient, leeway }: Wanted): Promise<Added> {
  const { addUser } = await import('../../src/operations/users.ts');
  const { addClient } = await import('../../src/operations/clients.ts');
  const added = user === null ? null : await addUser(app, user);
  const clients = [];
  if (browserClient !== null) {
    const policy = { leeway: leeway === 'default' ? null : (leeway ?? DEFAULT_LEEWAY) };
    clients.push(await addClient(app, { id: browserClient, type: 'app', isPublic: true, audiences: [], policy }));
  }
  // Last, and shown first: a secret that is made must be shown, so nothing may fail after it.
  if (resourceServer !== null) {
    const request = {
      id: resourceServer,
      type: 'resource-server',
      isPublic: false,
      audiences: [],
      policy: {},
    } as const;
    clients.unshift(await addClient(app, request));
  }
  return { user: added === null ? null : { username: added.name, subject: added.subject }, clients };
}

const clientDocument = ({ client, secret }: Added['clients'][number]) => ({
  client_id: client.id,
  type: client.type,
  client_secret: secret?.reveal() ?? null,
});

function addedLines({ user, clients }: Added): Line[] {
  return [
    ...(user === null ? [] : [`added ${user.username} (${user.subject})`]),
    ...clients.map(({ client, secret }) =>
      secret === null
        ? `client ${client.id}, public, leeway ${client.policy.leeway === null ? 'as the server has it' : formatDuration(client.policy.leeway)}`
        : `client ${client.id}, secret shown once: ${secret.reveal()}`,
    ),
  ];
}
