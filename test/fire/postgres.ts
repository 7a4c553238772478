/**
 * A Postgres of one test's own, which may be killed, frozen and started again; and a way to it that is cut at a chosen
 * statement, before it arrives or before its answer comes back.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { onTestFinished } from 'vitest';
import { startPostgres } from '../support/postgres-global-setup.ts';
import { until } from '../support/until.ts';
import type { Ground } from './ground.ts';

const LIMIT_MS = 30_000;

export interface OwnPostgres {
  readonly url: string;
  readonly port: number;
  /** Ends at once, as a machine that loses its power would, and starts again. */
  restartImmediately(): Promise<void>;
  /** Who is let in from now on, and how (pg_hba.conf). */
  admit(rules: readonly string[]): Promise<void>;
  /** All processes of it stop where they are. @returns lets them go on */
  freeze(): () => void;
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** One that has ended meanwhile needs no signal. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (isAlive(pid)) throw error;
  }
}

const childrenOf = (pid: number): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((id) => {
      try {
        return readFileSync(`/proc/${id}/stat`, 'utf8').split(') ')[1]?.split(' ')[1] === String(pid);
      } catch {
        return false;
      }
    });

export async function startOwnPostgres(): Promise<OwnPostgres> {
  // As in production: one that forgets at a crash is caught by the history checker.
  const cluster = await startPostgres(true);
  const data = path.join(path.dirname(cluster.keepFile), 'data');
  const { port: portText } = new URL(cluster.url);
  const port = Number(portText);
  const pidFile = path.join(data, 'postmaster.pid');
  const postmaster = (): number => Number(readFileSync(pidFile, 'utf8').split('\n')[0]);
  let restarted: number | undefined;

  async function end(pid: number, signal: NodeJS.Signals): Promise<void> {
    process.kill(pid, signal);
    for (let waited = 0; isAlive(pid); waited += 10) {
      if (waited > LIMIT_MS) throw new Error('Postgres did not end');
      await delay(10);
    }
  }

  onTestFinished(async () => {
    if (restarted !== undefined && isAlive(restarted)) await end(restarted, 'SIGQUIT');
    await cluster.stop();
  });

  return {
    url: `${cluster.url}/postgres`,
    port,
    async restartImmediately() {
      const command = readFileSync(path.join(data, 'postmaster.opts'), 'utf8').trim();
      await end(postmaster(), 'SIGQUIT');
      const [program = '', ...args] = [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(
        (match) => match[1] ?? match[2] ?? '',
      );
      const { uid, gid } = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : { uid: undefined, gid: undefined };
      const child = spawn(program, args, {
        cwd: '/',
        stdio: ['ignore', 'ignore', 'pipe'],
        ...(uid === undefined ? {} : { uid, gid }),
      });
      restarted = child.pid;
      const ready = new Promise<void>((resolve, reject) => {
        child.on('exit', () => reject(new Error('Postgres did not start again')));
        child.stderr.setEncoding('utf8').on('data', (text: string) => {
          if (text.includes('ready to accept connections')) resolve();
        });
      });
      await ready;
    },
    async admit(rules) {
      writeFileSync(path.join(data, 'pg_hba.conf'), `${rules.join('\n')}\n`);
      await runOn(`${cluster.url}/postgres`, 'select pg_reload_conf()');
    },
    freeze() {
      const main = postmaster();
      // It first, so that it makes no others meanwhile.
      signal(main, 'SIGSTOP');
      const all = [main, ...childrenOf(main)];
      for (const pid of all) signal(pid, 'SIGSTOP');
      const goOn = (): void => {
        for (const pid of all) signal(pid, 'SIGCONT');
      };
      // One that stands still cannot be ended.
      onTestFinished(goOn);
      return goOn;
    },
  };
}

/** Before the statement arrives, or when its answer comes back. */
export type CutAt = 'statement' | 'answer';

/** The connection ends; or only the side from the server, and what is sent goes nowhere; or it stays and carries nothing. */
export type CutHow = 'ended' | 'half closed' | 'swallowed';

export interface Cut {
  readonly statement: RegExp;
  readonly at: CutAt;
  readonly how?: CutHow;
  /** Which of those that match, from 1. */
  readonly nth?: number;
}

export interface CuttingProxy {
  readonly port: number;
  /** From now on the connection that sends the nth such statement is cut, and no other. @returns ends that, and tells what was */
  arm(cut: Cut): () => { readonly isCut: boolean; readonly matched: number };
}

interface Message {
  /** Empty for the first of a connection, which has none. */
  readonly type: string;
  readonly body: Buffer;
}

/** Puts chunks together to messages (PostgreSQL, "Message Formats"). */
function messageReader(): (chunk: Buffer) => Message[] {
  let rest = Buffer.alloc(0);
  let header = 0;
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    const found: Message[] = [];
    while (rest.length >= header + 4 && rest.length >= header + rest.readInt32BE(header)) {
      const length = header + rest.readInt32BE(header);
      found.push({ type: rest.toString('latin1', 0, header), body: rest.subarray(header + 4, length) });
      rest = rest.subarray(length);
      header = 1;
    }
    return found;
  };
}

/** The SQL of what a client sends: of a prepared statement too, by its name. */
function statementReader(): (chunk: Buffer) => string[] {
  const byName = new Map<string, string>();
  const read = messageReader();
  return (chunk) =>
    read(chunk).flatMap(({ type, body }) => {
      const [first = '', second = ''] = body.toString('latin1').split('\0', 2);
      if (type === 'P') byName.set(first, second);
      if (type === 'Q') return [first];
      return type === 'B' ? [byName.get(second) ?? ''] : [];
    });
}

export async function openCuttingProxy(target: number): Promise<CuttingProxy> {
  const sockets = new Set<Socket>();
  let armed: { readonly cut: Cut; matched: number; isCut: boolean } | undefined;

  /** @returns how the connection that has sent these is to be cut */
  function cutOf(sent: readonly string[]): Cut | undefined {
    if (armed === undefined || armed.isCut) return undefined;
    const { statement, nth = 1 } = armed.cut;
    armed.matched += sent.filter((sql) => statement.test(sql)).length;
    armed.isCut = armed.matched >= nth;
    return armed.isCut ? armed.cut : undefined;
  }

  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect(target, '127.0.0.1');
    const statements = statementReader();
    let waiting: Cut | undefined;
    let isDeaf = false;
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket
        .on('error', () => undefined)
        .on('end', () => near.destroy())
        .on('close', () => {
          sockets.delete(socket);
          near.destroy();
          far.destroy();
        });
    }
    function spoil({ how = 'ended' }: Cut): void {
      isDeaf = true;
      if (how === 'ended') near.destroy();
      if (how === 'half closed') near.end();
    }
    near.on('data', (chunk: Buffer) => {
      if (isDeaf) return;
      waiting ??= cutOf(statements(chunk));
      if (waiting?.at === 'statement') spoil(waiting);
      else far.write(chunk);
    });
    far.on('data', (chunk: Buffer) => {
      if (isDeaf) return;
      if (waiting === undefined) near.write(chunk);
      else spoil(waiting);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.close();
    for (const socket of sockets) socket.destroy();
    await once(server, 'close');
  });
  const address = server.address();
  return {
    port: address !== null && typeof address === 'object' ? address.port : 0,
    arm(cut) {
      const now = { cut, matched: 0, isCut: false };
      armed = now;
      return () => {
        armed = undefined;
        return now;
      };
    },
  };
}

/** One statement, by a connection of its own. */
export async function runOn(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(sql).finally(() => client.end());
}

/** The servers under test keep no more connections than their pool has; Postgres takes a moment to see that one is gone. */
export const untilPoolIs = (ground: Ground, size: number): Promise<void> =>
  until(async () => {
    const [row] = await ground.query<{ count: string }>(
      "select count(*) as count from pg_stat_activity where application_name = 'auth-server'",
    );
    return Number(row?.count) <= size;
  }, `no more than ${size} connections`);

/** How to come to the database of a ground by another port, and its own. */
export async function throughProxy(ground: Ground): Promise<{ readonly port: number; url(port: number): string }> {
  const [row] = await ground.query<{ name: string; user: string; port: string }>(
    "select current_database() as name, current_user as user, current_setting('port') as port",
  );
  if (row === undefined) throw new Error('Postgres says who it is');
  return { port: Number(row.port), url: (port) => `postgres://${row.user}@127.0.0.1:${port}/${row.name}` };
}
