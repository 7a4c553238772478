/** How this program was started, so that what it suggests can be pasted: `auth-server`, `dist/auth-server`, from source. */
import { relative } from 'node:path';

/** The beginning of a command line that starts this program again. @param config what `--config` named */
export function startedAs(config?: string): string {
  const { argv0, argv, execPath } = process;
  // From source Node is the program, and runs a file of ours; the executable is both in one.
  const isFromSource = argv[1]?.endsWith('.ts') === true && argv[1] !== execPath;
  const words = isFromSource ? [argv0, shortest(argv[1] ?? '')] : [argv0];
  return [...words, ...(config === undefined ? [] : ['--config', config])]
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
    .join(' ');
}

/** Relative where that is plain to read: below the working directory. */
function shortest(path: string): string {
  const below = relative(process.cwd(), path);
  return below.startsWith('..') ? path : below;
}
