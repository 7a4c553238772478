/**
 * Redis Streams: one stream, an entry for each event. How safely Redis keeps it is Redis' configuration; entries older than
 * `retention.events` are trimmed, because nobody else would.
 */
import { createClient } from '@redis/client';
import type { Secret } from '../domain/secret.ts';
import { after, type Clock, type DurationMs } from '../domain/time.ts';
import type { BrokerWay } from './broker.ts';

/** `name` is the key of the stream. */
export interface RedisOptions {
  readonly url: Secret;
  readonly name: string;
  readonly keepFor: DurationMs;
  readonly clock: Clock;
}

/** ms; an attempt has 15 s for everything. */
const CONNECT_TIMEOUT = 5_000;

type Client = ReturnType<typeof createClient>;

/** The confirmation is the reply to `XADD`. Trimming is approximate: entries stay `keepFor` at least. */
export const redisBroker = ({ url, name, keepFor, clock }: RedisOptions): BrokerWay<Client> => ({
  async open(onBroken) {
    const client: Client = createClient({
      url: url.reveal(),
      // A new connection is made here; what the library would keep for a later one could come out of order.
      disableOfflineQueue: true,
      socket: { connectTimeout: CONNECT_TIMEOUT, reconnectStrategy: false },
    });
    client.on('error', onBroken);
    await client.connect();
    return client;
  },
  async publish(client, { id, type, body }) {
    const TRIM = { strategy: 'MINID', strategyModifier: '~', threshold: after(clock.now(), -keepFor) } as const;
    await client.xAdd(name, '*', { id, type, event: body }, { TRIM });
  },
  close: async (client) => client.destroy(),
});
