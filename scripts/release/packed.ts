/** What is inside the executable beside our own code: packages, Node, SQLite; from the bundle and what is installed. */
import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { bundle } from '../bundle.ts';

const root = path.dirname(path.dirname(import.meta.dirname));

export interface Packed {
  readonly name: string;
  readonly version: string;
  /** SPDX expression. */
  readonly licence: string;
  /** Licence and notices, as they came with it. */
  readonly text: string;
}

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
  readonly author?: string | { readonly name: string };
}

const LICENCE_FILE = /^(licen[cs]e|copying|notice|unlicense)/i;

const read = (...parts: readonly string[]): string => readFileSync(path.join(root, ...parts), 'utf8');

/** Of packages that name it and forget to bring its text. */
const mit = (holder: string): string => `MIT License

Copyright (c) ${holder}

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation
files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy,
modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE,
ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
`;

function licenceText(folder: string, { name, license, author }: Manifest): string {
  const files = readdirSync(path.join(root, folder))
    .filter((file) => LICENCE_FILE.test(file))
    .toSorted();
  if (files.length > 0) return files.map((file) => read(folder, file).trim()).join('\n\n');
  if (license !== 'MIT') throw new Error(`${name} brings no text of its licence ${license}`);
  const holder = typeof author === 'string' ? author : author?.name;
  return mit(holder ?? `the contributors of ${name}`).trim();
}

/** Every package that the executable holds. @throws for one without a licence */
export async function packedPackages(): Promise<readonly Packed[]> {
  const found = new Map<string, Packed>();
  for (const folder of (await bundle('cli/main.ts', undefined)).packages) {
    const manifest: Manifest = JSON.parse(read(folder, 'package.json'));
    const { name, version, license } = manifest;
    if (license === undefined) throw new Error(`${name} names no licence`);
    found.set(`${name}@${version}`, { name, version, licence: license, text: licenceText(folder, manifest) });
  }
  return [...found.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** What the executable is made of that is no package: the runtime with all that is in it, and the database. */
export function packedRuntime(): readonly Packed[] {
  const node = path.relative(root, path.join(realpathSync(process.execPath), '../..'));
  const [, sqlite = ''] =
    /#define SQLITE_VERSION +"([\d.]+)"/.exec(read('node_modules/better-sqlite3/deps/sqlite3/sqlite3.h')) ?? [];
  if (sqlite === '') throw new Error('the version of SQLite is not where it was');
  return [
    { name: 'node', version: process.versions.node, licence: 'MIT', text: read(node, 'LICENSE').trim() },
    {
      name: 'sqlite',
      version: sqlite,
      licence: 'blessing',
      text: 'SQLite is in the public domain: https://www.sqlite.org/copyright.html',
    },
  ];
}

/** One text of all licences, for whoever passes the executable on. */
export function licencesFile(packed: readonly Packed[]): string {
  const rule = '='.repeat(80);
  const parts = packed.map(
    ({ name, version, licence, text }) => `${rule}\n${name} ${version} (${licence})\n\n${text}\n`,
  );
  return `auth-server holds the following software of others.\n\n${parts.join('\n')}`;
}
