/**
 * What the terminal interface costs: its first picture, its processor time and memory while nobody touches it, and the
 * lists behind it, with 10 and with 1,000,000 sessions. `scripts/bench/tui.ts [--postgres] [executable [seconds]]`; Linux,
 * with `script` (util-linux) for a terminal. Prints a table as docs/tui.md has it.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { type App, closeApp, openApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config/load.ts';
import { DEFAULT_CLIENT, type FamilyId } from '../../src/domain/ids.ts';
import { after, epochMs, HOUR } from '../../src/domain/time.ts';
import { makeLog } from '../../src/log.ts';
import { readFigures } from '../../src/operations/activity.ts';
import { readFamilies } from '../../src/operations/families.ts';
import { countNewer, type FamilySearch, searchFamilies } from '../../src/operations/search-families.ts';
import { type Cluster, startPostgres } from '../../test/support/postgres-global-setup.ts';
import { cpuOf } from './cpu.ts';
import { adopt, end } from './processes.ts';
import { seed } from './seed.ts';

const { values, positionals } = parseArgs({
  options: { postgres: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const [given = 'dist/auth-server', seconds = '30'] = positionals;
const executable = path.resolve(given);
const SIZES = [10, 1_000_000] as const;
/** First pictures that are taken, each by a new process; the median counts. */
const STARTS = 7;
/** Runs of each query; the median counts. */
const QUERIES = 31;
/** Sessions on a screen of 36 rows, and of one reading. */
const VISIBLE = 29;
const PAGE = 100;
const START_LIMIT_MS = 60_000;

const median = (values: readonly number[]): number =>
  values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? Number.NaN;

/** The median, and the least: what a machine of its own would come near. */
const spread = (values: readonly number[]): string =>
  `${Math.round(median(values))} (${Math.round(Math.min(...values))}) ms`;

interface Shown {
  readonly child: ChildProcess;
  readonly pid: number;
  /** From the start of the process to the first picture with a session in it. */
  readonly firstMs: number;
  /** Processor time until then: the same on a machine that does other things too. */
  readonly firstCpuMs: number;
}

async function show(folder: string): Promise<Shown> {
  const pidFile = path.join(folder, 'tui.pid');
  const command = `stty rows 36 cols 120; echo $$ >${pidFile}; exec ${executable} tui`;
  const start = performance.now();
  const env = { TERM: 'xterm-256color', PATH: process.env.PATH ?? '', LANG: 'C.UTF-8' };
  const child = spawn('script', ['-qfec', command, '/dev/null'], {
    cwd: folder,
    env,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  adopt(child);
  let drawn = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    if (drawn.length < 100_000) drawn += text;
  });
  // A session has been read, not only the frame around it.
  while (!/[0-9a-f]{8}\.\.[0-9a-f]{6}/.test(drawn)) {
    if (child.exitCode !== null || performance.now() - start > START_LIMIT_MS) throw new Error(`no picture:\n${drawn}`);
    await delay(1);
  }
  const firstMs = performance.now() - start;
  const pid = Number(readFileSync(pidFile, 'utf8'));
  return { child, pid, firstMs, firstCpuMs: cpuOf(pid) };
}

async function quit({ child }: Shown): Promise<void> {
  const ended = once(child, 'exit');
  child.stdin?.write('q');
  await Promise.race([ended, delay(5_000)]);
  await end(child);
}

/** Proportional to what it alone holds; a packed program shares nothing with another. */
const residentMb = (pid: number): number => {
  const [, kb = '0'] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kb) / 1_024;
};

async function measureScreen(folder: string): Promise<readonly [string, string][]> {
  const versions = Array.from({ length: STARTS }, () => {
    const start = performance.now();
    execFileSync(executable, ['--version']);
    return performance.now() - start;
  });
  const firsts: Shown[] = [];
  for (let count = 0; count < STARTS; count += 1) {
    const shown = await show(folder);
    firsts.push(shown);
    await quit(shown);
  }
  const shown = await show(folder);
  // What the start has left to do is no idling.
  await delay(5_000);
  const [cpuBefore, before] = [cpuOf(shown.pid), performance.now()];
  await delay(Number(seconds) * 1_000);
  const share = ((cpuOf(shown.pid) - cpuBefore) / (performance.now() - before)) * 100;
  const memory = residentMb(shown.pid);
  await quit(shown);
  return [
    ['`--version` of the same program', spread(versions)],
    ['first picture', spread(firsts.map(({ firstMs }) => firstMs))],
    ['processor time until then', spread(firsts.map(({ firstCpuMs }) => firstCpuMs))],
    ['processor while idle', `${share.toFixed(1)} %`],
    ['memory', `${Math.round(memory)} MB`],
  ];
}

async function timed(work: () => Promise<unknown>): Promise<string> {
  const times: number[] = [];
  for (let count = 0; count < QUERIES; count += 1) {
    const start = performance.now();
    await work();
    times.push(performance.now() - start);
  }
  return `${median(times).toFixed(2)} (${Math.min(...times).toFixed(2)}) ms`;
}

async function measureQueries(app: App): Promise<readonly [string, string][]> {
  const find = (search: FamilySearch) => searchFamilies(app, search, { limit: PAGE });
  const { families } = await find({});
  const visible = families.slice(0, VISIBLE).map(({ sid }) => sid as FamilyId);
  const [top] = families;
  if (top === undefined) throw new Error('nothing was seeded');
  const client = DEFAULT_CLIENT;
  const since = after(app.clock.now(), -HOUR);
  return [
    [`page of ${PAGE}`, await timed(() => find({}))],
    ['visible sessions again', await timed(() => readFamilies(app, visible))],
    ['new ones counted', await timed(() => countNewer(app, {}, top, PAGE))],
    ['`client:`', await timed(() => find({ client }))],
    ['`client: state:expired`, nothing fits', await timed(() => find({ client, state: 'expired' }))],
    ['`state:expired`, nothing fits', await timed(() => find({ state: 'expired' }))],
    ['`cause:reuse`', await timed(() => find({ cause: 'reuse' }))],
    ['`since:1h`', await timed(() => find({ since }))],
    ['beginning of a subject', await timed(() => find({ subjectPrefix: top.subject.slice(0, 4) }))],
    ['totals of Health, each minute', await timed(() => readFigures(app))],
  ];
}

async function open(folder: string): Promise<App> {
  const configFile = path.join(folder, 'auth.config.json');
  const { config } = loadConfig({ flags: {}, configFile, env: {}, cwd: folder });
  const write = (line: string): void => {
    process.stderr.write(line);
  };
  return openApp({
    config,
    log: makeLog({ level: 'warn', format: 'pretty', now: () => epochMs(Date.now()), write }),
    schema: 'current',
  });
}

/** A database of its own; what was just written is known to the planner, as it is after a while of its own accord. */
async function onPostgres(cluster: Cluster, sql: string, database = 'postgres'): Promise<void> {
  const client = new pg.Client({ connectionString: `${cluster.url}/${database}` });
  await client.connect();
  await client.query(sql).finally(() => client.end());
}

async function measure(families: number, cluster: Cluster | undefined): Promise<readonly [string, string][]> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'auth-server-tui-'));
  const here = process.cwd();
  try {
    process.stderr.write(`${families.toLocaleString('en')} sessions: seeding\n`);
    process.chdir(folder);
    const database = `tui_${families}`;
    if (cluster !== undefined) await onPostgres(cluster, `create database ${database}`);
    const databaseUrl = cluster === undefined ? 'sqlite:auth.db' : `${cluster.url}/${database}`;
    await seed({ folder, port: 8080, databaseUrl, families, pairs: 1 });
    if (cluster !== undefined) await onPostgres(cluster, 'vacuum analyze', database);
    process.stderr.write('measuring\n');
    const screen = await measureScreen(folder);
    const app = await open(folder);
    const queries = await measureQueries(app);
    await closeApp(app);
    return [...screen, ...queries];
  } finally {
    process.chdir(here);
    rmSync(folder, { recursive: true, force: true });
  }
}

const columns: (readonly [string, string][])[] = [];
const cluster = values.postgres ? await startPostgres(true) : undefined;
for (const families of SIZES) columns.push(await measure(families, cluster));
await cluster?.stop();
const [few = [], many = []] = columns;
const rows = few.map(([name, value], index) => `| ${name} | ${value} | ${many[index]?.[1] ?? ''} |`);
const cores = `${os.availableParallelism()} cores, load ${os.loadavg()[0]?.toFixed(1)}`;
process.stdout.write(
  [
    `Node ${process.versions.node}, ${cores}`,
    '',
    '| | 10 sessions | 1,000,000 sessions |',
    '| --- | --- | --- |',
    ...rows,
    '',
  ].join('\n'),
);
