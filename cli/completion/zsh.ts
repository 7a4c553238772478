/** The script for zsh, with what each word does beside it. */
import { allNodes, type TreeNode } from '../command-tree.ts';
import { nodeName, quoted, stepsOf, valueFlags, valueNames } from './shell.ts';

const described = (word: string, description: string): string =>
  quoted(`${word.replaceAll(':', '\\:')}:${description}`);

/** @param tree of `commandTree`. @returns a script to be sourced after `compinit` */
export function zshScript(tree: TreeNode): string {
  const nodes = allNodes(tree);
  const steps = stepsOf(nodes).map(({ from, word, to }) => `      ${quoted(`${from} ${word}`)}) node=${quoted(to)} ;;`);
  const values = nodes.flatMap((node) =>
    valueFlags(node).map(({ names, value }) => {
      const patterns = names.map((name) => quoted(`${nodeName(node)} ${name}`)).join('|');
      return `    ${patterns}) ${offer(value?.choices ?? [], value?.isFile === true)}; return ;;`;
    }),
  );
  const words = nodes.map((node) => {
    const commands = node.children.map(({ path, description }) => described(path.at(-1) ?? '', description));
    const flags = node.flags.map(({ names, description }) => described(names[0] ?? '', description));
    return [
      `    ${quoted(nodeName(node))})`,
      `      flags=(${flags.join(' ')})`,
      ...(commands.length > 0
        ? [`      commands=(${commands.join(' ')})`]
        : [`      rest() { ${offer(node.argument?.choices ?? [], node.argument?.isFile === true)} }`]),
      '      ;;',
    ].join('\n');
  });
  return `#compdef auth-server
# zsh completion of auth-server: source <(auth-server completion zsh), after compinit
_auth_server() {
  local cur=$words[CURRENT] prev=$words[CURRENT-1] node='' word
  local -a flags commands
  integer i
  rest() { : }
  for ((i = 2; i < CURRENT; i++)); do
    word=$words[i]
    case $word in
      ${valueNames(nodes).join('|')}) ((i++)) ;;
    esac
    case "$node $word" in
${steps.join('\n')}
    esac
  done
  if [[ $cur == --*=* ]]; then
    prev=\${cur%%=*}
    compset -P '*='
  fi
  case "$node $prev" in
${values.join('\n')}
  esac
  case $node in
${words.join('\n')}
  esac
  if [[ $cur == -* ]]; then
    _describe -o 'option' flags
  elif (( $#commands )); then
    _describe 'command' commands
  else
    rest
  fi
}
compdef _auth_server auth-server
`;
}

function offer(choices: readonly string[], isFile: boolean): string {
  if (choices.length > 0) return `compadd -- ${choices.map(quoted).join(' ')}`;
  return isFile ? '_files' : ':';
}
