/**
 * Whether the services that this program calls can be reached from here: the user service, webhook endpoints, brokers. A
 * connection is opened, with TLS where the URL says so, and closed again: nobody gets an event or a password of it. It stands
 * apart because it is the network's business, and takes seconds where that is slow.
 */
import { once } from 'node:events';
import { request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { connect as connectTls, TLSSocket } from 'node:tls';
import type { Config } from '../src/config/config.ts';
import { type Finding, fail, ok, warn } from '../src/domain/finding.ts';
import { DAY, MINUTE, SECOND } from '../src/domain/time.ts';
import { receiversOf } from '../src/operations/receivers.ts';

/** How long one of them may take, ms: a worker waits longer, a person does not. */
const PATIENCE = 3 * SECOND;
/** A certificate that ends within this time is remarked on, ms. */
const RENEWAL = 14 * DAY;
/** What two clocks may differ by: a `Date` header has whole seconds. Ours are judged at each other's signatures. */
const CLOCK = { tolerated: 3 * SECOND, broken: MINUTE } as const;

const PORTS: Readonly<Record<string, number>> = {
  'http:': 80,
  'https:': 443,
  'amqp:': 5672,
  'amqps:': 5671,
  'nats:': 4222,
  'redis:': 6379,
  'rediss:': 6379,
};
const WITH_TLS = new Set(['https:', 'amqps:', 'rediss:']);

/** All at once: they do not wait for each other. */
export async function checkReach(config: Config): Promise<readonly Finding[]> {
  const receivers = receiversOf(config).map(({ kind, label, url }) => {
    const name = kind === 'webhook' ? 'webhook endpoint' : 'broker';
    return checkReceiver(name, label, new URL(typeof url === 'string' ? url : url.reveal()));
  });
  const { http } = config.users;
  const services = http === null ? [] : [checkUserService(new URL(http.url))];
  return (await Promise.all([...services, ...receivers])).flat();
}

/** What a failure is called: the code of the system or of OpenSSL, never its text, which may quote the URL. */
const reasonOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'no answer in time';

/** Events wait for a receiver that is away, so it is a warning. */
async function checkReceiver(name: string, label: string, url: URL): Promise<Finding> {
  try {
    const endsAt = await lookAt(url);
    if (endsAt === undefined || endsAt - Date.now() > RENEWAL) return ok(name, `${label} can be reached`);
    const days = Math.max(0, Math.floor((endsAt - Date.now()) / DAY));
    return warn(name, `the certificate of ${label} ends in ${days} days`, `renew it on ${url.hostname}`);
  } catch (error) {
    const remedy = `start it, or open the way: ${triedBy(url)}; events wait 24h, then: auth-server events retry --dead`;
    return warn(name, `${label} cannot be reached (${reasonOf(error)})`, remedy);
  }
}

const portOf = (url: URL): number => (url.port === '' ? (PORTS[url.protocol] ?? 0) : Number(url.port));
const hostOf = (url: URL): string => url.hostname.replace(/^\[|\]$/g, '');

/** What shows a person the same, with more words. */
const triedBy = (url: URL): string =>
  WITH_TLS.has(url.protocol)
    ? `openssl s_client -connect ${url.hostname}:${portOf(url)} -servername ${hostOf(url)}`
    : `nc -vz ${hostOf(url)} ${portOf(url)}`;

/** @returns when its certificate ends, ms since 1970; undefined without TLS. @throws the system's error, or that of TLS */
async function lookAt(url: URL): Promise<number | undefined> {
  const [host, port] = [hostOf(url), portOf(url)];
  const isTls = WITH_TLS.has(url.protocol);
  // Only a name is told to the other side (RFC 6066 §3); an address is looked for in its certificate all the same.
  const servername = isIP(host) === 0 ? host : '';
  const socket: Socket = isTls ? connectTls({ host, port, servername }) : connectPlain({ host, port });
  try {
    await once(socket, isTls ? 'secureConnect' : 'connect', { signal: AbortSignal.timeout(PATIENCE) });
    return socket instanceof TLSSocket ? Date.parse(socket.getPeerCertificate().valid_to) : undefined;
  } finally {
    socket.on('error', () => undefined).destroy();
  }
}

/** Nobody logs in without it. Any answer will do; of its head only the date is looked at. */
async function checkUserService(url: URL): Promise<readonly Finding[]> {
  const place = `${url.origin}${url.pathname}`;
  const asked = Date.now();
  try {
    const date = await dateOf(url);
    const found = ok('user service', `${place} can be reached`);
    if (Number.isNaN(date)) return [found];
    return [found, compareClocks(date, asked, Date.now())];
  } catch (error) {
    const remedy = `nobody can log in: start it, or mend users.http.url; curl -I ${place}`;
    return [fail('user service', `${place} cannot be reached (${reasonOf(error)})`, remedy)];
  }
}

/** Its `Date`, ms since 1970; NaN when it has none. @throws the system's error, or that of TLS */
async function dateOf(url: URL): Promise<number> {
  const send = WITH_TLS.has(url.protocol) ? requestTls : requestPlain;
  const signal = AbortSignal.timeout(PATIENCE);
  const request = send(url, { method: 'HEAD', agent: false, signal });
  request.end();
  try {
    const [response] = await once(request, 'response', { signal });
    return Date.parse(response.headers.date ?? '');
  } finally {
    request.on('error', () => undefined).destroy();
  }
}

/** It judges the time of our signatures: five minutes apart, it refuses all of them (Standard Webhooks). */
function compareClocks(date: number, asked: number, answered: number): Finding {
  const name = 'clock of the user service';
  // The date is cut to a second, and was made some time between question and answer.
  const ahead = date - answered;
  const behind = asked - (date + SECOND);
  const distance = Math.max(0, ahead, behind);
  if (distance <= CLOCK.tolerated) return ok(name, 'the same as here');
  const message = `${Math.round(distance / SECOND)}s ${ahead > 0 ? 'ahead of' : 'behind'} this machine's`;
  const remedy = 'on the machine whose clock is wrong: timedatectl set-ntp true';
  return distance > CLOCK.broken ? fail(name, message, remedy) : warn(name, message, remedy);
}
