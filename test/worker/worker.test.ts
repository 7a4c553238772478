/** What the worker promises whatever happens: at least once, in order per family, nobody delayed by another. */
import BetterSqlite3 from 'better-sqlite3';
import { describe, expect, onTestFinished, test } from 'vitest';
import { DAY, durationMs, MINUTE, SECOND } from '../../src/domain/time.ts';
import { listDeliveryPage, retryDead, retryEvent } from '../../src/operations/deliveries.ts';
import { listEventPage } from '../../src/operations/events.ts';
import { keepReceivers } from '../../src/operations/receivers.ts';
import { reportOnWorker } from '../../src/operations/worker-watch.ts';
import { claimDeliveries, settleDelivery } from '../../src/store/deliveries.ts';
import { recordEvent } from '../../src/store/events.ts';
import { distribute } from '../../src/worker/distribute.ts';
import { describeOnBothDatabases, makeDatabase } from '../support/databases.ts';
import { openTcpProxy } from '../support/tcp-proxy.ts';
import { openTestApp } from '../support/test-app.ts';
import { answer, openWebhookReceiver } from '../support/webhook-receiver.ts';
import {
  created,
  deliveriesOf,
  eventually,
  family,
  notesOf,
  record,
  revoked,
  runWorker,
  SECRET,
  statesOf,
} from './support.ts';

const TYPES = ['family.revoked', 'client.created'];
const webhooks = (...urls: readonly string[]) => ({
  'events.webhooks': urls.map((url) => ({ url, secret: SECRET, types: TYPES })),
});

describeOnBothDatabases('the worker', (database) => {
  test('within a family events keep their order through failures; other families do not wait', async () => {
    const receiver = await openWebhookReceiver();
    receiver.behave((received, response) => answer(received.event.data.note === 'a1' ? 500 : 200)(received, response));
    const { app, clock } = await openTestApp(await database(), webhooks(receiver.url));
    runWorker(app);
    await record(app, revoked(family(1), 'a1'), revoked(family(2), 'b1'), revoked(family(1), 'a2'), created('c'));
    await record(app, revoked(family(1), 'a3'), revoked(family(2), 'b2'));
    await eventually(() => expect([...notesOf(receiver.accepted)].sort()).toEqual(['b1', 'b2', 'c']));
    await eventually(async () =>
      expect(await statesOf(app)).toEqual(['pending', 'delivered', 'waiting', 'delivered', 'waiting', 'delivered']),
    );
    receiver.behave(answer(200));
    clock.advance(7 * SECOND);
    await eventually(async () => expect(new Set(await statesOf(app))).toEqual(new Set(['delivered'])));
    expect(notesOf(receiver.accepted).filter((note) => String(note).startsWith('a'))).toEqual(['a1', 'a2', 'a3']);
  });

  test('a dead receiver delays only its own events', async () => {
    const hanging = await openWebhookReceiver();
    hanging.behave(() => undefined);
    const healthy = await openWebhookReceiver();
    const { app } = await openTestApp(await database(), {
      ...webhooks(hanging.url, healthy.url),
      'server.shutdownTimeout': '100ms',
    });
    // Longer than this test: whatever waits for the hanging one never comes.
    runWorker(app, { timeout: durationMs(MINUTE), lease: durationMs(2 * MINUTE) });
    for (let count = 0; count < 40; count += 1) await record(app, created(`c${count}`));
    await eventually(() => expect(healthy.accepted).toHaveLength(40), 25_000);
    expect(hanging.accepted).toHaveLength(0);
  });

  test('two workers share the work, and without a kill each event is delivered once', async () => {
    const receiver = await openWebhookReceiver();
    const { app } = await openTestApp(await database(), webhooks(receiver.url));
    runWorker(app);
    runWorker(app);
    const events = Array.from({ length: 200 }, (_, index) => revoked(family(index % 20), `n${index}`));
    for (let start = 0; start < events.length; start += 25) await record(app, ...events.slice(start, start + 25));
    await eventually(async () => expect(await statesOf(app)).toEqual(Array(200).fill('delivered')), 20_000);
    expect(receiver.received).toHaveLength(200);
    for (let each = 0; each < 20; each += 1) {
      const notes = notesOf(receiver.accepted.filter(({ event }) => event.data.sid === family(each)));
      expect(notes).toEqual(events.filter(({ data }) => data.sid === family(each)).map(({ data }) => data.note));
    }
  });

  test('W4: what a killed worker had sent but not marked is sent again, under the same id', async () => {
    const receiver = await openWebhookReceiver();
    const { app, clock } = await openTestApp(await database(), webhooks(receiver.url));
    const [target] = await keepReceivers(app);
    if (target === undefined) throw new Error('there is no receiver');
    await record(app, created('a'));
    await distribute(app, [target]);
    const lease = durationMs(30 * SECOND);
    const claim = () => app.store.write((tx) => claimDeliveries(tx, { receiver: target.key, limit: 10, lease }));
    const [lost] = await claim();
    expect(lost).toMatchObject({ attempts: 1 });
    runWorker(app);
    // Its lease holds: nobody else sends it.
    expect(await claim()).toEqual([]);
    clock.advance(lease);
    await eventually(async () => expect(await statesOf(app)).toEqual(['delivered']));
    expect(receiver.accepted.map(({ id }) => id)).toEqual([lost?.event.id]);
    // A worker that slept through its lease settles nothing.
    if (lost === undefined) throw new Error('nothing was claimed');
    expect(await app.store.write((tx) => settleDelivery(tx, lost, { state: 'dead', error: 'late' }))).toBe(false);
    expect(await statesOf(app)).toEqual(['delivered']);
  });

  test('a worker that stops gives back what it has no time to finish', async () => {
    const receiver = await openWebhookReceiver();
    receiver.behave(() => undefined);
    const { app } = await openTestApp(await database(), {
      ...webhooks(receiver.url),
      'server.shutdownTimeout': '100ms',
    });
    const worker = runWorker(app);
    await record(app, created('a'));
    await eventually(() => expect(receiver.received).toHaveLength(1));
    await worker.stop();
    const [one] = await deliveriesOf(app);
    expect(one).toMatchObject({ state: 'pending', lastError: null, leasedUntil: null, nextAttemptAt: app.clock.now() });
  });

  test('a new receiver gets the events of the last day, and none that are older', async () => {
    const receiver = await openWebhookReceiver();
    const { app, clock } = await openTestApp(await database(), webhooks(receiver.url));
    await record(app, created('old'));
    clock.advance(DAY + 1);
    await record(app, created('new'));
    runWorker(app);
    await eventually(() => expect(notesOf(receiver.accepted)).toEqual(['new']));
    await eventually(async () => expect(await statesOf(app)).toEqual(['delivered']));
  });

  test('W8: events retry gives dead letters another chance, in their order, and enables the receiver', async () => {
    const receiver = await openWebhookReceiver();
    receiver.behave(answer(410));
    const { app } = await openTestApp(await database(), webhooks(receiver.url));
    runWorker(app);
    await record(app, revoked(family(1), 'one'), revoked(family(1), 'two'), created('three'));
    await eventually(async () => expect(await statesOf(app)).toEqual(['dead', 'dead', 'dead']));
    expect((await reportOnWorker(app)).disabled).toEqual([receiver.url]);
    receiver.behave(answer(200));
    expect(await retryDead(app)).toBe(3);
    await eventually(async () => expect(await statesOf(app)).toEqual(['delivered', 'delivered', 'delivered']));
    expect(notesOf(receiver.accepted).filter((note) => note !== 'three')).toEqual(['one', 'two']);
    expect((await reportOnWorker(app)).disabled).toEqual([]);

    // One by one too, each counted once.
    receiver.behave(answer(410));
    await record(app, created('four'));
    await eventually(async () => expect((await statesOf(app)).at(-1)).toBe('dead'));
    receiver.behave(answer(200));
    const [dead] = (await listDeliveryPage(app, { limit: 1, state: 'dead' })).deliveries;
    expect(await retryEvent(app, dead?.event_id ?? '')).toEqual({ retried: 1, delivered: 0, underWay: 0 });

    const { deliveries } = await listDeliveryPage(app, { limit: 1, state: 'delivered' });
    const id = deliveries[0]?.event_id ?? '';
    expect(await retryEvent(app, id)).toEqual({ retried: 0, delivered: 1, underWay: 0 });
    expect(await retryEvent(app, `${id.slice(0, 8)}..${id.slice(-6)}`)).toMatchObject({ delivered: 1 });
    await expect(retryEvent(app, family(99))).rejects.toMatchObject({ code: 'not_found' });
    await expect(retryEvent(app, 'nonsense')).rejects.toMatchObject({ code: 'invalid_request' });
  });

  test('events retry tries what failed now, and leaves alone what is under way', async () => {
    const receiver = await openWebhookReceiver();
    receiver.behave(answer(500));
    const { app } = await openTestApp(await database(), {
      ...webhooks(receiver.url),
      'server.shutdownTimeout': '100ms',
    });
    runWorker(app);
    await record(app, created('a'));
    await eventually(async () => expect(await deliveriesOf(app)).toMatchObject([{ attempts: 1, leasedUntil: null }]));
    receiver.behave(() => undefined);
    const id = receiver.received[0]?.id ?? '';
    expect(await retryEvent(app, id)).toEqual({ retried: 1, delivered: 0, underWay: 0 });
    await eventually(() => expect(receiver.received).toHaveLength(2));
    expect(await retryEvent(app, id)).toEqual({ retried: 0, delivered: 0, underWay: 1 });
  });

  test('deliveries come in pages', async () => {
    const receiver = await openWebhookReceiver();
    const { app } = await openTestApp(await database(), webhooks(receiver.url, `${receiver.url}/2`));
    await record(app, created('a'), created('b'), created('c'));
    await distribute(app, await keepReceivers(app));
    const seen: string[] = [];
    for (let cursor: string | undefined, pages = 0; pages < 10; pages += 1) {
      const page = await listDeliveryPage(app, { limit: 2, cursor });
      seen.push(...page.deliveries.map(({ event_id, receiver: label }) => `${event_id} ${label}`));
      if (page.nextCursor === null) break;
      cursor = page.nextCursor;
    }
    expect(new Set(seen).size).toBe(6);
    expect(seen).toHaveLength(6);
  });

  test('who finds events waiting and no worker says so', async () => {
    const receiver = await openWebhookReceiver();
    const { app, clock } = await openTestApp(await database(), webhooks(receiver.url));
    expect(await reportOnWorker(app)).toMatchObject({ isNeeded: false, seenAt: null });
    await keepReceivers(app);
    await record(app, created('a'));
    expect(await reportOnWorker(app)).toMatchObject({ isNeeded: false });
    const at = clock.now();
    clock.advance(2 * MINUTE);
    expect(await reportOnWorker(app)).toMatchObject({ isNeeded: true, waitingSince: at, seenAt: null, isAlive: false });
    runWorker(app);
    await eventually(async () =>
      expect(await reportOnWorker(app)).toMatchObject({ isNeeded: false, waitingSince: null, isAlive: true }),
    );
  });
});

describe('the worker on Postgres', () => {
  test('an event that commits after one with a higher number is not skipped', async () => {
    const receiver = await openWebhookReceiver();
    const { app } = await openTestApp(await makeDatabase('postgres'), webhooks(receiver.url));
    const targets = await keepReceivers(app);
    let commit: () => void = () => undefined;
    const mayCommit = new Promise<void>((resolve) => {
      commit = resolve;
    });
    let begun: () => void = () => undefined;
    const hasBegun = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const slow = app.store.write(async (tx) => {
      await recordEvent(tx, created('slow'));
      begun();
      await mayCommit;
    });
    await hasBegun;
    await record(app, created('fast'));
    await distribute(app, targets);
    expect(await statesOf(app)).toHaveLength(1);
    commit();
    await slow;
    await distribute(app, targets);
    expect(await statesOf(app)).toHaveLength(2);
    const { events } = await listEventPage(app, { after: undefined, limit: 10 });
    expect(events.slice(-2).map(({ data }) => data.client_id)).toEqual(['slow', 'fast']);
  });

  test('W9: while the database is gone the worker waits, and then goes on and has lost nothing', async () => {
    const receiver = await openWebhookReceiver();
    const url = new URL(await makeDatabase('postgres'));
    const proxy = await openTcpProxy(Number(url.port));
    url.port = String(proxy.port);
    const { app } = await openTestApp(url.href, webhooks(receiver.url));
    runWorker(app);
    await record(app, created('before'));
    await eventually(() => expect(notesOf(receiver.accepted)).toEqual(['before']));
    await eventually(async () => expect(await statesOf(app)).toEqual(['delivered']));
    await record(app, created('meanwhile'));
    await proxy.cut();
    await expect(record(app, created('refused'))).rejects.toMatchObject({ code: 'temporarily_unavailable' });
    await proxy.restore();
    await eventually(async () => expect(await statesOf(app)).toEqual(['delivered', 'delivered']), 20_000);
    expect(new Set(notesOf(receiver.accepted))).toEqual(new Set(['before', 'meanwhile']));
  });
});

describe('the worker on SQLite', () => {
  test('W9: while another process holds the database the worker waits, and then goes on', async () => {
    const receiver = await openWebhookReceiver();
    const url = await makeDatabase('sqlite');
    const { app } = await openTestApp(url, webhooks(receiver.url));
    await record(app, created('a'));
    const other = new BetterSqlite3(url.slice('sqlite:'.length));
    onTestFinished(() => void other.close());
    other.exec('begin exclusive');
    runWorker(app);
    // Longer than the store waits for a lock: the worker has met it.
    const refused = app.store.write(async () => 'a change').catch((error: unknown) => error);
    await expect(refused).resolves.toMatchObject({ code: 'temporarily_unavailable' });
    expect(receiver.received).toEqual([]);
    other.exec('rollback');
    await eventually(() => expect(notesOf(receiver.accepted)).toEqual(['a']), 20_000);
  });
});
