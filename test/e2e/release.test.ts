/** What `npm run release` promises: complete, true to its checksums, and the same bytes from the same sources. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { scratchFolder } from '../support/scratch.ts';

const root = path.dirname(path.dirname(import.meta.dirname));
const node = path.join(root, 'node_modules/.bin/node');
/** On a machine that does other things too. */
const LIMIT_MS = 480_000;

function folder(): string {
  const made = scratchFolder('release', os.tmpdir());
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

function script(name: string, ...args: readonly string[]): void {
  // Whoever commits meanwhile shall not move the time of the release.
  const env = { ...process.env, SOURCE_DATE_EPOCH: '1780000000' };
  execFileSync(node, [path.join(root, 'scripts', name), ...args], { env, stdio: ['ignore', 'ignore', 'inherit'] });
}

interface Bom {
  readonly bomFormat: string;
  readonly components: readonly { readonly name: string; readonly version: string; readonly scope: string }[];
}

test('an archive with everything in it, twice the same', { timeout: LIMIT_MS }, () => {
  // In place of the executable, which the other test is about.
  const executable = path.join(folder(), 'program');
  writeFileSync(executable, '#!/bin/sh\necho released\n');
  const outputs = [folder(), folder()];
  for (const output of outputs) script('release.ts', '--executable', executable, '--output', output);
  const [one = '', other = ''] = outputs;
  const names = readdirSync(one);
  expect(names.toSorted()).toEqual(readdirSync(other).toSorted());
  for (const name of names) {
    expect(readFileSync(path.join(one, name)).equals(readFileSync(path.join(other, name))), name).toBe(true);
  }

  const [archive = ''] = names.filter((name) => name.endsWith('.tar.gz'));
  execFileSync('sha256sum', ['--check', '--strict', '--quiet', `${archive}.sha256`], { cwd: one });
  execFileSync('tar', ['--extract', '--gzip', '--file', archive], { cwd: one });
  const release = path.join(one, archive.replace('.tar.gz', ''));
  execFileSync('sha256sum', ['--check', '--strict', '--quiet', 'SHA256SUMS'], { cwd: release });
  expect(execFileSync(path.join(release, 'bin/auth-server'), { encoding: 'utf8' })).toBe('released\n');
  const [man = ''] = readdirSync(path.join(release, 'share/man/man1'));
  expect(man).toBe('auth-server.1');
  expect(readdirSync(path.join(release, 'share/systemd'))).toEqual([
    'auth-server-worker.service',
    'auth-server.service',
  ]);

  const licences = readFileSync(path.join(release, 'THIRD-PARTY-LICENCES.txt'), 'utf8');
  const bom: Bom = JSON.parse(readFileSync(path.join(release, 'sbom.cdx.json'), 'utf8'));
  expect(bom.bomFormat).toBe('CycloneDX');
  const { devDependencies }: { devDependencies: Record<string, string> } = JSON.parse(
    readFileSync(path.join(root, 'package.json'), 'utf8'),
  );
  // Those that the program names, and those that it brings without naming them.
  for (const name of ['amqplib', 'better-sqlite3', 'commander', 'ink', 'kysely', 'pg', 'react', 'zod']) {
    const version = devDependencies[name];
    expect(bom.components).toContainEqual(expect.objectContaining({ name, version, scope: 'required' }));
    expect(licences).toContain(`\n${name} ${version} (`);
  }
  expect(bom.components).toContainEqual(expect.objectContaining({ name: 'node', version: process.versions.node }));
  for (const name of ['pg-protocol', 'react-reconciler']) expect(licences).toContain(`\n${name} `);
  // Tools and judges of the tests are not in it.
  for (const name of ['vitest', 'jose', 'typescript']) expect(licences).not.toContain(`\n${name} `);
  expect(bom.components.some(({ name }) => name === 'sqlite')).toBe(true);
  expect(licences).toContain('Copyright Node.js contributors');
  // What a list names, the other one has a licence of.
  for (const { name, version } of bom.components) expect(licences).toContain(`\n${name} ${version} (`);
});

test('the executable of the same sources is the same, byte for byte', { timeout: LIMIT_MS }, () => {
  const made = folder();
  // Small, and with a package in it, so that there is a code cache to speak of.
  const entry = path.join(made, 'entry.ts');
  writeFileSync(
    entry,
    `import { z } from '${path.join(root, 'node_modules/zod/index.js')}';\nconsole.log(z.string().parse('ok'));\n`,
  );
  const files = [path.join(made, 'one/program'), path.join(made, 'another-folder/program')];
  for (const file of files) script('build.ts', entry, file);
  const [one, other] = files.map((file) => readFileSync(file));
  expect(one !== undefined && other !== undefined && one.equals(other)).toBe(true);
  expect(execFileSync(files[0] ?? '', { encoding: 'utf8' })).toBe('ok\n');
});
