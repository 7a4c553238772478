/**
 * What is dead or slow beside a server costs its callers no time: receivers of events and brokers are the worker's to wait
 * for, and a user service that does not answer is soon asked no more. Times are compared within one run.
 */

import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { refreshRequest, type Session, sessionOf } from '../../scripts/fire/load.ts';
import { openWire, post, type Wire } from '../../scripts/fire/wire.ts';
import { closeApp, openApp, systemClock } from '../../src/app.ts';
import { loadConfig } from '../../src/config/load.ts';
import { makeLog } from '../../src/log.ts';
import { freePort } from '../support/free-port.ts';
import { type Behaviour, type StubUserService, says, startStubUserService } from '../support/stub-user-service.ts';
import { until } from '../support/until.ts';
import { openWebhookReceiver } from '../support/webhook-receiver.ts';
import { startWorkerProcess } from '../support/worker-processes.ts';
import { family, record, revoked } from '../worker/support.ts';
import { type Ground, makeGround, type Served, TIMES, tell } from './ground.ts';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

/** Rounds by turns, so that what else the machine does falls on both; and requests of each kind in a round. */
const ROUNDS = 10 * TIMES;
const REQUESTS = 20;

interface Times {
  readonly verify: number[];
  readonly refresh: number[];
}

const newTimes = (): Times => ({ verify: [], refresh: [] });

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

const inWords = (values: readonly number[]): string =>
  `${quantile(values, 0.5).toFixed(1)} / ${quantile(values, 0.99).toFixed(1)} ms`;

async function timed<T>(into: number[], work: () => Promise<T>): Promise<T> {
  const began = performance.now();
  const result = await work();
  into.push(performance.now() - began);
  return result;
}

/** One caller who verifies and refreshes by turns. @returns its session afterwards */
async function callers({ wire, api, session }: Caller, times: Times, requests = REQUESTS): Promise<Session> {
  let held = session;
  for (let count = 0; count < requests; count += 1) {
    const question = post('/verify', { token: held.accessToken }, { Authorization: api });
    const verified = await timed(times.verify, () => wire.send(question));
    expect(verified.text).toContain('"active":true');
    const refreshed = await timed(times.refresh, () => wire.send(refreshRequest(held)));
    expect(refreshed).toMatchObject({ status: 200 });
    held = sessionOf(refreshed.text);
  }
  return held;
}

interface Caller {
  readonly wire: Wire;
  readonly api: string;
  session: Session;
}

async function callerOf(ground: Ground, served: Served): Promise<Caller> {
  const wire = openWire(served.port);
  onTestFinished(() => wire.close());
  return { wire, api: ground.api, session: await served.login() };
}

/** Takes connections and says nothing, as a machine does whose program hangs. */
async function deafPort(): Promise<number> {
  const server = createServer((socket) => socket.on('error', () => undefined)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const address = server.address();
  return address !== null && typeof address === 'object' ? address.port : 0;
}

/** Events of many sessions, as any process on the same database records them. */
async function recordEvents({ folder }: Ground, count: number): Promise<void> {
  const { config } = loadConfig({ flags: {}, env: {}, cwd: folder });
  const log = makeLog({ level: 'error', format: 'json', now: systemClock.now, write: () => undefined });
  const app = await openApp({ config, log, schema: 'current' });
  await record(app, ...Array.from({ length: count }, (_, number) => revoked(family(number), String(number))));
  await closeApp(app);
}

async function startWorker({ folder }: Ground): Promise<void> {
  const worker = startWorkerProcess(folder);
  onTestFinished(async () => {
    await worker.stop('SIGKILL');
  });
  await worker.ready();
}

test.each(['sqlite', 'postgres'] as const)(
  'I43: on %s, receivers and brokers that are dead or deaf cost no caller time',
  async (kind) => {
    const hanging = await openWebhookReceiver();
    hanging.behave(() => undefined);
    const [refused, deaf] = [await freePort(), await deafPort()];
    const events = {
      webhooks: [hanging.url, `http://127.0.0.1:${refused}/`].map((url) => ({ url, secret: SECRET, types: [] })),
      brokers: [`nats://127.0.0.1:${refused}`, `amqp://127.0.0.1:${deaf}`].map((url) => ({ url, types: [] })),
    };
    const quiet = await makeGround(kind);
    const burdened = await makeGround(kind, { events });
    const grounds = [quiet, burdened] as const;
    const servers = [await quiet.start(), await burdened.start()] as const;
    const lines: { caller: Caller; ground: Ground; times: Times }[] = [];
    for (const [index, ground] of grounds.entries()) {
      const served = servers[index];
      if (served === undefined) throw new Error('each ground has its server');
      lines.push({ ground, caller: await callerOf(ground, served), times: newTimes() });
      await recordEvents(ground, 400);
      await startWorker(ground);
    }
    const tried = 'select count(distinct receiver) as count from deliveries where attempts > 0';
    await until(
      async () => Number((await burdened.query<{ count: unknown }>(tried))[0]?.count) === 4,
      'all were tried',
    );

    for (const { caller } of lines) caller.session = await callers(caller, newTimes());
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const { caller, ground, times } of round % 2 === 0 ? lines : lines.toReversed()) {
        await recordEvents(ground, 20);
        caller.session = await callers(caller, times);
      }
    }
    const [alone, beside] = lines.map(({ times }) => times);
    if (alone === undefined || beside === undefined) throw new Error('there are two');
    for (const what of ['verify', 'refresh'] as const) {
      tell(`${kind}, /${what}, p50 / p99: ${inWords(alone[what])} alone, ${inWords(beside[what])} beside the dead`);
      expect(quantile(beside[what], 0.5) / quantile(alone[what], 0.5), `median of ${what}`).toBeLessThan(2);
      expect(quantile(beside[what], 0.9) / quantile(alone[what], 0.9), `slow tenth of ${what}`).toBeLessThan(3);
    }
    const states = await burdened.query<{ state: string }>('select distinct state from deliveries');
    expect(states.map(({ state }) => state).toSorted()).toEqual(['pending', 'waiting']);
  },
);

const TIMEOUT_MS = 1_000;
/** Who refreshes at each server, and the time between two requests of one. */
const CALLERS = 4;
const PAUSE_MS = 20;
const ACTIVE = says(200, { sub: 'user-1', active: true });

const ILL: Readonly<Record<string, Behaviour>> = {
  'never answers': () => undefined,
  'hangs up': (outgoing) => outgoing.destroy(),
};

/** The users of this ground are those of a service. */
function hand(ground: Ground, origin: string): void {
  const file = path.join(ground.folder, 'auth.config.json');
  const config: Record<string, unknown> = JSON.parse(readFileSync(file, 'utf8'));
  const http = { url: `${origin}/login`, statusUrl: `${origin}/status`, secret: SECRET, timeout: `${TIMEOUT_MS}ms` };
  writeFileSync(file, JSON.stringify({ ...config, users: { directory: 'http', http } }), { mode: 0o600 });
}

interface Site {
  readonly service: StubUserService;
  readonly caller: Caller;
  readonly others: readonly Caller[];
  readonly times: Times;
}

/** A server and its user service, which is well. */
async function openSite(): Promise<Site> {
  const service = await startStubUserService();
  service.behave(ACTIVE);
  const ground = await makeGround('sqlite');
  hand(ground, service.origin);
  const served = await ground.start();
  const others: Caller[] = [];
  for (let count = 0; count < CALLERS; count += 1) others.push(await callerOf(ground, served));
  return { service, others, caller: await callerOf(ground, served), times: newTimes() };
}

/** Each refreshes again and again, the same as long as it is refused, as clients do that are told to come back. */
async function refreshing({ others, times }: Site, isOver: () => boolean): Promise<void> {
  async function one(caller: Caller): Promise<void> {
    while (!isOver()) {
      const answer = await timed(times.refresh, () => caller.wire.send(refreshRequest(caller.session, 'a-key')));
      if (answer.status === 200) caller.session = sessionOf(answer.text);
      else expect(answer.head + answer.text).toMatch(/\r\nretry-after: [12]\r\n.*user_directory_unavailable/is);
      await delay(PAUSE_MS);
    }
  }
  await Promise.all(others.map(one));
}

test.each(Object.entries(ILL))(
  'U12: a user service that %s costs /verify nothing, and a refresh at most a few time-outs',
  async (what, ill) => {
    const well = await openSite();
    const burdened = await openSite();
    burdened.service.questions();
    burdened.service.behave(ill);
    const before = burdened.others.map(({ session }) => session.generation);
    const began = performance.now();
    let isOver = false;
    const load = Promise.all([well, burdened].map((site) => refreshing(site, () => isOver)));
    try {
      // Long enough for it to be asked again and left alone again.
      for (let round = 0; round < ROUNDS * 10 || performance.now() - began < 5 * TIMEOUT_MS; round += 1) {
        for (const { caller, times } of round % 2 === 0 ? [well, burdened] : [burdened, well]) {
          const { wire, api, session } = caller;
          const question = post('/verify', { token: session.accessToken }, { Authorization: api });
          expect((await timed(times.verify, () => wire.send(question))).text).toContain('"active":true');
        }
      }
    } finally {
      isOver = true;
    }
    await load;
    const elapsedMs = performance.now() - began;
    const asked = burdened.service.questions().length;

    tell(
      `a user service that ${what}, p50 / p99: /refresh ${inWords(well.times.refresh)} where it is well, ` +
        `${inWords(burdened.times.refresh)} until refused (${burdened.times.refresh.length} in ` +
        `${Math.round(elapsedMs)} ms, ${asked} questions); /verify ${inWords(well.times.verify)} and ` +
        `${inWords(burdened.times.verify)}`,
    );
    expect(burdened.others.map(({ session }) => session.generation)).toEqual(before);
    // Five open the circuit, the others may be under way then, and one tries again every two seconds.
    expect(asked).toBeLessThanOrEqual(5 + CALLERS + Math.ceil(elapsedMs / 2_000));
    const ratio = (kind: keyof Times, share: number): number =>
      quantile(burdened.times[kind], share) / quantile(well.times[kind], share);
    expect(ratio('refresh', 0.5), 'most are refused at once').toBeLessThan(2);
    expect(ratio('verify', 0.5)).toBeLessThan(2);
    expect(ratio('verify', 0.9)).toBeLessThan(3);

    burdened.service.behave(ACTIVE);
    for (const { wire, session } of burdened.others) {
      let next: Session | undefined;
      await until(async () => {
        const answer = await wire.send(refreshRequest(session, 'a-key'));
        if (answer.status === 200) next = sessionOf(answer.text);
        return next !== undefined;
      }, 'the service is asked again');
      expect(next?.generation).toBe(session.generation + 1);
    }
  },
);
