/** Copies of the program that are a little different, run from their source. */
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import type { Ground } from './ground.ts';

const root = path.dirname(path.dirname(import.meta.dirname));

/** One place of the source, and what stands there instead. */
export interface Change {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** A copy of the program with these changes. @returns how to run it */
export function mutant(ground: Ground, changes: readonly Change[]): readonly string[] {
  const folder = path.join(ground.folder, 'mutant');
  mkdirSync(folder);
  for (const name of ['src', 'cli', 'package.json'])
    cpSync(path.join(root, name), path.join(folder, name), { recursive: true });
  symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'));
  for (const { file, from, to } of changes) {
    const source = readFileSync(path.join(folder, file), 'utf8');
    // A mutant that is none any more proves nothing.
    expect(source.split(from), `${file}: ${from}`).toHaveLength(2);
    writeFileSync(
      path.join(folder, file),
      source.replace(from, () => to),
    );
  }
  return [path.join(root, 'node_modules/.bin/node'), path.join(folder, 'cli/main.ts')];
}
