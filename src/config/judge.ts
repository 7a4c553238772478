/**
 * Judges a tree of values by the table, and puts what zod finds into words with a place and a remedy. It stands apart so
 * that neither the table nor the loader knows how zod reports.
 */
import type { z } from 'zod';
import type { Fault } from './fault.ts';
import { printable } from './fault.ts';
import type { Tree } from './file.ts';
import { keyOf, nearestPath } from './keys.ts';
import { nearest } from './nearest.ts';
import { RULES } from './rules.ts';
import type { configSchema, Settings } from './schema.ts';

type Path = readonly (string | number)[];

/** `settings` is there when the keys are right by themselves. */
interface Verdict {
  readonly settings: Settings | undefined;
  readonly faults: readonly Fault[];
}

/** @param whereOf the place that brought the value at a path */
export function judge(schema: ReturnType<typeof configSchema>, tree: Tree, whereOf: (path: Path) => string): Verdict {
  const first = schema.safeParse(tree);
  if (first.success) return { settings: first.data, faults: judgeTogether(first.data, [], whereOf) };
  const faults = first.error.issues.flatMap((issue) => faultsOf(issue, tree, whereOf));
  // The rules between keys are judged too, with defaults in place of what is wrong, so that all faults come at once.
  const wrong = first.error.issues.flatMap(culprits);
  const second = schema.safeParse(without(tree, wrong));
  const together = second.success
    ? judgeTogether(
        second.data,
        wrong.map((path) => path.join('.')),
        whereOf,
      )
    : [];
  return { settings: undefined, faults: [...faults, ...together] };
}

function judgeTogether(settings: Settings, wrong: readonly string[], whereOf: (path: Path) => string): Fault[] {
  return RULES.filter(
    ({ keys }) => !keys.some((path) => wrong.some((other) => path === other || path.startsWith(`${other}.`))),
  ).flatMap((rule) => {
    const complaint = rule.judge(settings);
    if (complaint === undefined) return [];
    // The place to look at is where somebody set one of the keys, not a default.
    const places = rule.keys.map((path) => whereOf(path.split('.')));
    return [{ where: places.find((place) => place !== 'defaults') ?? 'defaults', ...complaint }];
  });
}

const pathOf = (issue: z.core.$ZodIssue): Path =>
  issue.path.map((name) => (typeof name === 'number' ? name : String(name)));

/** The paths to leave out before the rest can be judged: a whole key, even if only an item of it is wrong. */
function culprits(issue: z.core.$ZodIssue): Path[] {
  const path = pathOf(issue);
  const key = keyOf(path.join('.'));
  if (key !== undefined) return [key.path.split('.')];
  return issue.code === 'unrecognized_keys' ? issue.keys.map((name) => [...path, name]) : [path];
}

function without(tree: Tree, paths: readonly Path[]): Tree {
  const rest = structuredClone(tree);
  for (const path of paths) {
    const parent = path.slice(0, -1).reduce<unknown>((value, name) => (value as Tree | undefined)?.[name], rest);
    const name = path.at(-1);
    if (typeof parent === 'object' && parent !== null && name !== undefined) delete (parent as Tree)[name];
  }
  return rest;
}

function faultsOf(issue: z.core.$ZodIssue, tree: Tree, whereOf: (path: Path) => string): Fault[] {
  const path = pathOf(issue);
  if (issue.code === 'unrecognized_keys') return issue.keys.map((name) => unknownKey([...path, name], whereOf));
  const name = path.join('.');
  return [
    {
      where: whereOf(path),
      message: `${spelled(path)} ${issue.message}`,
      remedy: remedyOf(issue, name, valueAt(tree, path)),
    },
  ];
}

function unknownKey(path: Path, whereOf: (path: Path) => string): Fault {
  const name = path.join('.');
  const inside = keyOf(name);
  const meant = inside === undefined ? nearestPath(name) : undefined;
  const hint = meant === undefined ? 'docs/configuration.md lists all keys' : `did you mean ${meant}?`;
  return {
    where: whereOf(path),
    message: `unknown key ${spelled(path)}`,
    remedy: inside === undefined ? hint : `${inside.path} is a ${inside.label}`,
  };
}

/** `events.webhooks[0].url` */
const spelled = (path: Path): string =>
  printable(
    path.map((name, index) => (typeof name === 'number' ? `[${name}]` : `${index === 0 ? '' : '.'}${name}`)).join(''),
  );

function remedyOf(issue: z.core.$ZodIssue, path: string, value: unknown): string {
  if (issue.code === 'custom' && typeof issue.params?.remedy === 'string') return issue.params.remedy;
  if (issue.code === 'invalid_value' && typeof value === 'string') {
    const meant = nearest(value, issue.values.map(String));
    if (meant !== undefined) return `did you mean "${meant}"?`;
  }
  const key = keyOf(path);
  const isTelling =
    key !== undefined && key.path === path && key.fallback !== null && JSON.stringify(key.fallback) !== '[]';
  return isTelling
    ? `the default is ${JSON.stringify(key.fallback)}`
    : `docs/configuration.md describes ${key?.path ?? 'all keys'}`;
}

const valueAt = (tree: Tree, path: Path): unknown =>
  path.reduce<unknown>(
    (value, name) => (typeof value === 'object' && value !== null ? (value as Tree)[name] : undefined),
    tree,
  );
