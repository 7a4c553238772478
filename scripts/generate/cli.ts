/** The reference of the command line: the help of every command, as it is printed. */
import { allNodes, type TreeNode } from '../../cli/command-tree.ts';

/** Columns: what fits a page, wherever it is made. */
const WIDTH = 100;

/** @returns docs/cli.md. @param tree of `commandTree`, all of it */
export function renderCliPage(tree: TreeNode): string {
  const nodes = allNodes(tree);
  return `${[
    '# The command line',
    '',
    'Generated from the help of the program (`npm run generate`). Results go to standard output, remarks and errors to standard',
    'error; in a pipe, lists are lines of tab-separated values. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 refused',
    'because it was not confirmed, 5 configuration or database not usable, 130 interrupted.',
    ...nodes.flatMap((node) => [
      '',
      `## ${['auth-server', ...node.path].join(' ')}`,
      '',
      '```text',
      helpOf(node).trimEnd(),
      '```',
    ]),
  ].join('\n')}\n`;
}

function helpOf({ command }: TreeNode): string {
  let help = '';
  command
    .configureOutput({ writeOut: (text) => (help += text), getOutHelpWidth: () => WIDTH, getOutHasColors: () => false })
    .outputHelp();
  return help;
}
