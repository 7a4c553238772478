/**
 * One attempt at one delivery, and what follows from its result. Senders differ by the kind of receiver and are loaded
 * when one is configured; the promises (at least once, the schedule, dead letters) are the same for all and kept here.
 */
import type { App } from '../app.ts';
import { type AttemptResult, nextAttempt } from '../domain/delivery.ts';
import type { DurationMs } from '../domain/time.ts';
import type { Receiver } from '../operations/receivers.ts';
import type { EventView } from '../operations/views.ts';
import { eventView } from '../operations/views.ts';
import { type ClaimedDelivery, type Settlement, settleDelivery } from '../store/deliveries.ts';
import { disableReceiver } from '../store/receivers.ts';
import type { Tx } from '../store/store.ts';

/** The way to one receiver. */
export interface Sender {
  /** Resolves, whatever happens. The signal ends the attempt. */
  send(event: EventView, signal: AbortSignal): Promise<AttemptResult>;
  close(): Promise<void>;
}

/** Characters of an error that is kept. */
const ERROR_LIMIT = 200;

/** Whom one attempt is for, and how long it may take. */
export interface Attempt {
  readonly receiver: Receiver;
  readonly sender: Sender;
  readonly timeout: DurationMs;
  /** Given when the worker stops and has no more time: the attempt is given up, and not counted as a failure. */
  readonly cutOff: AbortSignal;
}

/** @throws Refusal temporarily_unavailable: nothing is settled, and the lease ends by itself */
export async function deliver(app: App, claimed: ClaimedDelivery, attempt: Attempt): Promise<void> {
  const { receiver, sender, cutOff } = attempt;
  const signal = AbortSignal.any([AbortSignal.timeout(attempt.timeout), cutOff]);
  const result = await sender.send(eventView(claimed.event), signal);
  const isGivenUp = cutOff.aborted && result.kind === 'failed';
  await app.store.write(async (tx) => {
    const settlement: Settlement = isGivenUp
      ? { state: 'pending', error: claimed.lastError, nextAttemptAt: tx.now }
      : settlementOf(tx, claimed, result, app.random.jitter());
    const isOurs = await settleDelivery(tx, claimed, settlement);
    if (isOurs && result.kind === 'gone') await disableReceiver(tx, receiver.key, result.error);
  });
  report(app, claimed, receiver, result);
}

function settlementOf(tx: Tx, claimed: ClaimedDelivery, result: AttemptResult, jitter: number): Settlement {
  if (result.kind === 'delivered') return { state: 'delivered' };
  const error = result.error.slice(0, ERROR_LIMIT);
  if (result.kind === 'gone') return { state: 'dead', error };
  const at = nextAttempt({
    attempts: claimed.attempts,
    firstAttemptAt: claimed.firstAttemptAt ?? tx.now,
    now: tx.now,
    jitter,
    retryAfter: result.retryAfter,
  });
  return at === undefined ? { state: 'dead', error } : { state: 'pending', error, nextAttemptAt: at };
}

function report(app: App, claimed: ClaimedDelivery, receiver: Receiver, result: AttemptResult): void {
  const about = { receiver: receiver.label, event: claimed.event.id, type: claimed.event.type };
  if (result.kind === 'delivered') app.log.debug('delivered', { ...about, attempt: claimed.attempts });
  else if (result.kind === 'gone') app.log.warn('the receiver is disabled', { ...about, reason: result.error });
  else app.log.info('not delivered', { ...about, attempt: claimed.attempts, reason: result.error });
}

/** Loads only what this receiver needs. */
export async function openSender(app: App, receiver: Receiver): Promise<Sender> {
  if (receiver.kind === 'webhook') return (await import('./webhook.ts')).webhookSender(app, receiver);
  const { brokerSender } = await import('./broker.ts');
  const { issuer, retention } = app.config;
  const options = { ...receiver, keepFor: retention.events, clock: app.clock };
  switch (receiver.kind) {
    case 'amqp':
      return brokerSender((await import('./amqp.ts')).amqpBroker(options), issuer);
    case 'nats':
      return brokerSender((await import('./nats.ts')).natsBroker(options), issuer);
    case 'redis':
      return brokerSender((await import('./redis.ts')).redisBroker(options), issuer);
  }
}
