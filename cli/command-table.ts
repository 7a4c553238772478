/**
 * All commands, in the order of the help. The module of a command is loaded when it is the one that runs, so that
 * `--help` and `--version` wait for nothing.
 */
import type { DefineCommand } from './command.ts';

/** A line of the help, and where the rest is. `group` is the heading of the first of its kind. */
export interface CommandEntry {
  readonly name: string;
  readonly group: 'Run' | 'Sessions' | 'Keys' | 'People' | 'Database' | 'Check' | 'Other';
  readonly summary: string;
  readonly alias?: string;
  readonly load: () => Promise<DefineCommand>;
}

/** Completion, the manual page and docs/cli.md are made of these, too. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'serve',
    group: 'Run',
    summary: 'runs the server',
    load: async () => (await import('./commands/serve.ts')).defineServe,
  },
  {
    name: 'worker',
    group: 'Run',
    summary: 'delivers events and purges what has expired',
    load: async () => (await import('./commands/worker.ts')).defineWorker,
  },
  {
    name: 'tui',
    group: 'Run',
    summary: 'shows sessions, keys and events live, and acts on them',
    load: async () => (await import('./commands/tui.ts')).defineTui,
  },
  {
    name: 'families',
    group: 'Sessions',
    summary: 'lists sessions, and tells the story of one',
    alias: 'sessions',
    load: async () => (await import('./commands/families.ts')).defineFamilies,
  },
  {
    name: 'revoke',
    group: 'Sessions',
    summary: 'ends sessions',
    load: async () => (await import('./commands/revoke.ts')).defineRevoke,
  },
  {
    name: 'token',
    group: 'Sessions',
    summary: 'says what a token is, and whether it is accepted',
    load: async () => (await import('./commands/token.ts')).defineToken,
  },
  {
    name: 'events',
    group: 'Sessions',
    summary: 'shows what happened',
    load: async () => (await import('./commands/events.ts')).defineEvents,
  },
  {
    name: 'keys',
    group: 'Keys',
    summary: 'lists and rotates the signing keys',
    load: async () => (await import('./commands/keys.ts')).defineKeys,
  },
  {
    name: 'users',
    group: 'People',
    summary: 'adds, changes and removes local users',
    load: async () => (await import('./commands/users.ts')).defineUsers,
  },
  {
    name: 'clients',
    group: 'People',
    summary: 'adds, changes and removes clients',
    load: async () => (await import('./commands/clients.ts')).defineClients,
  },
  {
    name: 'init',
    group: 'Run',
    summary: 'writes a starting configuration and a master key',
    load: async () => (await import('./commands/init.ts')).defineInit,
  },
  {
    name: 'migrate',
    group: 'Database',
    summary: 'brings the schema up to date',
    load: async () => (await import('./commands/migrate.ts')).defineMigrate,
  },
  {
    name: 'backup',
    group: 'Database',
    summary: 'copies the live SQLite database',
    load: async () => (await import('./commands/backup.ts')).defineBackup,
  },
  {
    name: 'restore',
    group: 'Database',
    summary: 'makes a copy the database, and ends every session',
    load: async () => (await import('./commands/restore.ts')).defineRestore,
  },
  {
    name: 'purge',
    group: 'Database',
    summary: 'removes what has had its time',
    load: async () => (await import('./commands/purge.ts')).definePurge,
  },
  {
    name: 'doctor',
    group: 'Check',
    summary: 'checks everything, and says what to do',
    load: async () => (await import('./commands/doctor.ts')).defineDoctor,
  },
  {
    name: 'simulate',
    group: 'Check',
    summary: 'plays thefts and accidents against a throw-away server',
    load: async () => (await import('./commands/simulate.ts')).defineSimulate,
  },
  {
    name: 'config',
    group: 'Check',
    summary: 'checks and shows the configuration, prints its JSON Schema',
    load: async () => (await import('./commands/config.ts')).defineConfig,
  },
  {
    name: 'completion',
    group: 'Other',
    summary: 'prints the completion script of a shell',
    load: async () => (await import('./commands/completion.ts')).defineCompletion,
  },
];
