/** The script for bash: plain bash, without the bash-completion package, and without `eval` of what was typed. */
import { allNodes, type TreeNode } from '../command-tree.ts';
import { nodeName, quoted, stepsOf, valueFlags, valueNames, wordsAt } from './shell.ts';

/** Where no word is offered, bash offers files. */
export function bashScript(tree: TreeNode): string {
  const nodes = allNodes(tree);
  const steps = stepsOf(nodes).map(({ from, word, to }) => `      ${quoted(`${from} ${word}`)}) node=${quoted(to)} ;;`);
  const values = nodes.flatMap((node) =>
    valueFlags(node).map(({ names, value }) => {
      const patterns = names.map((name) => quoted(`${nodeName(node)} ${name}`)).join('|');
      return `    ${patterns}) words=${quoted(value?.choices.join(' ') ?? '')} ;;`;
    }),
  );
  const words = nodes.map((node) => {
    const flags = node.flags.flatMap(({ names }) => names.slice(0, 1)).join(' ');
    return `        ${quoted(nodeName(node))}) words=${quoted(wordsAt(node).join(' '))} flags=${quoted(flags)} ;;`;
  });
  return `# bash completion of auth-server: eval "$(auth-server completion bash)"
_auth_server() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]} node='' words='' flags='' word i
  # bash takes --ring=access for three words.
  if [[ $cur == = ]]; then
    cur=''
  elif [[ $prev == = ]]; then
    prev=\${COMP_WORDS[COMP_CWORD - 2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case $word in
      ${valueNames(nodes).join('|')})
        [[ \${COMP_WORDS[i + 1]} == = ]] && i=$((i + 1))
        i=$((i + 1))
        ;;
    esac
    case "$node $word" in
${steps.join('\n')}
    esac
  done
  case "$node $prev" in
${values.join('\n')}
    *)
      case $node in
${words.join('\n')}
      esac
      [[ $cur == -* ]] && words=$flags
      ;;
  esac
  COMPREPLY=()
  while read -r word; do
    [[ -n $word ]] && COMPREPLY+=("$word")
  done < <(compgen -W "$words" -- "$cur")
}
complete -o bashdefault -o default -F _auth_server auth-server
`;
}
