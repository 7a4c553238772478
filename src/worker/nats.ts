/**
 * NATS JetStream: a stream with the subjects `NAME.>`, the event's type behind the name, and its id as `Nats-Msg-Id`, by
 * which the server itself leaves out a duplicate. The stream is made when there is none and this user may make one.
 */
import { type JetStreamClient, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection, nanos } from '@nats-io/transport-node';
import type { Secret } from '../domain/secret.ts';
import { type DurationMs, HOUR } from '../domain/time.ts';
import type { BrokerWay } from './broker.ts';

interface Connection {
  readonly connection: NatsConnection;
  readonly stream: JetStreamClient;
}

/** ms; an attempt has 15 s for everything. */
const TIMEOUT = 5_000;

export interface NatsOptions {
  readonly url: Secret;
  readonly name: string;
  /** How long a stream that is made here keeps its messages. */
  readonly keepFor: DurationMs;
}

/** A login without a password is a token. The confirmation is JetStream's, of the stream, not of the connection. */
export const natsBroker = (options: NatsOptions): BrokerWay<Connection> => ({
  async open(onBroken) {
    const { host, username, password } = new URL(options.url.reveal());
    const [user, pass] = [username, password].map(decodeURIComponent);
    const login = user === '' ? {} : pass === '' ? { token: user ?? '' } : { user: user ?? '', pass: pass ?? '' };
    const connection = await connect({
      servers: host,
      ...login,
      name: 'auth-server worker',
      timeout: TIMEOUT,
      // A new connection is made here; what the library would keep for a later one could come out of order.
      reconnect: false,
    });
    connection.closed().then(onBroken, onBroken);
    try {
      await ensureStream(connection, options);
      return { connection, stream: jetstream(connection) };
    } catch (error) {
      // Nobody else knows of it, and the next attempt makes another.
      await connection.close().catch(() => undefined);
      throw error;
    }
  },
  async publish({ stream }, { id, type, body }) {
    await stream.publish(`${options.name}.${type}`, body, { msgID: id, timeout: TIMEOUT });
  },
  close: ({ connection }) => connection.close(),
});

async function ensureStream(connection: NatsConnection, { name, keepFor }: NatsOptions): Promise<void> {
  const { streams } = await jetstreamManager(connection);
  try {
    await streams.info(name);
  } catch {
    // Either there is none, or this user may not ask; then publishing tells.
    await streams.add({
      name,
      subjects: [`${name}.>`],
      max_age: nanos(keepFor),
      duplicate_window: nanos(Math.min(HOUR, keepFor)),
    });
  }
}
