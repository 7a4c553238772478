/** One module of the program and of every package that it uses: what the executable runs, and what its licences are of. */
import { readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import path from 'node:path';
import { build, type Plugin } from 'esbuild';

const root = path.dirname(import.meta.dirname);
const { platform, arch } = process;

const packing: Plugin = {
  name: 'packing',
  setup({ onLoad, onResolve }) {
    const addonFromAsset = readFileSync(path.join(root, 'scripts/addon-from-asset.cjs'), 'utf8');
    onLoad({ filter: /\.node$/ }, () => ({ resolveDir: root, contents: addonFromAsset }));

    // Ink imports its debugger at top level. A packed program cannot import from a disk, so each start would fail.
    onLoad({ filter: /ink[\\/]build[\\/]devtools\.js$/ }, () => ({ contents: '' }));

    // esbuild would hoist every import of a built-in to the top of the bundle, those of commands that do not run too:
    // half of the time that `--version` takes. As modules of their own they are loaded on first use.
    onResolve({ filter: /^[a-z]/ }, ({ path: name }) =>
      name.startsWith('node:') || builtinModules.includes(name) ? { path: name, namespace: 'builtin' } : undefined,
    );
    onLoad({ filter: /./, namespace: 'builtin' }, ({ path: name }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(name)});`,
    }));
  },
};

export interface Bundle {
  /** Folders of the packages that are in it, from the root of the repository: `node_modules/pg`. */
  readonly packages: readonly string[];
}

const PACKAGE = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//;

/** @param outfile undefined: only to see what would be in it */
export async function bundle(entry: string, outfile: string | undefined): Promise<Bundle> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile: outfile ?? path.join(root, 'dist/unwritten.mjs'),
    write: outfile !== undefined,
    metafile: true,
    bundle: true,
    platform: 'node',
    // Of a package that has both, the ES module: a UMD file requires its parts in ways that no bundler can follow.
    mainFields: ['module', 'main'],
    target: `node${process.versions.node}`,
    // Not CommonJS: Ink awaits at top level.
    format: 'esm',
    // Not identifiers: a stack in a log should name functions, and `keepNames` would pay for it at every closure made.
    minifyWhitespace: true,
    minifySyntax: true,
    jsx: 'automatic',
    legalComments: 'none',
    // pg tries to load it and does without.
    external: ['pg-native'],
    // This entry requires exactly one compiled file, which is what can be packed.
    alias: { 'better-sqlite3': `better-sqlite3/${platform}-${arch}` },
    define: { 'process.env.NODE_ENV': '"production"' },
    plugins: [packing],
  });
  const packages = Object.keys(metafile.inputs).map((file) => PACKAGE.exec(file)?.[1]);
  return { packages: [...new Set(packages.filter((folder) => folder !== undefined))].toSorted() };
}
