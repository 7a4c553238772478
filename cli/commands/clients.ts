/** `clients`: registered callers. A secret is shown once, on stdout by itself, so that a script can take it from there. */
import { type Command, Option } from 'commander';
import { CLIENT_TYPES, type ClientPolicy, type ClientType } from '../../src/domain/client.ts';
import type { DurationMs } from '../../src/domain/time.ts';
import type { ClientView } from '../../src/operations/views.ts';
import {
  collect,
  type DestructiveFlags,
  dryRunOption,
  type Reset,
  readPolicyCount,
  readPolicyDuration,
  yesOption,
} from '../arguments.ts';
import { type DefineCommand, type GlobalFlags, helpNotes, wrongUsage } from '../command.ts';
import { timeColumn } from '../output.ts';
import { startProgress } from '../progress.ts';
import { confirm } from '../prompt.ts';
import type { Column } from '../table.ts';
import { withApp } from '../with-app.ts';

const CURRENT = { schema: 'current' } as const;

/** Only `remove` asks. What `add` and `rotate-secret` print nobody can print again. */
export const defineClients: DefineCommand = (command) => {
  command.description('Registered callers: apps, resource servers, administrators.');
  helpNotes(command, {
    examples: [
      'auth-server clients add api --type resource-server',
      'auth-server clients add spa --type app --public --leeway 10s',
      'auth-server clients set default --max-sessions 5',
    ],
    exit: '0 done, 1 failed, 2 wrong usage, 3 no such client, 4 not confirmed',
  });
  defineAdd(command.command('add'));
  defineSet(command.command('set'));
  defineList(command.command('list'));
  defineRotateSecret(command.command('rotate-secret'));
  defineRemove(command.command('remove'));
};

interface PolicyFlags extends GlobalFlags {
  readonly audience?: readonly string[];
  readonly leeway?: DurationMs | Reset;
  readonly refreshTokenTtl?: DurationMs | Reset;
  readonly idleTimeout?: DurationMs | Reset;
  readonly maxSessions?: number | Reset;
  readonly refreshAlone?: boolean;
}

/** The policy of an app; a value of `default` gives it back to the server. */
function policyOptions(command: Command): Command {
  return command
    .option('--audience <aud>', 'audience; can be given several times (default: tokens.audience)', collect)
    .addOption(
      new Option('--leeway <d>', 'app: how long a spent refresh token still gets its successor, at most 5m').argParser(
        readPolicyDuration,
      ),
    )
    .addOption(
      new Option('--refresh-token-ttl <d>', 'app: lifetime of its refresh tokens').argParser(readPolicyDuration),
    )
    .addOption(
      new Option('--idle-timeout <d>', 'app: its sessions end after this long without a refresh').argParser(
        readPolicyDuration,
      ),
    )
    .addOption(
      new Option('--max-sessions <n>', 'app: sessions of one user; the least recently refreshed goes').argParser(
        readPolicyCount,
      ),
    )
    .option('--refresh-alone', 'app: a refresh needs no access token, as unmodified OAuth clients have it');
}

const orServer = <T>(value: T | Reset): T | null => (value === 'default' ? null : value);

/** Only what was given. */
function policyOf(flags: PolicyFlags): Partial<ClientPolicy> {
  const { leeway, refreshTokenTtl, idleTimeout, maxSessions, refreshAlone } = flags;
  return {
    ...(leeway === undefined ? {} : { leeway: orServer(leeway) }),
    ...(refreshTokenTtl === undefined ? {} : { refreshTokenTtl: orServer(refreshTokenTtl) }),
    ...(idleTimeout === undefined ? {} : { idleTimeout: orServer(idleTimeout) }),
    ...(maxSessions === undefined ? {} : { maxSessions: orServer(maxSessions) }),
    ...(refreshAlone === undefined ? {} : { refreshAlone }),
  };
}

/** `default` and `none` stand for an empty list, by themselves. */
const audiencesOf = (audiences: readonly string[]): readonly string[] =>
  audiences.length === 1 && (audiences[0] === 'default' || audiences[0] === 'none') ? [] : audiences;

interface AddFlags extends PolicyFlags {
  readonly type: ClientType;
  readonly public?: boolean;
}

function defineAdd(command: Command): void {
  command
    .description('registers a client, and prints its secret once')
    .argument('<id>', '1 to 64 characters of A-Z, a-z, 0-9, ".", "_" and "-"')
    .addOption(new Option('--type <type>', 'what it may call').choices(CLIENT_TYPES).makeOptionMandatory())
    .option('--public', 'app: runs in browsers or on phones, so it has no secret');
  policyOptions(command).action((id: string, flags: AddFlags) =>
    withApp(flags, CURRENT, async (app, out) => {
      const { addClient } = await import('../../src/operations/clients.ts');
      const { secret } = await addClient(app, {
        id,
        type: flags.type,
        isPublic: flags.public === true,
        audiences: audiencesOf(flags.audience ?? []),
        policy: policyOf(flags),
      });
      const document = { client_id: id, type: flags.type, client_secret: secret?.reveal() ?? null };
      if (secret === null) return out.result(document, `Added ${id}, a public ${flags.type}: it has no secret.`);
      if (!out.json) out.note(`Added ${id} (${flags.type}). Its secret, shown once:`);
      out.result(document, secret.reveal());
    }),
  );
  helpNotes(command, {
    examples: [
      'auth-server clients add api --type resource-server --audience orders',
      'auth-server clients add spa --type app --public --leeway 10s --max-sessions 5',
      'auth-server clients add backend --type app --json',
    ],
    exit: '0 done, 1 the id is taken, 2 wrong usage',
  });
}

function defineSet(command: Command): void {
  command
    .description('changes the audience or the policy; "default" as a value gives it back to the server')
    .argument('<id>', 'of a client; "default" is the one of logins that name none');
  policyOptions(command)
    .option('--no-refresh-alone', 'app: a refresh needs the access token again')
    .action((id: string, flags: PolicyFlags) => {
      const policy = policyOf(flags);
      if (flags.audience === undefined && Object.keys(policy).length === 0) throw wrongUsage('name what to change');
      return withApp(flags, CURRENT, async (app, out) => {
        const { changeClient } = await import('../../src/operations/clients.ts');
        const { clientView } = await import('../../src/operations/views.ts');
        const audiences = flags.audience === undefined ? undefined : audiencesOf(flags.audience);
        const view = clientView(await changeClient(app, { id, audiences, policy }));
        out.result(view, `${id}: ${policyText(view) || 'the server’s own policy'}. Servers follow within 2s.`);
      });
    });
  helpNotes(command, {
    examples: ['auth-server clients set default --leeway 10s', 'auth-server clients set spa --idle-timeout default'],
    exit: '0 done, 2 wrong usage, 3 no such client',
  });
}

/** What a client has of its own, in words. */
function policyText(client: ClientView): string {
  return [
    ...(client.leeway === null ? [] : [`leeway ${client.leeway}`]),
    ...(client.refresh_token_ttl === null ? [] : [`refresh tokens ${client.refresh_token_ttl}`]),
    ...(client.idle_timeout === null ? [] : [`idle ${client.idle_timeout}`]),
    ...(client.max_sessions === null ? [] : [`at most ${client.max_sessions} sessions`]),
    ...(client.refresh_alone ? ['refreshes alone'] : []),
  ].join(', ');
}

function defineList(command: Command): void {
  command.description('lists the clients, by id').action((flags: GlobalFlags) =>
    withApp(flags, CURRENT, async (app, out) => {
      const { listAllClients } = await import('../../src/operations/clients.ts');
      const { clientView } = await import('../../src/operations/views.ts');
      const clients = (await listAllClients(app)).map(clientView);
      const columns: readonly Column<ClientView>[] = [
        { title: 'CLIENT', value: (client) => client.client_id },
        { title: 'TYPE', value: (client) => client.type },
        { title: 'AUDIENCE', value: (client) => client.audiences.join(' ') },
        { title: 'POLICY', value: policyText },
        {
          ...timeColumn<ClientView>('SECRET', out.now, (client) => secretTime(client)),
          ...{ text: (client: ClientView) => (client.public ? 'public' : out.when(secretTime(client))) },
        },
      ];
      out.list({ document: { clients }, rows: clients, columns, empty: 'no clients' });
    }),
  );
  helpNotes(command, { examples: ['auth-server clients list'], exit: '0 done' });
}

/** Since when the secret is as it is; a public client has none. */
const secretTime = (client: ClientView): string | null =>
  client.public ? null : (client.secret_rotated_at ?? client.created_at);

function defineRotateSecret(command: Command): void {
  command
    .description('makes a new secret, and prints it once; the old one stops working at once')
    .argument('<id>', 'of a client with a secret')
    .action((id: string, flags: GlobalFlags) =>
      withApp(flags, CURRENT, async (app, out) => {
        const { rotateClientSecret } = await import('../../src/operations/clients.ts');
        const { client, secret } = await rotateClientSecret(app, id);
        if (!out.json) out.note(`The old secret of ${id} does not work any more. The new one, shown once:`);
        out.result({ client_id: id, type: client.type, client_secret: secret.reveal() }, secret.reveal());
      }),
    );
  helpNotes(command, {
    examples: ['auth-server clients rotate-secret api', 'auth-server clients rotate-secret api > secret.txt'],
    exit: '0 done, 1 a public client has no secret, 3 no such client',
  });
}

function defineRemove(command: Command): void {
  command
    .description('removes a client; its sessions end')
    .argument('<id>', 'of a client; "default" cannot be removed')
    .addOption(dryRunOption())
    .addOption(yesOption())
    .action((id: string, flags: GlobalFlags & DestructiveFlags) =>
      withApp(flags, CURRENT, async (app, out) => {
        const { previewClientRemoval, removeClient } = await import('../../src/operations/clients.ts');
        const { sessions } = await previewClientRemoval(app, id);
        const cost = `${sessions} ${sessions === 1 ? 'session' : 'sessions'}`;
        if (flags.dryRun === true) return out.result({ would_revoke: sessions }, `Would remove ${id} and end ${cost}.`);
        // Where sessions end with it, their number is what to agree to.
        await confirm({ question: `Remove ${id} and end ${cost}?`, count: Math.max(1, sessions), yes: flags.yes });
        const progress = startProgress();
        const onProgress = (ended: number): void => {
          if (ended < sessions) progress.show(`ended ${ended} of ${sessions}`);
        };
        const { revoked } = await removeClient(app, { id, onProgress }).finally(() => progress.clear());
        out.result({ client_id: id, revoked }, `Removed ${id}. ${revoked} of its sessions ended.`);
      }),
    );
  helpNotes(command, {
    examples: ['auth-server clients remove spa --dry-run', 'auth-server clients remove spa --yes'],
    exit: '0 done, 1 "default" is never removed, 3 no such client, 4 not confirmed',
  });
}
