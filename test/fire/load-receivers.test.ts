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
import { type Behaviour, says, startStubUserService } from '../support/stub-user-service.ts';
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
  onTestFinished(() => worker.stop('SIGKILL'));
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
/** Between two requests of one who was refused; the answer asks for a second. */
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

test.each(Object.entries(ILL))(
  'U12: a user service that %s costs /verify nothing, and a refresh at most a few time-outs',
  async (what, ill) => {
    const service = await startStubUserService();
    service.behave(ACTIVE);
    const ground = await makeGround('sqlite');
    hand(ground, service.origin);
    const served = await ground.start();
    const caller = await callerOf(ground, served);
    const well = newTimes();
    caller.session = await callers(caller, newTimes());
    for (let round = 0; round < ROUNDS / 2; round += 1) caller.session = await callers(caller, well);

    service.questions();
    service.behave(ill);
    const waiting: Caller[] = [];
    for (let count = 0; count < 4; count += 1) {
      const wire = openWire(served.port);
      onTestFinished(() => wire.close());
      waiting.push({ wire, api: ground.api, session: caller.session });
    }
    const refusals: number[] = [];
    const verified: number[] = [];
    const wire = openWire(served.port);
    onTestFinished(() => wire.close());
    let isOver = false;
    // The same refresh again and again, under one key, as clients do that are told to come back.
    const refreshing = waiting.map(async ({ wire: own, session }) => {
      while (!isOver) {
        const answer = await timed(refusals, () => own.send(refreshRequest(session, 'one and the same')));
        expect(answer.text).toContain('user_directory_unavailable');
        expect(answer.head).toMatch(/\r\nretry-after: [12](\r\n|$)/i);
        await delay(PAUSE_MS);
      }
    });
    const began = performance.now();
    while (performance.now() - began < 4 * TIMEOUT_MS || verified.length < ROUNDS * 10) {
      const question = post('/verify', { token: caller.session.accessToken }, { Authorization: ground.api });
      expect((await timed(verified, () => wire.send(question))).text).toContain('"active":true');
    }
    isOver = true;
    await Promise.all(refreshing);
    const elapsedMs = performance.now() - began;
    const asked = service.questions().length;

    tell(
      `a user service that ${what}: refresh p50 / p99 ${inWords(well.refresh)} before, ${inWords(refusals)} until refused, ` +
        `${refusals.length} refused in ${Math.round(elapsedMs)} ms with ${asked} questions; ` +
        `verify ${inWords(well.verify)} before, ${inWords(verified)} beside`,
    );
    expect(quantile(refusals, 0.5), 'most are refused at once').toBeLessThan(TIMEOUT_MS / 4);
    // Five open the circuit, four may be under way then, and one tries again every two seconds.
    expect(asked).toBeLessThanOrEqual(5 + 4 + Math.ceil(elapsedMs / 2_000));
    for (const [share, factor] of [
      [0.5, 2],
      [0.9, 3],
    ] as const) {
      expect(quantile(verified, share) / quantile(well.verify, share), `verify, ${share}`).toBeLessThan(factor);
    }

    service.behave(ACTIVE);
    let next: Session | undefined;
    await until(async () => {
      const answer = await caller.wire.send(refreshRequest(caller.session, 'one and the same'));
      if (answer.status === 200) next = sessionOf(answer.text);
      return next !== undefined;
    }, 'the service is asked again');
    expect(next?.generation).toBe(caller.session.generation + 1);
  },
);
