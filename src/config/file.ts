/**
 * Finds and reads the configuration file: JSON with comments and trailing commas. It stands alone because it alone knows
 * lines and columns, and what the mode of the file says about who may change it.
 */
import { readFileSync, type Stats, statSync } from 'node:fs';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { findNodeAtLocation, type Node, type ParseError, parseTree } from 'jsonc-parser';
import { type Fault, printable } from './fault.ts';
import { CONFIG_VARIABLE } from './keys.ts';

/** A tree of what a file or a variable says, before it is judged. */
export type Tree = { [name: string]: unknown };

/** A file that could be read and is JSON; whether its values are right is judged later. */
export interface ConfigFile {
  /** Absolute. */
  readonly path: string;
  /** As people know it: relative when it lies below the working directory. */
  readonly name: string;
  readonly tree: Tree;
  /** Somebody other than its owner may change it. */
  readonly isWritableByOthers: boolean;
  readonly faults: readonly Fault[];
  /** The line of a key, of the nearest that holds it when the file does not have it, from 1. */
  lineOf(path: readonly (string | number)[]): number;
}

/** No configuration is longer; a larger file is the wrong one. */
const MAX_FILE_BYTES = 1024 * 1024;

const SYSTEM_FILE = '/etc/auth-server/auth.config.json';

/**
 * `--config`, AUTH_SERVER_CONFIG, `./auth.config.json`, the file of the system, none: the first that there is. A file
 * that somebody named must exist.
 */
export function findConfigFile(input: {
  readonly configFile?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
}): ConfigFile | Fault | null {
  const { cwd } = input;
  const named = input.configFile ?? input.env[CONFIG_VARIABLE];
  if (named !== undefined) {
    const where = input.configFile === undefined ? CONFIG_VARIABLE : '--config';
    const missing = {
      where,
      message: `there is no file ${printable(named)}`,
      remedy: 'correct the path, or make one: auth-server init',
    };
    return named === ''
      ? { ...missing, message: 'is empty', remedy: 'name a file, or leave it out' }
      : (readConfigFile(resolve(cwd, named), cwd) ?? missing);
  }
  return readConfigFile(join(cwd, 'auth.config.json'), cwd) ?? readConfigFile(SYSTEM_FILE, cwd);
}

function readConfigFile(path: string, cwd: string): ConfigFile | Fault | null {
  const name = nameOf(path, cwd);
  try {
    const stats = statSync(path);
    if (stats.isDirectory()) return { where: name, message: 'is a directory', remedy: 'name a file' };
    if (stats.size > MAX_FILE_BYTES)
      return { where: name, message: 'is over 1 MiB', remedy: 'name a configuration file' };
    return parse(readFileSync(path, 'utf8'), { path, name, stats });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    return { where: name, message: `cannot be read (${code})`, remedy: 'let the user that runs this read it' };
  }
}

function nameOf(path: string, cwd: string): string {
  const below = relative(cwd, path);
  return printable(below === '' || below.startsWith('..') || isAbsolute(below) ? path : below);
}

function parse(
  source: string,
  file: { readonly path: string; readonly name: string; readonly stats: Stats },
): ConfigFile | Fault {
  const text = source.replace(/^\uFEFF/, '');
  const errors: ParseError[] = [];
  const root = parseTree(text, errors, { allowTrailingComma: true });
  const [error] = errors;
  if (root === undefined || error !== undefined) {
    return {
      where: `${file.name}:${position(text, error?.offset ?? 0)}`,
      message: `is not JSON: ${error === undefined ? 'nothing in it' : (SYNTAX[error.error] ?? 'not expected here')}`,
      remedy: 'comments and trailing commas are allowed, nothing else beyond JSON',
    };
  }
  const lineAt = (offset: number): number => text.slice(0, offset).split('\n').length;
  if (root.type !== 'object')
    return { where: `${file.name}:1`, message: 'must be a JSON object', remedy: 'begin with {' };
  const faults: Fault[] = [];
  const twice = (key: string, offset: number): void => {
    faults.push({
      where: `${file.name}:${lineAt(offset)}`,
      message: `${printable(key)} is given twice`,
      remedy: 'keep one of them',
    });
  };
  return {
    path: file.path,
    name: file.name,
    tree: plainValue(root, twice) as Tree,
    isWritableByOthers: file.stats.isFile() && (file.stats.mode & 0o022) !== 0,
    faults,
    lineOf: (path) => lineAt(nearestNode(root, path).offset),
  };
}

/** Numbers of jsonc-parser's `ParseErrorCode`, which is a const enum and so is not there at run time. */
const SYNTAX: Readonly<Record<number, string>> = {
  1: 'a name or value without quotes',
  2: 'not a number',
  3: 'a key in double quotes is expected',
  4: 'a value is expected',
  5: '":" is expected',
  6: '"," is expected',
  7: '"}" is expected',
  8: '"]" is expected',
  9: 'something follows the end',
  11: 'a comment does not end',
  12: 'a text does not end',
  13: 'a number does not end',
  14: 'a wrong \\u escape',
  15: 'a wrong escape',
  16: 'a control character in a text',
};

function position(text: string, offset: number): string {
  const lines = text.slice(0, offset).split('\n');
  return `${lines.length}:${(lines.at(-1)?.length ?? 0) + 1}`;
}

/** The value of a node. Unlike an assignment, `fromEntries` keeps `__proto__` a key like any other, to be refused. */
function plainValue(node: Node, twice: (key: string, offset: number) => void): unknown {
  if (node.type === 'array') return (node.children ?? []).map((item) => plainValue(item, twice));
  if (node.type !== 'object') return node.value;
  const entries = new Map<string, unknown>();
  for (const property of node.children ?? []) {
    const [name, value] = property.children ?? [];
    if (name === undefined || value === undefined) continue;
    if (entries.has(name.value)) twice(name.value, property.offset);
    entries.set(name.value, plainValue(value, twice));
  }
  return Object.fromEntries(entries);
}

/** The property at a path, or the nearest above it. */
function nearestNode(root: Node, path: readonly (string | number)[]): Node {
  for (let length = path.length; length > 0; length--) {
    const node = findNodeAtLocation(root, path.slice(0, length));
    if (node !== undefined) return node.parent?.type === 'property' ? node.parent : node;
  }
  return root;
}
