/**
 * The shape of the program, as far as no tool judges it: where the clock, chance, the environment and the console are
 * reached, what the domain does without, how modules export; and that the documents speak of what there is.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';

const root = path.dirname(import.meta.dirname);

/** A way to break a rule: what it is called, and whether a node of the syntax tree is one. */
interface Finding {
  readonly name: string;
  readonly line: number;
}

/** What the text of a node of this kind must not be. */
function forbiddenCall(node: ts.Node): string | undefined {
  if (ts.isPropertyAccessExpression(node)) {
    const text = `${node.expression.getText()}.${node.name.text}`;
    if (/^(globalThis\.)?(Date\.now|Math\.random|process\.env|crypto\.randomUUID)$/.test(text)) return text;
    return /^(globalThis\.)?console$/.test(node.expression.getText()) ? 'console' : undefined;
  }
  if (ts.isNewExpression(node) && node.expression.getText() === 'Date') return 'new Date';
  if (ts.isCallExpression(node) && node.expression.getText() === 'Date') return 'Date()';
  if (ts.isIdentifier(node) && node.text === 'randomUUID') return 'randomUUID';
  // Taken apart or by index, so that the name stands nowhere.
  const isWhole = ts.isIdentifier(node) && ['console', 'Math', 'Date'].includes(node.text) && isTakenApart(node);
  return isWhole ? `${node.text} taken apart` : undefined;
}

const isTakenApart = (node: ts.Identifier): boolean =>
  (ts.isVariableDeclaration(node.parent) && node.parent.initializer === node) ||
  (ts.isElementAccessExpression(node.parent) && node.parent.expression === node);

const isAsync = (node: ts.Node): string | undefined => {
  if (ts.isAwaitExpression(node)) return 'await';
  return node.kind === ts.SyntaxKind.AsyncKeyword ? 'async' : undefined;
};

function forbiddenForm(node: ts.Node): string | undefined {
  if (ts.isEnumDeclaration(node)) return 'enum';
  if (ts.isModuleDeclaration(node)) return 'namespace';
  if (ts.isExportAssignment(node) || node.kind === ts.SyntaxKind.DefaultKeyword) return defaultExport(node);
  if (ts.isExportSpecifier(node) && node.name.text === 'default') return 'default export';
  return ts.isExportDeclaration(node) && node.exportClause === undefined ? 'export *' : undefined;
}

/** `default:` of a switch is another thing: it has no keyword node of its own. */
const defaultExport = (node: ts.Node): string | undefined =>
  ts.isExportAssignment(node) || ts.isFunctionDeclaration(node.parent) || ts.isClassDeclaration(node.parent)
    ? 'default export'
    : undefined;

/** Everywhere in a text; comments and strings are no code. */
function findingsIn(text: string, judge: (node: ts.Node) => string | undefined): Finding[] {
  const source = ts.createSourceFile('x.tsx', text, ts.ScriptTarget.Latest, true, ts.ScriptKind.TSX);
  const found: Finding[] = [];
  const visit = (node: ts.Node): void => {
    const name = judge(node);
    if (name !== undefined) found.push({ name, line: source.getLineAndCharacterOfPosition(node.getStart()).line + 1 });
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

const namesIn = (text: string, judge: (node: ts.Node) => string | undefined): string[] =>
  findingsIn(text, judge).map(({ name }) => name);

/** Sources: what is generated for the package beside them has no say. */
function filesBelow(folder: string): string[] {
  return readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /(?<!\.d)\.tsx?$/.test(entry.name))
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)).replaceAll(path.sep, '/'))
    .sort();
}

const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');
const src = filesBelow('src');
const cli = filesBelow('cli');

/** `file:line name` for every finding in these files. */
const allIn = (files: readonly string[], judge: (node: ts.Node) => string | undefined): string[] =>
  files.flatMap((file) => findingsIn(read(file), judge).map(({ name, line }) => `${file}:${line} ${name}`));

describe('clock, chance, environment and console', () => {
  /** Where each of them comes into the program; everybody else is given what it needs. */
  const ALLOWED: Readonly<Record<string, readonly string[]>> = {
    'src/app.ts': ['Date.now', 'Math.random'],
    // Conversion alone: `new Date` of a time that was given.
    'src/domain/time.ts': ['new Date'],
    // It runs in other people's programs, which give it neither.
    'src/sdk/timing.ts': ['Date.now', 'Math.random'],
  };

  test('are reached in src only where they come in', () => {
    const found = src.flatMap((file) =>
      findingsIn(read(file), forbiddenCall)
        .filter(({ name }) => !(ALLOWED[file] ?? []).includes(name))
        .map(({ name, line }) => `${file}:${line} ${name}`),
    );
    expect(found).toEqual([]);
  });

  test('in domain/time.ts a Date is made only of a time that was given', () => {
    expect(read('src/domain/time.ts')).not.toMatch(/new Date\(\s*\)/);
  });

  test('in cli nothing is by chance or beside its own output', () => {
    const found = allIn(cli, forbiddenCall).filter((line) =>
      / (Math\.random|randomUUID|crypto\.randomUUID|console)/.test(line),
    );
    expect(found).toEqual([]);
  });

  test.each([
    ['const a = Date.now();', 'Date.now'],
    ['const a = globalThis.Date.now();', 'globalThis.Date.now'],
    ['const a = new Date();', 'new Date'],
    ['const a = new Date(0);', 'new Date'],
    ['const a = Date();', 'Date()'],
    ['const a = Math.random();', 'Math.random'],
    ['const f = Math.random;', 'Math.random'],
    ['const { random } = Math;', 'Math taken apart'],
    ["const a = Date['now']();", 'Date taken apart'],
    ['const a = process.env.HOME;', 'process.env'],
    ['const { HOME } = process.env;', 'process.env'],
    ['console.log(1);', 'console'],
    ["import { randomUUID } from 'node:crypto';", 'randomUUID'],
    ['const a = { b: [Date.now()] };', 'Date.now'],
  ])('the check finds %s', (planted, name) => {
    expect(namesIn(planted, forbiddenCall)).toContain(name);
  });

  test.each([
    '// Date.now() and console.log',
    '/** `new Date()`, `process.env` */',
    "const a = 'Math.random()';",
    'const a = clock.now(); const b = date.now; type T = Date;',
    'interface X { now(): number; random: string }',
  ])('the check lets pass: %s', (innocent) => {
    expect(namesIn(innocent, forbiddenCall)).toEqual([]);
  });
});

describe('the domain', () => {
  const domain = src.filter((file) => file.startsWith('src/domain/'));

  test('waits for nothing', () => {
    expect(domain.length).toBeGreaterThan(10);
    expect(allIn(domain, isAsync)).toEqual([]);
  });

  test.each([
    'async function f() {}',
    'const f = async () => 1;',
    'class A { async m() {} }',
    'async function f() { for await (const x of y) z(x); }',
    'export const a = await b;',
  ])('the check finds %s', (planted) => {
    expect(namesIn(planted, isAsync).length).toBeGreaterThan(0);
  });

  test('the check lets a promise pass, which the domain may describe', () => {
    expect(namesIn('interface A { f(): Promise<void> } // async await', isAsync)).toEqual([]);
  });
});

describe('modules', () => {
  test('have no enum, no namespace, no default export and pass nothing on whole', () => {
    expect(allIn([...src, ...cli], forbiddenForm)).toEqual([]);
  });

  test('none is an index', () => {
    expect([...src, ...cli].filter((file) => /(^|\/)index\.tsx?$/.test(file))).toEqual([]);
  });

  test('each begins with what it is for', () => {
    const silent = [...src, ...cli].filter((file) => !/^(#!.*\n)?\/\*\*/.test(read(file)));
    expect(silent).toEqual([]);
  });

  test.each([
    ['enum A { B }', 'enum'],
    ['export const enum A { B }', 'enum'],
    ['namespace A { export const b = 1; }', 'namespace'],
    ['export default 1;', 'default export'],
    ['export default function f() {}', 'default export'],
    ['export default class A {}', 'default export'],
    ['const a = 1; export { a as default };', 'default export'],
    ["export * from './a.ts';", 'export *'],
  ])('the check finds %s', (planted, name) => {
    expect(namesIn(planted, forbiddenForm)).toContain(name);
  });

  test.each([
    "import ts from 'typescript';",
    'switch (a) { case 1: break; default: break; }',
    "export { a } from './a.ts';",
    'export const a = { default: 1, enum: 2 };',
  ])('the check lets pass: %s', (innocent) => {
    expect(namesIn(innocent, forbiddenForm)).toEqual([]);
  });
});

describe('the documents', () => {
  const documents = [
    'README.md',
    ...readdirSync(path.join(root, 'docs'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => `docs/${name}`),
  ];

  /** Files that a text links to, from where it stands. */
  const linksOf = (text: string): string[] =>
    [...text.matchAll(/\]\((?!https?:|mailto:|#)([^)#\s]+)/g)].map((match) => match[1] ?? '');
  /** Files of the program that a text names: `src/…/name.ts`. */
  const sourcesIn = (text: string): string[] =>
    [...text.matchAll(/`((?:src|cli|test|scripts)\/[\w./-]+\.(?:ts|tsx|mjs))`/g)].map((match) => match[1] ?? '');

  test('those that a newcomer and an operator need are there', () => {
    for (const file of [
      'README.md',
      'docs/ARCHITECTURE.md',
      'docs/configuration.md',
      'docs/errors.md',
      'docs/events.md',
      'LICENSE',
    ]) {
      expect(existsSync(path.join(root, file)), file).toBe(true);
    }
    expect(readdirSync(path.join(root, 'docs/decisions')).length).toBeGreaterThan(5);
  });

  test('link to files that are there', () => {
    const dead = documents.flatMap((file) =>
      linksOf(read(file))
        .filter((link) => !existsSync(path.join(root, path.dirname(file), link)))
        .map((link) => `${file} → ${link}`),
    );
    expect(dead).toEqual([]);
  });

  test('name source files that are there', () => {
    const gone = documents.flatMap((file) =>
      sourcesIn(read(file))
        .filter((named) => !existsSync(path.join(root, named)))
        .map((named) => `${file} names ${named}`),
    );
    expect(gone).toEqual([]);
  });

  test('every code that HTTP alone answers with is on the page of errors', () => {
    const codes = src
      .filter((file) => file.startsWith('src/http/'))
      .flatMap((file) => [...read(file).matchAll(/\berror: '(\w+)'|parserAnswer\(\s*'[^']+',\s*'(\w+)'/g)])
      .map(([, plain, ofParser]) => plain ?? ofParser);
    expect(codes).toEqual(expect.arrayContaining(['server_error', 'header_too_large']));
    const page = read('docs/errors.md');
    expect(codes.filter((code) => !page.includes(`\`${code}\``))).toEqual([]);
  });

  test('the checks find what is not there', () => {
    expect(linksOf('see [a](gone.md#x), [b](https://x) and [c](../src/a.ts)')).toEqual(['gone.md', '../src/a.ts']);
    expect(sourcesIn('in `src/a/b.ts` and `cli/c.tsx`, not `d.ts`')).toEqual(['src/a/b.ts', 'cli/c.tsx']);
  });
});
