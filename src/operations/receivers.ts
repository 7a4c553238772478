/**
 * The receivers of events, out of the configuration: whom the worker knows and the database remembers. They stand alone
 * because the worker, `serve`, the checks and the lists must agree on what a receiver is called.
 */
import type { App } from '../app.ts';
import type { Config } from '../config/config.ts';
import { sha256 } from '../crypto/client-secret.ts';
import type { ReceiverKey, Subscription } from '../domain/delivery.ts';
import type { Secret } from '../domain/secret.ts';
import { after, DAY } from '../domain/time.ts';
import { registerReceivers } from '../store/receivers.ts';

/** A subscription with the way to it, secrets included: for a worker, never to be shown. */
export type Receiver = Subscription &
  (
    | { readonly kind: 'webhook'; readonly url: string; readonly secrets: readonly Secret[] }
    | { readonly kind: BrokerKind; readonly url: Secret; readonly name: string }
  );

/** By the scheme of the URL; TLS is no kind of its own. */
export type BrokerKind = 'amqp' | 'nats' | 'redis';

const BROKER_KINDS: Readonly<Record<string, BrokerKind>> = {
  'amqp:': 'amqp',
  'amqps:': 'amqp',
  'nats:': 'nats',
  'redis:': 'redis',
  'rediss:': 'redis',
};

/** What of a URL may be shown, and stays when a password is exchanged. */
function placeOf(url: string): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname === '/' ? '' : pathname}`;
}

/** Characters of a receiver's key: 96 bits, for at most 64 receivers. */
const KEY_LENGTH = 16;

/** Webhooks, then brokers, in the order of the configuration. A key stays when a login or a secret is exchanged. */
export function receiversOf({ events }: Pick<Config, 'events'>): readonly Receiver[] {
  const seen = new Map<string, number>();
  const keyOf = (place: string): ReceiverKey => {
    // The same URL twice, with other types: two receivers, told apart by their order.
    const count = seen.get(place) ?? 0;
    seen.set(place, count + 1);
    return sha256(count === 0 ? place : `${place} ${count}`).slice(0, KEY_LENGTH) as ReceiverKey;
  };
  const webhooks = events.webhooks.map(
    ({ url, secrets, types }): Receiver => ({
      kind: 'webhook',
      key: keyOf(url),
      label: placeOf(url),
      url,
      secrets,
      types,
    }),
  );
  const brokers = events.brokers.map(({ url, types, name }): Receiver => {
    const place = placeOf(url.reveal());
    const kind = BROKER_KINDS[new URL(url.reveal()).protocol] ?? 'amqp';
    return { kind, key: keyOf(`${place} ${name}`), label: `${place} ${name}`, url, name, types };
  });
  return [...webhooks, ...brokers];
}

/**
 * Called by `serve` and the worker. A new receiver gets what happened within the last day, the time that retries would have
 * covered, and nothing older: nobody wants three months of log when he adds a webhook.
 */
export async function keepReceivers(app: App): Promise<readonly Receiver[]> {
  const receivers = receiversOf(app.config);
  if (receivers.length > 0) {
    await app.store.write((tx) => registerReceivers(tx, receivers, after(tx.now, -DAY)));
  }
  return receivers;
}
