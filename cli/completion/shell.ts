/** What the scripts of all shells share: they are tables of the command tree, and start nothing when Tab is pressed. */
import type { Flag, TreeNode } from '../command-tree.ts';

/** In single quotes, for bash and zsh. */
export const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** How a script names a node: `keys/rotate`. */
export const nodeName = ({ path }: TreeNode): string => path.join('/');

/** A step from one node to the next, by each name of it. */
export interface Step {
  readonly from: string;
  readonly word: string;
  readonly to: string;
}

/** @param nodes of the whole tree */
export const stepsOf = (nodes: readonly TreeNode[]): readonly Step[] =>
  nodes.flatMap((node) =>
    node.children.flatMap((child) =>
      [child.path.at(-1) ?? '', ...child.aliases].map((word) => ({
        from: nodeName(node),
        word,
        to: nodeName(child),
      })),
    ),
  );

/** Flags that take what follows them: it is no command. */
export const valueFlags = (node: TreeNode): readonly Flag[] => node.flags.filter(({ value }) => value !== null);

/** Each name once. What follows one of these is skipped when a script looks for the command. */
export const valueNames = (nodes: readonly TreeNode[]): readonly string[] => [
  ...new Set(nodes.flatMap((node) => valueFlags(node).flatMap(({ names }) => names))),
];

/** Words that may stand at a node besides flags. */
export const wordsAt = (node: TreeNode): readonly string[] =>
  node.children.length > 0
    ? node.children.flatMap(({ path, aliases }) => [path.at(-1) ?? '', ...aliases])
    : (node.argument?.choices ?? []);
