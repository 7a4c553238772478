/**
 * Writes the files that derive from tables in the code, or with --check names those that have drifted and exits 1. It
 * defends that documents, example and schema say what the program does. To add a file, add a row to FILES.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { commandTree } from '../cli/command-tree.ts';
import { makeProgram } from '../cli/program.ts';
import { renderConfigFile } from '../src/config/example.ts';
import { jsonSchema } from '../src/config/keys.ts';
import { renderCliPage } from './generate/cli.ts';
import { renderConfigurationPage } from './generate/configuration.ts';
import { renderErrorsPage } from './generate/errors.ts';
import { renderManPage } from './generate/man.ts';
import { compileSdk, PACKED } from './generate/sdk.ts';

interface GeneratedFile {
  /** From the root of the repository. */
  readonly path: string;
  render(): string;
}

const tree = await commandTree(makeProgram());

const FILES: readonly GeneratedFile[] = [
  { path: 'auth.config.example.json', render: () => renderConfigFile({ schema: './docs/auth.config.schema.json' }) },
  { path: 'docs/auth.config.schema.json', render: () => `${json(jsonSchema(), '')}\n` },
  { path: 'docs/configuration.md', render: renderConfigurationPage },
  { path: 'docs/errors.md', render: renderErrorsPage },
  { path: 'docs/cli.md', render: () => renderCliPage(tree) },
  { path: 'docs/auth-server.1', render: () => renderManPage(tree) },
  ...[...compileSdk()].map(([path, text]) => ({ path, render: () => text })),
];

/** JSON as the formatter of this repository leaves it: a list of plain values stays on one line while it fits. */
function json(value: unknown, margin: string): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const isList = Array.isArray(value);
  const names = Object.keys(value);
  const line = JSON.stringify(value).replaceAll('","', '", "');
  const isPlain = isList && value.every((item) => typeof item !== 'object');
  if (names.length === 0 || (isPlain && margin.length + line.length < 100)) return line;
  const inner = `${margin}  `;
  const items = Object.entries(value).map(
    ([name, item]) => `${isList ? '' : `${JSON.stringify(name)}: `}${json(item, inner)}`,
  );
  const [open, close] = isList ? '[]' : '{}';
  return `${open}\n${inner}${items.join(`,\n${inner}`)}\n${margin}${close}`;
}

const root = join(import.meta.dirname, '..');

function current(path: string): string | undefined {
  try {
    return readFileSync(join(root, path), 'utf8');
  } catch {
    return undefined;
  }
}

const drifted = FILES.filter(({ path, render }) => current(path) !== render());
/** All of this folder is packed, so nothing may lie in it that is not made here. */
const strange = existsSync(join(root, PACKED))
  ? readdirSync(join(root, PACKED)).filter((name) => FILES.every(({ path }) => path !== `${PACKED}/${name}`))
  : [];

if (process.argv.includes('--check')) {
  for (const { path } of drifted)
    process.stderr.write(`error: ${path} has drifted from the code\ntry:   npm run generate\n`);
  for (const name of strange)
    process.stderr.write(`error: ${PACKED}/${name} is made from nothing\ntry:   git rm ${PACKED}/${name}\n`);
  process.exitCode = drifted.length + strange.length === 0 ? 0 : 1;
} else {
  for (const { path, render } of drifted) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), render());
    process.stdout.write(`wrote ${path}\n`);
  }
}
