/**
 * Who may import whom: each folder of the program, what it may take from inside and which libraries. This table *is* the
 * architecture; whatever it does not list is forbidden. So SQL stays in `store`, HTTP in `http`, JWT in `crypto` and the
 * terminal in `cli`. Plain JavaScript, because dependency-cruiser's types know its options only in part.
 */
import { readdirSync } from 'node:fs';
import { cruise } from 'dependency-cruiser';

/** Free of any library below them and useful everywhere but in the domain, which is pure. */
const SHARED = ['src/refusal.ts', 'src/log.ts', 'src/metrics.ts', 'src/snapshot.ts'];
const VERSION = 'src/version.ts';
/** How the command line shows what there is: the terminal interface shows the same. */
const SHOWN = [
  'agent',
  'arguments',
  'output',
  'table',
  'paint',
  'when',
  'family-text',
  'family-story',
  'event-text',
].map((name) => `cli/${name}.ts`);

/**
 * `files`: whom the row is about; `inside`: folders and files of ours; `typesOf`: the same, but for types alone;
 * `libraries`: packages; `builtins`: Node's modules, without `node:`.
 */
const FENCES = [
  { files: 'src/domain/', inside: ['src/domain/'] },
  {
    files: 'src/crypto/',
    inside: ['src/crypto/', 'src/domain/', ...SHARED],
    builtins: ['crypto', 'util'],
  },
  { files: 'src/crypto/master-key.ts', builtins: ['fs', 'path'] },
  { files: 'src/crypto/password.ts', builtins: ['worker_threads'] },
  {
    files: 'src/store/',
    inside: ['src/store/', 'src/domain/', ...SHARED],
    libraries: ['kysely', 'better-sqlite3', 'pg'],
    builtins: ['fs', 'path', 'timers/promises'],
  },
  {
    files: 'src/users/',
    inside: ['src/users/', 'src/domain/', 'src/crypto/', 'src/store/', ...SHARED],
    libraries: ['standardwebhooks', 'cockatiel'],
  },
  {
    files: 'src/config/',
    inside: ['src/config/', 'src/domain/', ...SHARED],
    libraries: ['zod', 'jsonc-parser'],
    builtins: ['fs', 'path', 'net'],
  },
  {
    files: 'src/operations/',
    inside: ['src/operations/', 'src/domain/', 'src/crypto/', 'src/store/', ...SHARED],
    typesOf: ['src/app.ts', 'src/config/config.ts'],
    libraries: ['zod'],
    builtins: ['timers/promises'],
  },
  {
    files: 'src/http/',
    inside: ['src/http/', 'src/operations/', 'src/domain/', 'src/app.ts', ...SHARED, VERSION],
    typesOf: ['src/config/config.ts'],
    libraries: ['zod'],
    builtins: ['http', 'net', 'timers/promises'],
  },
  {
    files: 'src/worker/',
    inside: ['src/worker/', 'src/operations/', 'src/store/', 'src/domain/', 'src/app.ts', ...SHARED, VERSION],
    libraries: ['standardwebhooks', 'amqplib', '@nats-io/(jetstream|transport-node)', '@redis/client'],
  },
  // The other side of the wire, for other programs and for browsers: nothing of the server, and nothing of Node.
  { files: 'src/sdk/', inside: ['src/sdk/'], libraries: ['jose'] },
  // The only place that knows all parts.
  {
    files: 'src/app.ts',
    inside: ['src/config/', 'src/crypto/', 'src/domain/', 'src/operations/', 'src/store/', 'src/users/', ...SHARED],
    builtins: ['crypto', 'fs'],
  },
  { files: 'src/(refusal|log|snapshot).ts', inside: ['src/domain/'] },
  { files: 'src/metrics.ts', inside: ['src/domain/'], libraries: ['prom-client'] },
  { files: VERSION, inside: ['package.json'] },
  {
    files: 'cli/(?!tui/)',
    inside: [
      'cli/',
      'src/app.ts',
      'src/config/',
      'src/operations/',
      'src/domain/',
      'src/http/start.ts',
      'src/worker/',
      ...SHARED,
      VERSION,
    ],
    libraries: ['commander', 'string-width'],
    builtins: ['.*'],
  },
  { files: 'cli/commands/(migrate|backup|restore).ts', inside: ['src/store/'] },
  {
    files: 'cli/tui/',
    inside: ['cli/tui/', ...SHOWN, 'cli/interrupt.ts', 'src/operations/', 'src/domain/', ...SHARED],
    typesOf: ['src/app.ts'],
    libraries: ['ink', 'react', 'string-width'],
  },
];

/** A pattern of paths: a file is itself, all else is the start of what lies below it. */
const ours = (paths) => `^(${paths.map((path) => (/\.(ts|json)$/.test(path) ? `${path}$` : path)).join('|')})`;

/** One row as rules of dependency-cruiser: an import is allowed when any rule of any row fits it. */
function rulesOf({ files, inside = [], typesOf = [], libraries = [], builtins = [] }) {
  const from = { path: ours([files]) };
  const rules = [
    [inside, { path: ours(inside) }],
    [typesOf, { path: ours(typesOf), dependencyTypes: ['type-only'] }],
    [libraries, { path: `^node_modules/(${libraries.join('|')})/` }],
    [builtins, { path: `^(${builtins.join('|')})$`, dependencyTypes: ['core'] }],
  ];
  return rules.filter(([listed]) => listed.length > 0).map(([, to]) => ({ from, to }));
}

const ruleSet = {
  allowed: FENCES.flatMap(rulesOf),
  allowedSeverity: 'error',
  forbidden: [
    {
      name: 'no-circular',
      severity: 'error',
      from: {},
      // A circle of types is one only on paper: nothing of it is left when the program runs.
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
  ],
};

const folders = ['src', 'cli'];
const { output } = await cruise(
  folders,
  { ruleSet, validate: true, doNotFollow: { path: '^node_modules/' }, tsPreCompilationDeps: true },
  // As Node does: some packages say only there where they begin.
  { exportsFields: ['exports'], conditionNames: ['node', 'import', 'require', 'default'] },
);
const { summary, modules } = output;

const isSource = (name) => /\.tsx?$/.test(name);
const expected = folders
  .flatMap((folder) => readdirSync(folder, { recursive: true, encoding: 'utf8' }))
  .filter(isSource).length;
const seen = modules.filter(({ source }) => isSource(source) && !source.startsWith('node_modules/')).length;
// Without a TypeScript compiler that has an interface, dependency-cruiser finds no module and calls that a success.
if (seen === 0 || seen < expected) {
  process.stderr.write(`error: only ${seen} of ${expected} modules were read, so the rest is unchecked.\n`);
  process.exit(1);
}

for (const { rule, from, to, cycle } of summary.violations) {
  const path = cycle === undefined ? to : cycle.map(({ name }) => name).join(' → ');
  process.stdout.write(`${rule.name === 'not-in-allowed' ? 'not allowed' : rule.name}: ${from} → ${path}\n`);
}
process.stdout.write(`${seen} modules, ${summary.violations.length} violations\n`);
process.exit(summary.error === 0 ? 0 : 1);
