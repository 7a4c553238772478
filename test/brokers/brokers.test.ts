/** Delivery to each kind of broker, also through its sudden end: nothing lost, in order per family (security.md, I43). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Clock, durationMs, epochMs } from '../../src/domain/time.ts';
import { listEventPage } from '../../src/operations/events.ts';
import { makeDatabase } from '../support/databases.ts';
import { runExample } from '../support/doc-example.ts';
import type { FakeClock } from '../support/fake-clock.ts';
import { openTestApp } from '../support/test-app.ts';
import { deliveriesOf, eventually, family, record, revoked, runWorker } from '../worker/support.ts';
import { BROKERS, type Broker } from './brokers.ts';

/** ms; a bound, for a machine that does other things too. */
const PATIENCE = 100_000;

/** Ten times as fast as any other, so that a test need not wait for the retries; time-outs are as long as ever. */
function fastClock(): FakeClock {
  const start = Date.now();
  let ahead = 0;
  const elapsed = (): number => performance.now() * 10 + ahead;
  const clock: Clock = { now: () => epochMs(Math.round(start + elapsed())), monotonic: () => durationMs(elapsed()) };
  return {
    ...clock,
    advance(ms) {
      ahead += ms;
    },
  };
}

/** By that clock: longer than an attempt may take. */
const LEASE = durationMs(60_000);

const openSockets = (): number => process.getActiveResourcesInfo().filter((kind) => /^TCPSocket/.test(kind)).length;

const configured = ({ url }: Broker, name: string) => ({
  'events.brokers': [{ url, name, types: ['family.revoked'] }],
});

describe.each(BROKERS)('%s', (_, start) => {
  // One for all: RabbitMQ takes ten seconds to start.
  let broker: Broker;
  beforeAll(async () => {
    broker = await start();
  });
  afterAll(() => broker.remove());

  test('the consumer of docs/events.md gets an event', async () => {
    const { app } = await openTestApp(await makeDatabase('sqlite'), configured(broker, 'auth-events'));
    // RabbitMQ keeps only what a queue is there for.
    await broker.subscribe('auth-events', 'my-service');
    runWorker(app);
    await record(app, revoked(family(1), 'one'));
    await eventually(async () => expect(await deliveriesOf(app)).toMatchObject([{ state: 'delivered' }]), PATIENCE);
    const example = new URL(broker.url).protocol.slice(0, -1);
    const said = runExample('docs/events.md', example, { BROKER_URL: broker.url });
    await eventually(() => expect(said()).toContain('"note":"one"'), PATIENCE);
    expect(said()).toMatch(/^family\.revoked \{/);
  });

  test('an event arrives as a CloudEvent, confirmed', async () => {
    await broker.subscribe('single');
    const { app } = await openTestApp(await makeDatabase('sqlite'), configured(broker, 'single'));
    runWorker(app);
    await record(app, revoked(family(1), 'one'));
    await eventually(async () => expect(await deliveriesOf(app)).toMatchObject([{ state: 'delivered' }]), PATIENCE);
    const { events } = await listEventPage(app, { type: 'family.revoked', limit: 1 });
    expect(await broker.consume('single')).toEqual([
      {
        specversion: '1.0',
        id: events[0]?.id,
        source: app.config.issuer,
        type: 'family.revoked',
        time: '2026-03-01T12:00:00.250Z',
        subject: 'sub-1',
        datacontenttype: 'application/json',
        data: { sid: family(1), subject: 'sub-1', client_id: 'default', cause: 'admin', note: 'one' },
      },
    ]);
    expect(JSON.stringify(await deliveriesOf(app))).not.toContain('secret');
  });

  test('a broker that is killed and comes back, under load: nothing is lost, and families keep their order', async () => {
    await broker.subscribe('killed');
    const { app } = await openTestApp(await makeDatabase('sqlite'), configured(broker, 'killed'), fastClock());
    runWorker(app, { timeout: durationMs(3_000), lease: LEASE });
    const total = 600;
    for (let count = 0; count < total; count += 5) {
      const numbers = Array.from({ length: 5 }, (_, index) => count + index);
      await record(app, ...numbers.map((number) => revoked(family(number % 40), String(number))));
      // In the middle of its work.
      if (count !== 300) continue;
      await broker.kill();
      await broker.start();
    }
    const delivered = async (): Promise<number> =>
      (await deliveriesOf(app)).filter(({ state }) => state === 'delivered').length;
    await eventually(async () => expect(await delivered()).toBe(total), PATIENCE);
    const got = await broker.consume('killed');
    const notes = [...new Map(got.map((event) => [event.id, event])).values()].map(({ data }) => data);
    expect(new Set(notes.map(({ note }) => note)).size).toBe(total);
    for (let each = 0; each < 40; each += 1) {
      const ours = notes.filter(({ sid }) => sid === family(each)).map(({ note }) => Number(note));
      expect(ours).toEqual([...ours].sort((one, other) => one - other));
    }
    process.stdout.write(`${total} events, ${got.length - total} duplicates\n`);
  });

  test('a broker that is away keeps nobody else from his events, and its own wait for it', async () => {
    await broker.subscribe('away');
    const { app } = await openTestApp(await makeDatabase('sqlite'), configured(broker, 'away'), fastClock());
    await broker.kill();
    runWorker(app, { timeout: durationMs(2_000), lease: LEASE });
    await record(app, revoked(family(1), 'one'), revoked(family(1), 'two'));
    await eventually(async () =>
      expect(await deliveriesOf(app)).toMatchObject([
        {
          state: 'pending',
          lastError: expect.stringMatching(/^(the broker did not take it \(\w+\)|no confirmation in time)$/),
        },
        { state: 'waiting' },
      ]),
    );
    await broker.start();
    await eventually(
      async () => expect(await deliveriesOf(app)).toMatchObject([{ state: 'delivered' }, { state: 'delivered' }]),
      PATIENCE,
    );
    expect((await broker.consume('away')).map(({ data }) => data.note)).toEqual(['one', 'two']);
  });

  test('a name that is taken by something else fails each attempt, and leaves no connection behind', async () => {
    await broker.occupy('taken');
    const { app } = await openTestApp(await makeDatabase('sqlite'), configured(broker, 'taken'), fastClock());
    const before = openSockets();
    runWorker(app, { timeout: durationMs(10_000), lease: LEASE });
    await record(app, revoked(family(1), 'one'));
    await eventually(async () => expect((await deliveriesOf(app))[0]?.attempts).toBeGreaterThan(4), PATIENCE);
    // One may be under way.
    await eventually(() => expect(openSockets()).toBeLessThanOrEqual(before + 1));
    expect(await deliveriesOf(app)).toMatchObject([{ state: 'pending' }]);
  });
});
