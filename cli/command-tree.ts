/** The whole tree of commands, with everything loaded: for what speaks of all of them at once, completion and the man page. */
import type { Command, Option } from 'commander';
import { defineAll } from './lazy-commands.ts';

export interface Flag {
  /** `--ring`, and its short form where there is one. */
  readonly names: readonly string[];
  readonly description: string;
  /** What follows it; null for a flag alone. */
  readonly value: Value | null;
}

export interface Value {
  /** All that may stand here, where that is known. */
  readonly choices: readonly string[];
  readonly isFile: boolean;
}

/** A command and what may follow it; `flags` has the global ones as well. */
export interface TreeNode {
  /** `['keys', 'rotate']`; empty for the program itself. */
  readonly path: readonly string[];
  /** Other names of its last word. */
  readonly aliases: readonly string[];
  readonly description: string;
  readonly children: readonly TreeNode[];
  readonly flags: readonly Flag[];
  /** Of the first argument; null where there is none. */
  readonly argument: Value | null;
  readonly command: Command;
}

/** Loads the module of every command. @param program of `makeProgram` */
export async function commandTree(program: Command): Promise<TreeNode> {
  await defineAll(program);
  const everywhere = program.options.filter(({ long }) => long !== '--version').map(flagOf);
  return nodeOf(program, [], everywhere);
}

/** That node and all below it. */
export const allNodes = (node: TreeNode): readonly TreeNode[] => [node, ...node.children.flatMap(allNodes)];

const HELP: Flag = { names: ['--help', '-h'], description: 'prints help', value: null };

function nodeOf(command: Command, path: readonly string[], everywhere: readonly Flag[]): TreeNode {
  const own = command.options.filter((option) => !option.hidden).map(flagOf);
  const [first] = command.registeredArguments;
  return {
    path,
    aliases: command.aliases(),
    description: command.summary() || firstSentence(command.description()),
    children: command.commands.map((child) => nodeOf(child, [...path, child.name()], everywhere)),
    flags: [...own, ...(path.length === 0 ? [] : everywhere), HELP],
    argument: first === undefined ? null : { choices: first.argChoices ?? [], isFile: /file/.test(first.name()) },
    command,
  };
}

const firstSentence = (text: string): string => text.split(/[.:;(]/, 1)[0]?.trim() ?? '';

function flagOf(option: Option): Flag {
  const takesValue = option.required || option.optional;
  return {
    names: [option.long, option.short].filter((name) => name !== undefined),
    description: firstSentence(option.description),
    value: takesValue ? { choices: option.argChoices ?? [], isFile: /file/.test(option.flags) } : null,
  };
}
