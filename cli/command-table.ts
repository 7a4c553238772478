/**
 * All commands, in the order of the help. The module of a command is loaded when it is the one that runs, so that
 * `--help` and `--version` wait for nothing.
 */
import type { DefineCommand } from './command.ts';

export interface CommandEntry {
  readonly name: string;
  readonly group: 'Run' | 'Sessions' | 'Keys' | 'People' | 'Database' | 'Check' | 'Other';
  readonly summary: string;
  readonly alias?: string;
  readonly load: () => Promise<DefineCommand>;
}

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'migrate',
    group: 'Database',
    summary: 'brings the schema up to date',
    load: async () => (await import('./commands/migrate.ts')).defineMigrate,
  },
];
