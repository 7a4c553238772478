/**
 * `node scripts/bench/families.ts [--families N] [--database sqlite|postgres]`: what many families cost whoever administers
 * them, against 10,000 in the same run. A figure of the large database is told with its ratio to that of the small one.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { type App, closeApp, openApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { ClientId, Subject } from '../../src/domain/ids.ts';
import { type EpochMs, epochMs, HOUR } from '../../src/domain/time.ts';
import { makeLog } from '../../src/log.ts';
import { type FamilyListRequest, listFamilyPage } from '../../src/operations/families.ts';
import { previewRevocation, type RevocationRequest, revoke } from '../../src/operations/revoke.ts';
import { freePort } from '../../test/support/free-port.ts';
import { type Cluster, startPostgres } from '../../test/support/postgres-global-setup.ts';
import { scratchFolder } from '../../test/support/scratch.ts';
import { adopt, startServer } from './processes.ts';
import { median } from './report.ts';
import { seed } from './seed.ts';
import { RARE, varied } from './varied.ts';

const { values } = parseArgs({
  options: {
    families: { type: 'string', default: '1000000' },
    database: { type: 'string', default: 'sqlite' },
    executable: { type: 'string', default: 'dist/auth-server' },
    rounds: { type: 'string', default: '5' },
  },
});
const SMALL = 10_000;
const ROUNDS = Number(values.rounds);
const executable = path.resolve(values.executable);
const say = (text: string): void => void process.stderr.write(`${text}\n`);

interface Place {
  readonly folder: string;
  readonly port: number;
}

const folders: string[] = [];
process.on('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

async function prepare(name: string, families: number, databaseUrl: string): Promise<Place> {
  const folder = scratchFolder(`families-${name}`, os.tmpdir());
  folders.push(folder);
  const port = await freePort();
  say(`families: ${families.toLocaleString('en')} are made`);
  await seed({ folder, port, databaseUrl, families, pairs: 0, like: varied(families, Date.now()) });
  return { folder, port };
}

interface Run {
  readonly ms: number;
  /** Peak resident memory, MiB. */
  readonly peak: number;
}

/** The most that a process has had resident, in MiB; 0 once it has ended. */
function peakOf(pid: number | undefined): number {
  try {
    const [, kib] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return Number(kib ?? 0) / 1_024;
  } catch {
    return 0;
  }
}

/** One command as its user has it; what it prints goes nowhere. */
async function runCommand({ folder }: Place, args: readonly string[]): Promise<Run> {
  const before = performance.now();
  const child = spawn(executable, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  adopt(child);
  child.stdout.resume();
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  let peak = 0;
  const timer = setInterval(() => {
    peak = Math.max(peak, peakOf(child.pid));
  }, 5);
  await once(child, 'close');
  clearInterval(timer);
  if (child.exitCode !== 0) throw new Error(`auth-server ${args.join(' ')}: exit ${child.exitCode}\n${said}`);
  return { ms: performance.now() - before, peak };
}

/** From the start of the process to a ready server; killed afterwards, as a crash would. */
async function restart({ folder, port }: Place): Promise<number> {
  const server = await startServer({ command: [executable, 'serve'], cwd: folder, port, path: '/readyz' });
  process.kill(server.pid, 'SIGKILL');
  await server.stop();
  return server.startMs;
}

const list = (request: Partial<FamilyListRequest>) => (app: App) => listFamilyPage(app, { limit: 50, ...request });
const preview = (which: RevocationRequest['which']) => (app: App) => previewRevocation(app, { which });
const [subject, client] = [RARE.subject as Subject, RARE.client as ClientId];
const hoursAgo = (hours: number): EpochMs => epochMs(Date.now() - hours * HOUR);

/** What people ask for, as operations: to start a command costs many times as much, and the same for few and many. */
const QUESTIONS: readonly (readonly [name: string, ask: (app: App) => Promise<unknown>])[] = [
  ['list, first page', list({})],
  ['list `--subject`', list({ subject })],
  ['list `--client`', list({ client })],
  ['list `--ip`', list({ ip: RARE.ip })],
  ['list `--state live`', list({ state: 'live' })],
  ['list `--state revoked`', list({ state: 'revoked' })],
  ['list `--state expired`', list({ state: 'expired' })],
  ['list `--since 2h`', list({ since: hoursAgo(2) })],
  ['`revoke --subject --dry-run`', preview({ subject })],
  ['`revoke --client --dry-run`', preview({ client })],
  ['`revoke --ip --dry-run`', preview({ ip: RARE.ip })],
  ['`revoke --all --dry-run`', preview({ all: true })],
];

const row = (...cells: readonly string[]): void => void process.stdout.write(`| ${cells.join(' | ')} |\n`);
const large = Number(values.families);
const inWords = large.toLocaleString('en');

async function timed(work: () => Promise<unknown>): Promise<number> {
  const before = performance.now();
  await work();
  return performance.now() - before;
}

/** By turns, and the first answer of each is not counted. */
async function ask(few: App, many: App): Promise<void> {
  row('question', 'ms, 10,000', `ms, ${inWords}`, 'ratio');
  row('---', '---:', '---:', '---:');
  for (const [name, question] of QUESTIONS) {
    const times: { few: number; many: number }[] = [];
    for (let round = 0; round <= 3 * ROUNDS; round += 1) {
      const one = { few: await timed(() => question(few)), many: await timed(() => question(many)) };
      if (round > 0) times.push(one);
    }
    const [small, big] = [median(times.map((time) => time.few)), median(times.map((time) => time.many))];
    row(name, small.toFixed(2), big.toFixed(2), (big / small).toFixed(1));
  }
  const rate = async (app: App): Promise<string> => {
    let revoked = 0;
    const ms = await timed(async () => {
      revoked = (await revoke(app, { which: { all: true } })).revoked;
    });
    return ((ms / revoked) * 1_000).toFixed(0);
  };
  const [small, big] = [await rate(few), await rate(many)];
  row('`revoke --all`, µs a family', small, big, (Number(big) / Number(small)).toFixed(1));
}

/** Commands as their users have them: memory is a process's. */
async function compareCommands(few: Place, many: Place): Promise<void> {
  row('command', 'peak MiB, 10,000', `peak MiB, ${inWords}`, 'ratio', `s, ${inWords}`);
  row('---', '---:', '---:', '---:', '---:');
  for (const args of [
    ['families', 'list', '--json'],
    ['families', 'list'],
  ]) {
    const [small, big] = [await runCommand(few, args), await runCommand(many, args)];
    const name = args.length === 2 ? 'all of them into a pipe' : 'first page';
    const ratio = (big.peak / small.peak).toFixed(2);
    row(name, small.peak.toFixed(0), big.peak.toFixed(0), ratio, (big.ms / 1_000).toFixed(1));
  }
}

async function compareRestarts(few: Place, many: Place): Promise<void> {
  const empty = await prepare('empty', 0, values.database === 'sqlite' ? 'sqlite:auth.db' : await database('empty'));
  const times: Record<'empty' | 'small' | 'large', number[]> = { empty: [], small: [], large: [] };
  for (let round = 0; round < ROUNDS; round += 1) {
    times.empty.push(await restart(empty));
    times.small.push(await restart(few));
    times.large.push(await restart(many));
  }
  const ratio = (name: 'small' | 'large'): string =>
    median(times[name].map((ms, index) => ms / (times.empty[index] ?? ms))).toFixed(2);
  row('ready after `kill -9`', 'ms', 'to the empty one');
  row('---', '---:', '---:');
  row('empty', median(times.empty).toFixed(0), '1');
  row('10,000', median(times.small).toFixed(0), ratio('small'));
  row(inWords, median(times.large).toFixed(0), ratio('large'));
}

let cluster: Cluster | undefined;

async function database(name: string): Promise<string> {
  if (values.database === 'sqlite') return 'sqlite:auth.db';
  cluster ??= await startPostgres(true);
  const client = new pg.Client({ connectionString: `${cluster.url}/postgres` });
  await client.connect();
  await client.query(`create database ${name}`);
  await client.end();
  return `${cluster.url}/${name}`;
}

async function openIn({ folder }: Place): Promise<App> {
  const { config } = loadConfig({ flags: {}, configFile: path.join(folder, 'auth.config.json'), env: {}, cwd: folder });
  const log = makeLog({ level: 'error', format: 'json', now: () => epochMs(Date.now()), write: say });
  return openApp({ config, log, schema: 'current' });
}

const loadOfMachine = (): string =>
  os
    .loadavg()
    .map((load) => load.toFixed(1))
    .join(', ');

try {
  const few = await prepare('small', SMALL, await database('small'));
  const many = await prepare('large', large, await database('large'));
  say(`load of the machine: ${loadOfMachine()}`);
  await compareRestarts(few, many);
  await compareCommands(few, many);
  const apps = [await openIn(few), await openIn(many)] as const;
  await ask(...apps);
  for (const app of apps) await closeApp(app);
  say(`load of the machine: ${loadOfMachine()}`);
} finally {
  await cluster?.stop();
}
