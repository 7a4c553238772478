/**
 * Reads the keys that environment variables and flags set. It stands apart because text must become a value here, by the
 * kind of its key, while the file brings values.
 */
import { type Fault, printable } from './fault.ts';
import type { Tree } from './file.ts';
import { CONFIG_VARIABLE, GROUPS, KEYS, type Key, VARIABLE_PREFIX, variableOf } from './keys.ts';
import { nearest } from './nearest.ts';

/** What the environment sets, and what of it cannot be used. */
export interface Environment {
  /** By path; the path may be unknown, as a variable of a group brings what it likes. */
  readonly entries: ReadonlyMap<string, { readonly value: unknown; readonly variable: string }>;
  readonly faults: readonly Fault[];
  readonly warnings: readonly string[];
}

/** Reads every `AUTH_SERVER_…` variable. The one of a key goes before the one of its group, whatever their order. */
export function readEnvironment(env: Readonly<Record<string, string | undefined>>): Environment {
  const entries = new Map<string, { value: unknown; variable: string }>();
  const faults: Fault[] = [];
  for (const path of GROUPS) {
    const variable = variableOf(path);
    const text = env[variable];
    if (text === undefined) continue;
    const value = parseJson(text);
    if (isTree(value)) spread(value, path, (below, leaf) => entries.set(below, { value: leaf, variable }));
    else
      faults.push({
        where: variable,
        message: `${path} must be a JSON object`,
        remedy: `set one key of it, such as ${variable}_…`,
      });
  }
  for (const key of KEYS) {
    const text = env[key.variable];
    if (text === undefined) continue;
    const value = fromText(key, text);
    if (value === undefined) {
      faults.push({
        where: key.variable,
        message: `${key.path} must be JSON`,
        remedy: `for example ${key.variable}='[]'`,
      });
    } else entries.set(key.path, { value, variable: key.variable });
  }
  return { entries, faults, warnings: unknownVariables(env) };
}

/** @returns undefined for what should be JSON and is not */
export function fromText(key: Key, text: string): unknown {
  if (key.isNullable && text === 'null') return null;
  if (key.form === 'number' || key.form === 'size') return /^-?\d{1,15}$/.test(text) ? Number(text) : text;
  if (key.form === 'boolean') return text === 'true' || (text === 'false' ? false : text);
  if (key.form === 'json' || (key.form === 'secret' && text.startsWith('{'))) return parseJson(text);
  return text;
}

/** Keeps `__proto__` a key like any other, to be refused. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const isTree = (value: unknown): value is Tree => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Calls `visit` for what lies in an object, down to the keys. */
function spread(tree: Tree, path: string, visit: (path: string, value: unknown) => void): void {
  for (const [name, value] of Object.entries(tree)) {
    const below = `${path}.${name}`;
    if (GROUPS.includes(below) && isTree(value)) spread(value, below, visit);
    else visit(below, value);
  }
}

/**
 * Variables that name no key. A slip is told with the name that was meant; the rest in one line, because Docker and
 * Kubernetes make a handful of them for every service that is called `auth-server`.
 */
function unknownVariables(env: Readonly<Record<string, string | undefined>>): string[] {
  const known = [CONFIG_VARIABLE, ...[...KEYS.map((key) => key.path), ...GROUPS].map(variableOf)];
  const warnings: string[] = [];
  const strange: string[] = [];
  for (const name of Object.keys(env).sort()) {
    if (!name.startsWith(VARIABLE_PREFIX) || env[name] === undefined || known.includes(name)) continue;
    const meant = nearest(
      name.slice(VARIABLE_PREFIX.length),
      known.map((other) => other.slice(VARIABLE_PREFIX.length)),
    );
    if (meant === undefined) strange.push(printable(name));
    else warnings.push(`unknown variable ${printable(name)}; did you mean ${VARIABLE_PREFIX}${meant}?`);
  }
  if (strange.length > 0)
    warnings.push(`unknown variables, ignored (a container platform may have made them): ${strange.join(', ')}`);
  return warnings;
}
