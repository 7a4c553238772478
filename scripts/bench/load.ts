/**
 * The load generator, a process of its own on the other core: HTTP/1.1 over raw sockets, one request at a time on each. No
 * client library, because each would cost more than the server that it measures; what it uses of its core is reported.
 */
import { connect, type Socket } from 'node:net';
import { cpuOfMachine, cpuOfTree } from './cpu.ts';
import { post } from './requests.ts';

/** The newest tokens of one family. */
export interface Pair {
  readonly refreshToken: string;
  readonly accessToken: string;
}

/** Either the same requests over and over, or families that each move on with every answer. */
export type Work =
  | { readonly kind: 'fixed'; readonly requests: readonly string[] }
  | { readonly kind: 'refresh'; readonly pairs: readonly Pair[] };

/** What the process is sent; `server` is the id of the root of its processes. */
export interface Job {
  readonly port: number;
  readonly connections: number;
  /** Before the measurement: connections, just-in-time compilation, memories. */
  readonly warmUpMs: number;
  readonly measureMs: number;
  readonly server: number;
  /** Process of the database, when it is one of its own. */
  readonly database: number | undefined;
  readonly work: Work;
}

export interface Measured {
  readonly requests: number;
  readonly perSecond: number;
  /** µs of processor time for each request. */
  readonly cpu: number;
  readonly databaseCpu: number;
  /** ms. */
  readonly p50: number;
  readonly p99: number;
  /** Shares of one core: of this process, and of everybody who has no part in the measurement. */
  readonly generator: number;
  readonly others: number;
  /** The families as they are now, for the next measurement. */
  readonly pairs: readonly Pair[];
}

/** What every connection of one job shares. */
interface Slots {
  /** @returns the next request, whole; undefined ends the connection */
  next(): { readonly text: string; answered(body: string): void } | undefined;
  took(ms: number): void;
}

const refreshRequest = ({ refreshToken, accessToken }: Pair): string =>
  post('/refresh', `{"refresh_token":"${refreshToken}","access_token":"${accessToken}"}`);

function pairOf(body: string): Pair {
  const answer = JSON.parse(body) as { refresh_token: string; access_token: string };
  return { refreshToken: answer.refresh_token, accessToken: answer.access_token };
}

/** @returns the requests in turn, and the families at the end */
function source(work: Work): { take: () => { text: string; answered(body: string): void }; pairs(): Pair[] } {
  if (work.kind === 'fixed') {
    let index = -1;
    const ignore = (): void => undefined;
    const take = () => {
      index = (index + 1) % work.requests.length;
      return { text: work.requests[index] ?? '', answered: ignore };
    };
    return { take, pairs: () => [] };
  }
  // A ring: taken at the front, put back at the end. There are more families than connections.
  const pairs = [...work.pairs];
  let front = 0;
  let back = 0;
  const take = () => {
    const pair = pairs[front];
    front = (front + 1) % pairs.length;
    if (pair === undefined) throw new Error('there are fewer families than connections');
    const answered = (body: string): void => {
      pairs[back] = pairOf(body);
      back = (back + 1) % pairs.length;
    };
    return { text: refreshRequest(pair), answered };
  };
  return { take, pairs: () => pairs };
}

/** @returns where the body begins and the answer ends, or undefined while parts of it are missing */
function framing(text: string): { readonly body: number; readonly end: number } | undefined {
  const head = text.indexOf('\r\n\r\n');
  if (head === -1) return undefined;
  const length = /\r\ncontent-length: (\d+)/i.exec(text.slice(0, head))?.[1];
  if (length === undefined) throw new Error(`an answer without Content-Length:\n${text}`);
  const body = head + 4;
  const end = body + Number(length);
  return text.length < end ? undefined : { body, end };
}

/** One connection from its first request to its last. */
function runConnection(port: number, slots: Slots): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect({ port, host: '127.0.0.1', noDelay: true });
    let current: ReturnType<Slots['next']>;
    let sentAt = 0;
    let received = '';

    const sendNext = (): void => {
      current = slots.next();
      if (current === undefined) {
        socket.end();
        resolve();
        return;
      }
      sentAt = performance.now();
      socket.write(current.text, 'latin1');
    };
    const onData = (chunk: Buffer): void => {
      received += chunk.toString('latin1');
      const frame = framing(received);
      if (frame === undefined) return;
      slots.took(performance.now() - sentAt);
      if (!received.startsWith('HTTP/1.1 200 ')) throw new Error(`not answered with 200:\n${received}`);
      current?.answered(received.slice(frame.body, frame.end));
      received = '';
      sendNext();
    };
    socket.on('connect', sendNext);
    socket.on('data', (chunk: Buffer) => {
      try {
        onData(chunk);
      } catch (error) {
        socket.destroy();
        reject(error);
      }
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the server closed a connection')));
  });
}

const percentile = (sorted: Float64Array, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;

interface Reading {
  readonly at: number;
  readonly server: number;
  readonly database: number;
  readonly own: number;
  readonly machine: number;
}

function readClocks({ server, database }: Job): Reading {
  const { user, system } = process.cpuUsage();
  return {
    at: performance.now(),
    server: cpuOfTree(server),
    database: database === undefined ? 0 : cpuOfTree(database),
    own: (user + system) / 1_000,
    machine: cpuOfMachine(),
  };
}

async function measure(job: Job): Promise<Measured> {
  const { take, pairs } = source(job.work);
  const times: number[] = [];
  let phase: 'warm-up' | 'measuring' | 'over' = 'warm-up';
  const slots: Slots = {
    next: () => (phase === 'over' ? undefined : take()),
    took(ms) {
      if (phase === 'measuring') times.push(ms);
    },
  };
  const connections = Array.from({ length: job.connections }, () => runConnection(job.port, slots));
  const phases = async (): Promise<[Reading, Reading]> => {
    await delay(job.warmUpMs);
    const before = readClocks(job);
    phase = 'measuring';
    await delay(job.measureMs);
    phase = 'over';
    return [before, readClocks(job)];
  };
  const [[before, after]] = await Promise.all([phases(), ...connections]);
  const requests = times.length;
  if (requests === 0) throw new Error('no request was answered in time');
  const sorted = Float64Array.from(times).sort();
  const elapsed = after.at - before.at;
  const spent = (name: 'server' | 'database' | 'own' | 'machine'): number => after[name] - before[name];
  return {
    requests,
    perSecond: (requests / elapsed) * 1_000,
    cpu: (spent('server') / requests) * 1_000,
    databaseCpu: (spent('database') / requests) * 1_000,
    p50: percentile(sorted, 0.5),
    p99: percentile(sorted, 0.99),
    generator: spent('own') / elapsed,
    others: Math.max(0, spent('machine') - spent('server') - spent('database') - spent('own')) / elapsed,
    pairs: pairs(),
  };
}

const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What it sends back to each job. */
export type Answer = { readonly measured: Measured } | { readonly error: string };

process.on('message', (job: Job) => {
  measure(job).then(
    (measured) => process.send?.({ measured } satisfies Answer),
    (error: unknown) =>
      process.send?.({ error: error instanceof Error ? error.message : String(error) } satisfies Answer),
  );
});
// Whoever started this is gone.
process.on('disconnect', () => process.exit());
