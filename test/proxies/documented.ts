/** The files that a page of the documentation tells its reader to write: what is tested is what is read. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const root = path.dirname(path.dirname(import.meta.dirname));

/** Each `from` of the page with what stands there in a test: ports, paths and secrets, nothing else. */
export type Substitutions = readonly (readonly [from: string, to: string])[];

/** @returns the block that follows `<!-- file: NAME -->` @throws when the page has none */
export function documented(page: string, name: string): string {
  const text = readFileSync(path.join(root, 'docs', page), 'utf8');
  const mark = `<!-- file: ${name} -->\n`;
  const start = text.indexOf(mark);
  const [, block] = /^```\w*\n(.*?)^```$/ms.exec(start === -1 ? '' : text.slice(start + mark.length)) ?? [];
  if (block === undefined) throw new Error(`docs/${page} has no file ${name}`);
  return block;
}

/**
 * Writes files of a page into a folder, under their names.
 * @throws when one of the substitutions stands in none of them: then the page has changed, and this would test something else
 */
export function writeDocumented(
  folder: string,
  page: string,
  { names, substitutions }: { readonly names: readonly string[]; readonly substitutions: Substitutions },
): void {
  const unused = new Set(substitutions.map(([from]) => from));
  for (const name of names) {
    let text = documented(page, name);
    for (const [from, to] of substitutions) {
      if (text.includes(from)) unused.delete(from);
      text = text.replaceAll(from, to);
    }
    writeFileSync(path.join(folder, name), text, { mode: 0o600 });
  }
  if (unused.size > 0) throw new Error(`docs/${page} no longer has ${[...unused].join(', ')}`);
}
