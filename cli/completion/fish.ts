/** The script for fish, with what each word does beside it. */
import { allNodes, type Flag, type TreeNode, type Value } from '../command-tree.ts';
import { nodeName, stepsOf, valueNames } from './shell.ts';

/** In single quotes, where fish knows two escapes. */
const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

/** @param tree of `commandTree`. @returns a script to be sourced */
export function fishScript(tree: TreeNode): string {
  const nodes = allNodes(tree);
  const steps = stepsOf(nodes).map(
    ({ from, word, to }) => `      case ${quoted(`${from} ${word}`)}\n        set node ${quoted(to)}`,
  );
  return `# fish completion of auth-server: auth-server completion fish | source
function __auth_server_at
  set -l node ''
  set -l skip 0
  for word in (commandline -opc)[2..-1]
    if test $skip = 1
      set skip 0
      continue
    end
    switch $word
      case ${valueNames(nodes).join(' ')}
        set skip 1
    end
    switch "$node $word"
${steps.join('\n')}
    end
  end
  test "$node" = "$argv[1]"
end
complete -c auth-server -f
${nodes.flatMap(linesOf).join('\n')}
`;
}

function linesOf(node: TreeNode): string[] {
  const start = `complete -c auth-server -n ${quoted(`__auth_server_at ${quoted(nodeName(node))}`)}`;
  const commands = node.children.map(({ path, description }) => `${start} -a ${path.at(-1)} -d ${quoted(description)}`);
  const argument = node.argument === null ? [] : valueText(node.argument).map((text) => `${start} ${text}`);
  return [...commands, ...argument, ...node.flags.map((flag) => `${start} ${flagText(flag)}`)];
}

function flagText({ names, description, value }: Flag): string {
  const spelt = names.map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`));
  const after = value === null ? [] : value.isFile ? ['-r', '-F'] : ['-x', ...valueText(value)];
  return [...spelt, ...after, '-d', quoted(description)].join(' ');
}

const valueText = ({ choices, isFile }: Value): string[] => {
  if (choices.length > 0) return [`-a ${quoted(choices.join(' '))}`];
  return isFile ? ['-F'] : [];
};
