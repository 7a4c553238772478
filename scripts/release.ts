/**
 * Makes a release, `npm run release`: one archive with the executable and all that belongs to it, and its checksum. The same
 * commit gives the same bytes, wherever and whenever: times are those of the commit (or of SOURCE_DATE_EPOCH, seconds).
 * Usage: `scripts/release.ts [--executable FILE] [--output FOLDER]`; without an executable it builds one.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { licencesFile, packedPackages, packedRuntime } from './release/packed.ts';
import { sbomFile } from './release/sbom.ts';

const root = path.dirname(import.meta.dirname);
const { platform, arch } = process;

/** Where a file of the repository goes. */
const FILES: readonly (readonly [from: string, to: string])[] = [
  ['LICENSE', 'LICENSE'],
  ['README.md', 'README.md'],
  ['docs/auth-server.1', 'share/man/man1/auth-server.1'],
  ['docs/auth.config.schema.json', 'share/auth.config.schema.json'],
  ['auth.config.example.json', 'share/auth.config.example.json'],
  ['docs/deploy/auth-server.service', 'share/systemd/auth-server.service'],
  ['docs/deploy/auth-server-worker.service', 'share/systemd/auth-server-worker.service'],
  ['docs/deploy/Dockerfile', 'share/container/Dockerfile'],
  ['docs/deploy/compose.yaml', 'share/container/compose.yaml'],
];

const sha256 = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');

function releaseTime(): Date {
  const given = process.env.SOURCE_DATE_EPOCH;
  const seconds = given ?? execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: root, encoding: 'utf8' });
  return new Date(Number(seconds) * 1_000);
}

function filesIn(folder: string, below = ''): string[] {
  return readdirSync(path.join(folder, below), { withFileTypes: true })
    .flatMap((entry) => {
      const name = path.posix.join(below, entry.name);
      return entry.isDirectory() ? filesIn(folder, name) : [name];
    })
    .toSorted();
}

/** @param folder gets all that is in the archive */
async function fill(folder: string, executable: string, time: Date): Promise<void> {
  for (const [from, to] of FILES) {
    mkdirSync(path.join(folder, path.dirname(to)), { recursive: true });
    copyFileSync(path.join(root, from), path.join(folder, to));
  }
  mkdirSync(path.join(folder, 'bin'));
  copyFileSync(executable, path.join(folder, 'bin/auth-server'));
  const runtime = packedRuntime();
  const packages = await packedPackages();
  writeFileSync(path.join(folder, 'THIRD-PARTY-LICENCES.txt'), licencesFile([...runtime, ...packages]));
  writeFileSync(path.join(folder, 'sbom.cdx.json'), sbomFile(packages, runtime, time));
  const sums = filesIn(folder).map((file) => `${sha256(path.join(folder, file))}  ${file}\n`);
  writeFileSync(path.join(folder, 'SHA256SUMS'), sums.join(''));
  for (const file of filesIn(folder)) chmodSync(path.join(folder, file), file.startsWith('bin/') ? 0o755 : 0o644);
}

/** Neither the order of a folder nor whose it is nor the time get in. */
function archive(parent: string, name: string, time: Date): string {
  const file = path.join(parent, `${name}.tar.gz`);
  const fixed = ['--format=ustar', '--sort=name', '--owner=0', '--group=0', '--numeric-owner', '--mode=go=rX'];
  const stamp = `--mtime=@${time.getTime() / 1_000}`;
  const tar = file.replace(/\.gz$/, '');
  execFileSync('tar', ['--create', '--file', tar, ...fixed, stamp, '--directory', parent, name]);
  execFileSync('gzip', ['--no-name', '--best', tar]);
  return file;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { executable: { type: 'string' }, output: { type: 'string' } } });
  const output = path.resolve(root, values.output ?? 'dist/release');
  const { version }: { version: string } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  const name = `auth-server-${version}-${platform}-${arch}`;
  const time = releaseTime();
  mkdirSync(output, { recursive: true });
  const work = mkdtempSync(path.join(output, 'making-'));
  try {
    const built = path.join(work, 'auth-server');
    if (values.executable === undefined) {
      execFileSync(process.execPath, [path.join(root, 'scripts/build.ts'), 'cli/main.ts', built], { stdio: 'inherit' });
    }
    await fill(path.join(work, name), values.executable ?? built, time);
    const packed = archive(work, name, time);
    const target = path.join(output, path.basename(packed));
    writeFileSync(`${target}.sha256`, `${sha256(packed)}  ${path.basename(packed)}\n`);
    renameSync(packed, target);
    process.stdout.write(`${target}\n`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

await main();
