/**
 * Commands are defined when they run. What speaks of all of them asks here for the rest; it stands apart so that a command
 * can do so without knowing the table that it stands in.
 */
import type { Command } from 'commander';

const LOADERS = new WeakMap<Command, () => Promise<void>>();

/** @param load defines every command of the program; called once at most */
export function defineLater(program: Command, load: () => Promise<void>): void {
  LOADERS.set(program, load);
}

/** After this the whole tree is there. */
export async function defineAll(program: Command): Promise<void> {
  await LOADERS.get(program)?.();
  LOADERS.delete(program);
}
