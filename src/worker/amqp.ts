/** RabbitMQ by AMQP 0-9-1: a durable topic exchange, the event's type as routing key, and a publisher confirm for each event. */
import { type ChannelModel, type ConfirmChannel, connect } from 'amqplib';
import type { Secret } from '../domain/secret.ts';
import { type BrokerWay, CLOUD_EVENT_TYPE } from './broker.ts';

interface Connection {
  readonly connection: ChannelModel;
  readonly channel: ConfirmChannel;
}

/** ms; an attempt has 15 s for everything. */
const CONNECT_TIMEOUT = 5_000;

/** @param name the exchange, which is declared at each connection: another kind under this name fails every attempt */
export const amqpBroker = ({ url, name }: { readonly url: Secret; readonly name: string }): BrokerWay<Connection> => ({
  async open(onBroken) {
    const connection = await connect(url.reveal(), { timeout: CONNECT_TIMEOUT, noDelay: true });
    // An error is followed by a close; without a listener it would end the process.
    connection.on('error', onBroken).on('close', onBroken);
    try {
      const channel = await connection.createConfirmChannel();
      channel.on('error', onBroken).on('close', onBroken);
      await channel.assertExchange(name, 'topic', { durable: true });
      return { connection, channel };
    } catch (error) {
      // Nobody else knows of it, and the next attempt makes another.
      await connection.close().catch(() => undefined);
      throw error;
    }
  },
  publish: ({ channel }, { id, type, body }) =>
    new Promise((resolve, reject) => {
      const options = {
        persistent: true,
        messageId: id,
        type,
        contentType: CLOUD_EVENT_TYPE,
        appId: 'auth-server',
      };
      channel.publish(name, type, Buffer.from(body), options, (error: unknown) => {
        if (error === null || error === undefined) resolve();
        else reject(error);
      });
    }),
  close: ({ connection }) => connection.close(),
});
