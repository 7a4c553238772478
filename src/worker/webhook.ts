/**
 * Sending an event as a webhook, signed as Standard Webhooks 1.0 has it. The receiver is not trusted: it is not followed
 * elsewhere, its answer is read no further than a little, and it has only so much time.
 */
import { Webhook } from 'standardwebhooks';
import type { App } from '../app.ts';
import type { AttemptResult } from '../domain/delivery.ts';
import { type DurationMs, durationMs, type EpochMs, epochMs, SECOND, toDate, toSeconds } from '../domain/time.ts';
import type { Receiver } from '../operations/receivers.ts';
import type { EventView } from '../operations/views.ts';
import { VERSION } from '../version.ts';
import type { Sender } from './deliver.ts';

/** Bytes of an answer that are read; a short one leaves its connection open for the next event. */
const ANSWER_LIMIT = 64 * 1024;

type WebhookReceiver = Extract<Receiver, { readonly kind: 'webhook' }>;

/** 2xx is delivered and 410 gone. Anything else failed, a redirect too; `Retry-After` counts with 429 and 503. */
export function webhookSender({ clock }: Pick<App, 'clock'>, { url, secrets }: WebhookReceiver): Sender {
  const signers = secrets.map((secret) => new Webhook(secret.reveal()));
  return {
    async send(event, signal) {
      try {
        const response = await fetch(url, { ...requestOf(event, signers, clock.now()), redirect: 'manual', signal });
        await readLittle(response);
        return resultOf(response, clock.now());
      } catch (error) {
        return { kind: 'failed', error: signal.aborted ? 'no answer in time' : reasonOf(error) };
      }
    },
    close: async () => undefined,
  };
}

function requestOf(event: EventView, signers: readonly Webhook[], now: EpochMs): RequestInit {
  const body = JSON.stringify(event);
  return {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'user-agent': `auth-server/${VERSION}`,
      // An answer that is small on the wire shall not be large here.
      'accept-encoding': 'identity',
      'webhook-id': event.id,
      'webhook-timestamp': String(toSeconds(now)),
      // Two secrets, two signatures: the receiver needs only one of them to fit.
      'webhook-signature': signers.map((signer) => signer.sign(event.id, toDate(now), body)).join(' '),
    },
    body,
  };
}

/** What follows the head decides nothing. */
async function readLittle({ body }: Response): Promise<void> {
  if (body === null) return;
  let seen = 0;
  try {
    for await (const chunk of body) {
      seen += chunk.length;
      if (seen > ANSWER_LIMIT) return;
    }
  } catch {
    // The receiver hung up, or took too long over it.
  }
}

function resultOf({ status, headers }: Response, now: EpochMs): AttemptResult {
  if (status >= 200 && status < 300) return { kind: 'delivered' };
  if (status === 410) return { kind: 'gone', error: 'the receiver answered 410 Gone' };
  if (status >= 300 && status < 400) {
    return { kind: 'failed', error: `the receiver answered ${status}; redirects are not followed` };
  }
  const asks = status === 429 || status === 503 ? parseRetryAfter(headers.get('retry-after'), now) : undefined;
  return { kind: 'failed', error: `the receiver answered ${status}`, retryAfter: asks };
}

/** Seconds or an HTTP date (RFC 9110 §10.2.3). */
export function parseRetryAfter(text: string | null, now: EpochMs): DurationMs | undefined {
  if (text === null) return undefined;
  if (/^\d{1,9}$/.test(text)) return durationMs(Number(text) * SECOND);
  const at = /^[A-Z][a-z]{2}, /.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? undefined : durationMs(Math.max(0, epochMs(at) - now));
}

/** A code of the system, of TLS or of undici; never a message, which may hold what the receiver sent. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code =
    cause instanceof Error && 'code' in cause ? String(cause.code) : isBadPort(cause) ? 'EBADPORT' : 'no code';
  return `the receiver could not be reached (${code})`;
}

/** Ports that `fetch` calls nobody on, because other protocols live there (Fetch §2.9). */
const isBadPort = (cause: unknown): boolean => cause instanceof Error && cause.message === 'bad port';
