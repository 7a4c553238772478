/**
 * Lets Node run the `.tsx` files of the terminal interface from source: it strips types by itself, but does not know
 * JSX. Preloaded with `--import`, only when the program is started from source; the executable is bundled.
 */
import { readFileSync } from 'node:fs';
import { createRequire, registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);

registerHooks({
  load(url, context, nextLoad) {
    if (!url.endsWith('.tsx')) return nextLoad(url, context);
    // Loaded here and not at the top: `serve` meets no JSX and need not wait for a compiler.
    const { transformSync }: typeof import('esbuild') = require('esbuild');
    const sourcefile = fileURLToPath(url);
    const { code } = transformSync(readFileSync(sourcefile, 'utf8'), {
      loader: 'tsx',
      jsx: 'automatic',
      format: 'esm',
      sourcemap: 'inline',
      sourcefile,
    });
    return { format: 'module', source: code, shortCircuit: true };
  },
});
