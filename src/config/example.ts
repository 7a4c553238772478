/**
 * Writes a commented configuration file from the table of keys: the example of the repository, and what `init` begins
 * with. It stands alone because a file for people is more than its values.
 */
import { KEYS, type Key } from './keys.ts';

/** Without any: every key at its default, none in a comment. */
export interface FileWishes {
  /** By path, as people write them; the rest is at its default. */
  readonly values?: Readonly<Record<string, unknown>>;
  /** Keys that are not in `values` stand in comments, so that a later release may change their default. */
  readonly areDefaultsCommented?: boolean;
  /** Where an editor finds the JSON Schema. */
  readonly schema?: string;
}

/** The text of a configuration file that the loader accepts. */
export function renderConfigFile({ values = {}, areDefaultsCommented = false, schema }: FileWishes = {}): string {
  const lines = ['{', '  // Configuration of auth-server. Comments and trailing commas are allowed.'];
  if (schema !== undefined) lines.push(`  "$schema": ${JSON.stringify(schema)},`);
  const render = (key: Key, depth: number): string[] => {
    const margin = '  '.repeat(depth);
    const isSet = Object.hasOwn(values, key.path);
    const name = key.path.slice(key.path.lastIndexOf('.') + 1);
    const off = areDefaultsCommented && !isSet ? '// ' : '';
    const value = inline(isSet ? values[key.path] : key.fallback);
    return [
      ...wrap(`${key.description} (${key.label})`, 110 - margin.length).map((line) => `${margin}// ${line}`),
      `${margin}${off}"${name}": ${value},`,
    ];
  };
  lines.push(...renderGroup(KEYS, '', 1, render), '}');
  return `${lines.join('\n').replace(/,(\n *[}\]])/g, '$1')}\n`;
}

/** The keys below a path, with a nested object for each group. */
function renderGroup(
  keys: readonly Key[],
  prefix: string,
  depth: number,
  render: (key: Key, depth: number) => string[],
): string[] {
  const names = new Set(keys.map((key) => key.path.slice(prefix.length).split('.')[0] ?? ''));
  return [...names].flatMap((name) => {
    const path = `${prefix}${name}`;
    const key = keys.find((one) => one.path === path);
    if (key !== undefined) return render(key, depth);
    const margin = '  '.repeat(depth);
    const inside = keys.filter((one) => one.path.startsWith(`${path}.`));
    return ['', `${margin}"${name}": {`, ...renderGroup(inside, `${path}.`, depth + 1, render), `${margin}},`];
  });
}

/** On one line, as people write it. */
function inline(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(inline).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return `{ ${Object.entries(value)
    .map(([name, item]) => `${JSON.stringify(name)}: ${inline(item)}`)
    .join(', ')} }`;
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? '';
    if (line.length + word.length >= width && line !== '') lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines;
}
