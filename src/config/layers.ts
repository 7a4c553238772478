/**
 * Lays flags over environment over file, and tells for every path which of them spoke last. It stands apart because
 * precedence and origin are one question, and neither depends on what the values mean.
 */
import { fromText, readEnvironment } from './environment.ts';
import type { Fault } from './fault.ts';
import type { ConfigFile, Tree } from './file.ts';
import { keyOf } from './keys.ts';

/** Where a value came from: `name` is the file and line, or the variable. */
export interface Origin {
  readonly kind: 'default' | 'file' | 'environment' | 'flag';
  readonly name?: string;
}

/** Flags beat the environment, the environment beats the file. Relative paths begin at `cwd`. */
export interface LoadInput {
  /** By path: `{'listen.port': 8081}`. Text is read as in an environment variable. */
  readonly flags: Readonly<Record<string, unknown>>;
  /** Of `--config`. */
  readonly configFile?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
}

/** What all sources say together. */
export interface Layers {
  readonly tree: Tree;
  readonly faults: readonly Fault[];
  readonly warnings: readonly string[];
  originOf(path: readonly (string | number)[]): Origin;
}

/** Lays the environment over the file, and the flags over both. */
export function layer(input: LoadInput, file: ConfigFile | null): Layers {
  const environment = readEnvironment(input.env);
  const tree = structuredClone(file?.tree ?? {});
  const faults = [...(file?.faults ?? []), ...environment.faults, ...takeSchemaLink(tree, file)];
  for (const [path, { value }] of environment.entries) place(tree, path, value);
  const flags = new Map(Object.entries(input.flags).filter(([, value]) => value !== undefined));
  for (const [path, value] of flags) place(tree, path, flagValue(path, value));

  const originOf = (path: readonly (string | number)[]): Origin => {
    const name = path.join('.');
    const inside = (known: string): boolean => name === known || name.startsWith(`${known}.`);
    if ([...flags.keys()].some(inside)) return { kind: 'flag' };
    const variable = [...environment.entries].find(([known]) => inside(known))?.[1].variable;
    if (variable !== undefined) return { kind: 'environment', name: variable };
    return file !== null && isIn(file.tree, path)
      ? { kind: 'file', name: `${file.name}:${file.lineOf(path)}` }
      : { kind: 'default' };
  };
  return { tree, faults, warnings: environment.warnings, originOf };
}

/** `$schema` is for editors: it is taken out before the keys are judged. */
function takeSchemaLink(tree: Tree, file: ConfigFile | null): Fault[] {
  const link = tree.$schema;
  delete tree.$schema;
  if (link === undefined || typeof link === 'string' || file === null) return [];
  return [
    {
      where: `${file.name}:${file.lineOf(['$schema'])}`,
      message: '$schema must be a text',
      remedy: 'it names the schema for editors',
    },
  ];
}

function flagValue(path: string, value: unknown): unknown {
  const key = keyOf(path);
  return key !== undefined && typeof value === 'string' ? fromText(key, value) : value;
}

/** Sets a value at a path. Where the file has something else than an object, that stays, and is reported. */
function place(tree: Tree, path: string, value: unknown): void {
  const names = path.split('.');
  const last = names.pop() ?? '';
  let target: unknown = tree;
  for (const name of names) {
    if (!isTree(target)) return;
    if (!Object.hasOwn(target, name)) put(target, name, {});
    target = target[name];
  }
  if (isTree(target)) put(target, last, value);
}

/** Unlike an assignment, it keeps `__proto__` a key like any other, to be refused. */
function put(tree: Tree, name: string, value: unknown): void {
  Object.defineProperty(tree, name, { value, writable: true, enumerable: true, configurable: true });
}

/** A JSON object: no list, and not null. */
export const isTree = (value: unknown): value is Tree =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Whether the file says anything at a path, or has a value that is no object on the way there. */
function isIn(tree: Tree, path: readonly (string | number)[]): boolean {
  let value: unknown = tree;
  for (const name of path) {
    if (!isTree(value)) return value !== undefined;
    if (!Object.hasOwn(value, name)) return false;
    value = value[name];
  }
  return true;
}

/** The place of a value, for a fault. */
export const whereOf = (origin: Origin | undefined): string =>
  origin?.kind === 'flag' ? 'command line' : (origin?.name ?? 'defaults');
