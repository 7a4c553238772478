/**
 * `node --import ./scripts/tsx-hook.ts scripts/bench/storage.ts [--database sqlite|postgres] [--rotations N] [--families N] [--cycles N]`:
 * what rotations leave behind, twice over: so many of them, then 40 days later a purge by command, beside a server that
 * refreshes. Rows and bytes before and after it, and how long refreshes take beside it against without it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import BetterSqlite3 from 'better-sqlite3';
import pg from 'pg';
import { DAY, SECOND } from '../../src/domain/time.ts';
import { makeMovedClock } from '../../test/fire/moved-clock.ts';
import { freePort } from '../../test/support/free-port.ts';
import { type Cluster, startPostgres } from '../../test/support/postgres-global-setup.ts';
import { scratchFolder } from '../../test/support/scratch.ts';
import { type Ask, drive } from '../fire/drive.ts';
import { quantile } from '../fire/figures.ts';
import { refreshRequest, type Session, sessionOf } from '../fire/load.ts';
import { adopt, startServer } from './processes.ts';
import { circumstances } from './report.ts';
import { seed } from './seed.ts';

const { values } = parseArgs({
  options: {
    database: { type: 'string', default: 'sqlite' },
    rotations: { type: 'string', default: '100000' },
    families: { type: 'string', default: '100' },
    cycles: { type: 'string', default: '2' },
    executable: { type: 'string', default: 'dist/auth-server' },
  },
});
const rotations = Number(values.rotations);
const executable = path.resolve(values.executable);
const cycles = Number(values.cycles);
const LATER = 40 * DAY;
/** Refreshes a second while they are timed: of a rate that an idle machine does not feel. */
const PER_SECOND = 200;
/** How long they are timed without the purge, before it and after it. */
const QUIET_MS = 5_000;
/** In one piece, while the end of the purge is waited for. */
const SLICE_MS = 250;
const CONNECTIONS = 16;

const folder = scratchFolder('storage', os.tmpdir());
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const file = path.join(folder, 'auth.db');
const clock = makeMovedClock(folder);
// Postgres is another user, and its clock moves too.
chmodSync(folder, 0o755);

const row = (...cells: readonly (string | number)[]): void =>
  void process.stdout.write(`| ${cells.map((cell) => cell.toLocaleString('en')).join(' | ')} |\n`);

interface Look {
  readonly families: number;
  readonly generations: number;
  readonly bytes: number;
  /** Of these, what the next rows are written to. */
  readonly free: number;
}

/** The log is emptied first, so that the file is all there is. */
function lookAtSqlite(): Look {
  const db = new BetterSqlite3(file);
  db.pragma('wal_checkpoint(TRUNCATE)');
  const count = (table: string): number => db.prepare<[], number>(`select count(*) from ${table}`).pluck().get() ?? 0;
  const free = Number(db.pragma('freelist_count', { simple: true })) * Number(db.pragma('page_size', { simple: true }));
  const look = {
    families: count('token_families'),
    generations: count('refresh_tokens'),
    bytes: statSync(file).size,
    free,
  };
  db.close();
  return look;
}

/** `vacuum` is given here because autovacuum comes when it likes; after it, dead rows are room for the next. */
async function lookAtPostgres(url: string): Promise<Look> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query('create extension if not exists pg_freespacemap');
  for (const table of ['token_families', 'refresh_tokens', 'events']) await client.query(`vacuum ${table}`);
  const { rows } = await client.query<Record<keyof Look, string>>(
    `select (select count(*) from token_families) as families, (select count(*) from refresh_tokens) as generations,
      pg_database_size(current_database()) as bytes, (select sum(avail) from pg_freespace('refresh_tokens')) as free`,
  );
  await client.end();
  const [found] = rows;
  const number = (name: keyof Look): number => Number(found?.[name] ?? 0);
  return {
    families: number('families'),
    generations: number('generations'),
    bytes: number('bytes'),
    free: number('free'),
  };
}

/** Sessions that wait for their turn. */
const idle: Session[] = [];
const refused: string[] = [];

function next(): Ask | undefined {
  const session = idle.shift();
  if (session === undefined) return undefined;
  return {
    kind: 'refresh',
    request: refreshRequest(session),
    answered(answer) {
      if (answer?.status === 200) idle.push(sessionOf(answer.text));
      else refused.push(answer === undefined ? 'no answer' : `${answer.status} ${answer.text}`);
    },
  };
}

const timed = async (port: number, durationMs: number): Promise<number[]> =>
  (await drive({ port, connections: CONNECTIONS, perSecond: PER_SECOND, durationMs, next })).samples.map(
    ({ ms }) => ms,
  );

async function rotate(port: number): Promise<void> {
  let left = rotations;
  const limited = (): Ask | undefined => {
    if (left <= 0) return undefined;
    const one = next();
    if (one !== undefined) left -= 1;
    return one;
  };
  while (left > 0) await drive({ port, connections: CONNECTIONS, durationMs: SECOND, next: limited });
}

/** By command, as the worker does it. @returns what it printed, and how long it took */
async function purge(): Promise<{ text: string; ms: number }> {
  const before = performance.now();
  const env = { PATH: process.env.PATH, ...clock.env };
  const child = spawn(executable, ['purge', '--json'], { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'] });
  adopt(child);
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  await once(child, 'close');
  if (child.exitCode !== 0) throw new Error(`purge: exit ${child.exitCode}`);
  return { text: text.trim(), ms: performance.now() - before };
}

/** @returns a sentence about the purge */
async function purgeBeside(port: number): Promise<string> {
  const quiet = await timed(port, QUIET_MS);
  let done: Awaited<ReturnType<typeof purge>> | undefined;
  const work = purge().then((result) => {
    done = result;
  });
  const beside: number[] = [];
  while (done === undefined) beside.push(...(await timed(port, SLICE_MS)));
  await work;
  quiet.push(...(await timed(port, QUIET_MS)));
  const [alone, with99] = [quantile(quiet, 0.99), quantile(beside, 0.99)];
  return (
    `purge: ${done.text} in ${(done.ms / SECOND).toFixed(1)} s. p99 of ${beside.length} refreshes beside it ${with99.toFixed(1)} ms, ` +
    `of ${quiet.length} before and after ${alone.toFixed(1)} ms: ${(with99 / alone).toFixed(2)} times; median ` +
    `${quantile(beside, 0.5).toFixed(1)} and ${quantile(quiet, 0.5).toFixed(1)} ms.`
  );
}

let cluster: Cluster | undefined;

/** Whose clock moves too. */
async function startMovedPostgres(): Promise<Cluster> {
  Object.assign(process.env, clock.env);
  try {
    return await startPostgres(true);
  } finally {
    for (const name of Object.keys(clock.env)) delete process.env[name];
  }
}

try {
  if (values.database === 'postgres') cluster = await startMovedPostgres();
  const databaseUrl = cluster === undefined ? `sqlite:${file}` : `${cluster.url}/postgres`;
  const look = async (name: string): Promise<void> => {
    const { families, generations, bytes, free } =
      cluster === undefined ? lookAtSqlite() : await lookAtPostgres(databaseUrl);
    row(name, families, generations, bytes, free);
  };
  const port = await freePort();
  const families = Number(values.families);
  const { pairs } = await seed({ folder, port, databaseUrl, families, pairs: families });
  idle.push(...pairs.map((pair) => ({ ...pair, family: '', generation: 0 })));
  const moved = Object.entries(clock.env).map(([name, value]) => `${name}=${value}`);
  const server = await startServer({
    command: ['env', ...moved, executable, 'serve'],
    cwd: folder,
    port,
    path: '/healthz',
  });
  row(values.database, 'families', 'generations', 'bytes', 'of these free');
  row('---', '---:', '---:', '---:', '---:');
  await look('logins');
  for (let cycle = 1; cycle <= cycles; cycle += 1) {
    await rotate(port);
    await look(`${rotations.toLocaleString('en')} rotations`);
    clock.set((cycle * LATER) / SECOND);
    process.stderr.write(`${await purgeBeside(port)}\n`);
    await look('40 days later, purged');
  }
  await server.stop();
  if (refused.length > 0) throw new Error(`${refused.length} were refused: ${refused[0]}`);
  process.stdout.write(
    `\n${circumstances()}, load ${os
      .loadavg()
      .map((load) => load.toFixed(1))
      .join(' ')}\n`,
  );
} finally {
  await cluster?.stop();
}
