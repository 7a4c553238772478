/**
 * What the kinds of broker share: the envelope (CloudEvents 1.0, JSON format), one connection that is made when it is needed
 * and dropped at the first doubt, and no buffer anywhere: what the broker has not confirmed is sent again by the schedule.
 */
import type { EventView } from '../operations/views.ts';
import type { Sender } from './deliver.ts';

/** The media type of one event in the JSON format (CloudEvents 1.0, JSON Event Format §3). */
export const CLOUD_EVENT_TYPE = 'application/cloudevents+json; charset=utf-8';

/** How long a farewell may take, ms. */
const CLOSE_LIMIT = 2_000;

/** An event as it goes over the wire. */
export interface CloudMessage {
  readonly id: string;
  readonly type: EventView['type'];
  readonly body: string;
}

function cloudMessage(event: EventView, source: string): CloudMessage {
  const { id, type, timestamp, data } = event;
  const subject = typeof data.subject === 'string' ? { subject: data.subject } : {};
  const body = JSON.stringify({
    specversion: '1.0',
    id,
    source,
    type,
    time: timestamp,
    ...subject,
    datacontenttype: 'application/json',
    data,
  });
  return { id, type, body };
}

/** One kind of broker. */
export interface BrokerWay<Connection> {
  /** @param onBroken to be called when the connection is of no more use */
  open(onBroken: () => void): Promise<Connection>;
  /** Resolves when the broker has confirmed that it keeps the message. */
  publish(connection: Connection, message: CloudMessage): Promise<void>;
  close(connection: Connection): Promise<void>;
}

/** @param source the issuer: whose events these are */
export function brokerSender<Connection>(kind: BrokerWay<Connection>, source: string): Sender {
  let held: Promise<Connection> | undefined;

  function connect(): Promise<Connection> {
    if (held !== undefined) return held;
    const opening: Promise<Connection> = kind.open(() => drop(opening));
    held = opening;
    return opening;
  }

  /** Closing throws away what the library has not written yet, so that no message comes late and out of order. */
  function drop(connection: Promise<Connection>): void {
    if (held === connection) held = undefined;
    connection.then((open) => kind.close(open)).catch(() => undefined);
  }

  return {
    async send(event, signal) {
      const connection = connect();
      try {
        await orAborted(
          connection.then((open) => {
            // Made too late: the schedule sends it again, and what comes later than that comes out of order.
            signal.throwIfAborted();
            return kind.publish(open, cloudMessage(event, source));
          }),
          signal,
        );
        return { kind: 'delivered' };
      } catch (error) {
        drop(connection);
        return { kind: 'failed', error: signal.aborted ? 'no confirmation in time' : reasonOf(error) };
      }
    },
    async close() {
      const closing = held?.then((open) => kind.close(open));
      held = undefined;
      // A broker that does not answer keeps no worker from ending.
      if (closing !== undefined) await orAborted(closing, AbortSignal.timeout(CLOSE_LIMIT)).catch(() => undefined);
    },
  };
}

async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let abort: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(new Error('aborted'));
    signal.addEventListener('abort', abort);
    if (signal.aborted) abort();
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** A code or the kind of error; never a message, which may name a user or hold what the broker sent. */
function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
  const name = error instanceof Error ? error.name : 'unknown reason';
  return `the broker did not take it (${code ?? name})`;
}
