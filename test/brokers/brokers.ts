/**
 * Real brokers of Debian's packages on free loopback ports: started, killed and started again as a test wants, each with
 * a consumer that empties it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect as connectNats } from '@nats-io/transport-node';
import { createClient } from '@redis/client';
import { connect as connectAmqp } from 'amqplib';
import { freePort } from '../support/free-port.ts';
import { scratchFolder } from '../support/scratch.ts';

/** The CloudEvents that a consumer got, in order. */
export type Consumed = readonly { readonly id: string; readonly data: Readonly<Record<string, unknown>> }[];

export interface Broker {
  /** With a user and a password where the broker has them. */
  readonly url: string;
  /** As `kill -9` does. */
  kill(): Promise<void>;
  /** Starts it again with what it kept. */
  start(): Promise<void>;
  /** For good, with all that it kept. */
  remove(): Promise<void>;
  /** Before the first event, where a consumer must have said that it wants some. */
  subscribe(name: string, queue?: string): Promise<void>;
  /** Takes the name for something else, so that no event can be sent under it. */
  occupy(name: string): Promise<void>;
  /** All that is there. */
  consume(name: string): Promise<Consumed>;
}

const START_LIMIT_MS = 120_000;

interface Running {
  readonly command: readonly [string, ...string[]];
  readonly env?: Readonly<Record<string, string>>;
  readonly port: number;
  /** Whether it answers now, beyond a port that is open. */
  readonly isReady: () => Promise<boolean>;
}

function processOf({ command: [program, ...args], env, port, isReady }: Running): Pick<Broker, 'kill' | 'start'> {
  let child: ChildProcess | undefined;
  let said = '';

  async function kill(): Promise<void> {
    const ending = child;
    child = undefined;
    if (ending?.pid === undefined || ending.exitCode !== null || ending.signalCode !== null) return;
    const ended = once(ending, 'exit');
    // The group: RabbitMQ's program is a shell script with the broker below it.
    process.kill(-ending.pid, 'SIGKILL');
    await ended;
    await until(async () => !(await isOpen(port)), program);
  }

  async function start(): Promise<void> {
    child = spawn(program, args, {
      detached: true,
      env: { PATH: process.env.PATH ?? '', HOME: os.homedir(), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        said = `${said}${text}`.slice(-4_000);
      });
    }
    await until(isReady, program, () => said);
  }

  return { kill, start };
}

async function until(check: () => Promise<boolean>, what: string, said = (): string => ''): Promise<void> {
  const limit = performance.now() + START_LIMIT_MS;
  while (!(await check())) {
    if (performance.now() > limit) throw new Error(`${what} did not come to it in time:\n${said()}`);
    await delay(50);
  }
}

async function isOpen(port: number): Promise<boolean> {
  const socket = connectSocket(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** How a broker goes for good. */
const removal =
  (kill: Broker['kill'], folder: string): Broker['remove'] =>
  async () => {
    await kill();
    // What it had started may still write while it dies.
    rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  };

const succeeds = (attempt: () => Promise<unknown>) => (): Promise<boolean> =>
  attempt().then(
    () => true,
    () => false,
  );

async function startRedis(): Promise<Broker> {
  const folder = scratchFolder('redis');
  const port = await freePort();
  const url = `redis://:very-secret@127.0.0.1:${port}`;
  const open = async () => {
    const client = createClient({ url, socket: { reconnectStrategy: false } });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  };
  const settings = `port ${port}\nbind 127.0.0.1\ndir ${folder}\nrequirepass very-secret\nappendonly yes\nappendfsync always\nsave ""\n`;
  writeFileSync(path.join(folder, 'redis.conf'), settings);
  const running = processOf({
    command: ['redis-server', path.join(folder, 'redis.conf')],
    port,
    isReady: succeeds(async () => {
      const client = await open();
      await client.ping().finally(() => client.destroy());
    }),
  });
  await running.start();
  return {
    url,
    ...running,
    remove: removal(running.kill, folder),
    subscribe: async () => undefined,
    async occupy(name) {
      const client = await open();
      await client.set(name, 'no stream');
      client.destroy();
    },
    async consume(name) {
      const client = await open();
      try {
        const entries = await client.xRange(name, '-', '+');
        return (entries ?? []).map(({ message }) => JSON.parse(message.event ?? ''));
      } finally {
        client.destroy();
      }
    },
  };
}

async function startNats(): Promise<Broker> {
  const folder = scratchFolder('nats');
  const port = await freePort();
  const login = { user: 'worker', pass: 'very-secret' };
  const open = () => connectNats({ servers: `127.0.0.1:${port}`, ...login, reconnect: false });
  const args = [
    '-js',
    '-a',
    '127.0.0.1',
    '-p',
    String(port),
    '-sd',
    folder,
    '--user',
    login.user,
    '--pass',
    login.pass,
  ];
  const running = processOf({
    command: ['nats-server', ...args],
    port,
    isReady: succeeds(async () => {
      const connection = await open();
      await jetstreamManager(connection).finally(() => connection.close());
    }),
  });
  await running.start();
  return {
    url: `nats://${login.user}:${login.pass}@127.0.0.1:${port}`,
    ...running,
    remove: removal(running.kill, folder),
    subscribe: async () => undefined,
    async occupy(name) {
      const connection = await open();
      const { streams } = await jetstreamManager(connection);
      await streams.add({ name: `not-${name}`, subjects: [`${name}.>`] });
      await connection.close();
    },
    async consume(name) {
      const connection = await open();
      try {
        const manager = await jetstreamManager(connection);
        const { state } = await manager.streams.info(name);
        await manager.consumers.add(name, { durable_name: 'test', ack_policy: AckPolicy.Explicit });
        const consumer = await jetstream(connection).consumers.get(name, 'test');
        const got: Consumed[number][] = [];
        while (got.length < state.messages) {
          for await (const message of await consumer.fetch({ max_messages: 500, expires: 2_000 })) {
            got.push(message.json());
            message.ack();
          }
        }
        return got;
      } finally {
        await connection.close();
      }
    },
  };
}

const RABBITMQ = '/usr/lib/rabbitmq/bin/rabbitmq-server';

async function startRabbit(): Promise<Broker> {
  if (!existsSync(RABBITMQ)) throw new Error(`${RABBITMQ} does not exist: apt-get install rabbitmq-server`);
  const folder = scratchFolder('rabbitmq');
  const [port, distribution, mapper] = [await freePort(), await freePort(), await freePort()];
  mkdirSync(path.join(folder, 'home'));
  writeFileSync(path.join(folder, 'plugins'), '[].');
  writeFileSync(path.join(folder, 'rabbitmq.conf'), `listeners.tcp.default = 127.0.0.1:${port}\n`);
  // Erlang's name service: a process of its own, so that it ends with the test and listens here alone.
  const names = spawn('epmd', ['-address', '127.0.0.1', '-port', String(mapper)], { stdio: 'ignore' });
  await until(() => isOpen(mapper), 'epmd');
  const open = () => connectAmqp(`amqp://guest:guest@127.0.0.1:${port}`);
  const running = processOf({
    command: [RABBITMQ],
    env: {
      HOME: path.join(folder, 'home'),
      RABBITMQ_NODENAME: `test-${port}@localhost`,
      RABBITMQ_MNESIA_BASE: path.join(folder, 'data'),
      RABBITMQ_LOG_BASE: path.join(folder, 'log'),
      RABBITMQ_CONFIG_FILE: path.join(folder, 'rabbitmq'),
      RABBITMQ_ENABLED_PLUGINS_FILE: path.join(folder, 'plugins'),
      RABBITMQ_DIST_PORT: String(distribution),
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
      ERL_EPMD_PORT: String(mapper),
      ERL_EPMD_ADDRESS: '127.0.0.1',
    },
    port,
    isReady: succeeds(async () => (await open()).close()),
  });
  await running.start();
  return {
    url: `amqp://guest:guest@127.0.0.1:${port}`,
    ...running,
    async remove() {
      await removal(running.kill, folder)();
      const ended = once(names, 'exit');
      if (names.exitCode === null && names.kill()) await ended;
    },
    async occupy(name) {
      const connection = await open();
      const channel = await connection.createChannel();
      await channel.assertExchange(name, 'fanout', { durable: true });
      await connection.close();
    },
    async subscribe(name, queue = name) {
      const connection = await open();
      const channel = await connection.createChannel();
      await channel.assertExchange(name, 'topic', { durable: true });
      await channel.assertQueue(queue, { durable: true });
      await channel.bindQueue(queue, name, '#');
      await connection.close();
    },
    async consume(queue) {
      const connection = await open();
      const channel = await connection.createChannel();
      const got: Consumed[number][] = [];
      for (let next = await channel.get(queue); next !== false; next = await channel.get(queue)) {
        got.push(JSON.parse(next.content.toString()));
        channel.ack(next);
      }
      await channel.close();
      await connection.close();
      return got;
    },
  };
}

/** What they are called, and how they are started. */
export const BROKERS: readonly (readonly [string, () => Promise<Broker>])[] = [
  ['RabbitMQ', startRabbit],
  ['NATS JetStream', startNats],
  ['Redis Streams', startRedis],
];
