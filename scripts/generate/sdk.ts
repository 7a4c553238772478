/**
 * The SDK as npm packs it, `src/sdk/packed/`: JavaScript and types of `src/sdk`. It is committed, because install scripts are off in
 * this repository, for safety, and npm then runs no `prepack` either: what is packed has to be there.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const root = path.join(import.meta.dirname, '../..');
/** As `exports` of package.json has them. */
const ENTRIES = ['client.d.ts', 'verifier.d.ts'];

const IMPORTED = /from '\.\/([\w-]+)\.[jt]s'/g;

/** Where it is kept, from the root of the repository. */
export const PACKED = 'src/sdk/packed';

/** @returns the text of each file, by its path from the root of the repository */
export function compileSdk(): ReadonlyMap<string, string> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'sdk-'));
  try {
    const tsc = path.join(root, 'node_modules/.bin/tsc');
    execFileSync(tsc, ['--project', path.join(root, 'src/sdk'), '--outDir', folder], { stdio: 'inherit' });
    const texts = new Map(
      readdirSync(folder).map((name) => [name, withoutSourceNames(readFileSync(path.join(folder, name), 'utf8'))]),
    );
    const types = reached(texts);
    const packed = [...texts].filter(([name]) => name.endsWith('.js') || types.has(name));
    return new Map(packed.map(([name, text]) => [`${PACKED}/${name}`, text]));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The compiler rewrites names of files in the code, and leaves them in the types. */
const withoutSourceNames = (text: string): string => text.replaceAll(IMPORTED, "from './$1.js'");

/** Types of what is inside are nobody's business: those that the entries speak of, and theirs. */
function reached(texts: ReadonlyMap<string, string>): ReadonlySet<string> {
  const found = new Set(ENTRIES);
  for (const name of found) {
    for (const [, imported] of (texts.get(name) ?? '').matchAll(IMPORTED)) found.add(`${imported}.d.ts`);
  }
  return found;
}
