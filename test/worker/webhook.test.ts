/** Webhooks as a receiver sees them: what is sent, and what each kind of answer does (security.md, W1 to W5). */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { describe, expect, onTestFinished, test } from 'vitest';
import { DAY, durationMs, epochMs, MINUTE, SECOND } from '../../src/domain/time.ts';
import { parseRetryAfter } from '../../src/worker/webhook.ts';
import { describeOnBothDatabases, makeDatabase } from '../support/databases.ts';
import { openTestApp } from '../support/test-app.ts';
import { answer, openWebhookReceiver } from '../support/webhook-receiver.ts';
import {
  created,
  deliveriesOf,
  eventually,
  family,
  notesOf,
  OTHER_SECRET,
  record,
  revoked,
  runWorker,
  SECRET,
  statesOf,
} from './support.ts';

const webhooks = (...urls: readonly string[]) => ({
  'events.webhooks': urls.map((url) => ({ url, secret: SECRET, types: ['family.revoked', 'client.created'] })),
});

describeOnBothDatabases('webhooks', (database) => {
  test('an event is delivered at once, signed, with the payload of the contract', async () => {
    const receiver = await openWebhookReceiver();
    const { app } = await openTestApp(await database(), webhooks(receiver.url));
    runWorker(app);
    await record(app, revoked(family(1), 'one'));
    await eventually(() => expect(receiver.accepted).toHaveLength(1));
    const [one] = receiver.accepted;
    expect(one?.event).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      type: 'family.revoked',
      timestamp: '2026-03-01T12:00:00.250Z',
      data: { sid: family(1), subject: 'sub-1', client_id: 'default', cause: 'admin', note: 'one' },
    });
    expect(one?.headers).toMatchObject({
      'webhook-id': one?.event.id,
      'webhook-timestamp': String(Date.UTC(2026, 2, 1, 12) / 1_000),
      'content-type': 'application/json',
      'webhook-signature': expect.stringMatching(/^v1,[A-Za-z0-9+/]+={0,2}$/),
    });
    await eventually(async () => expect(await statesOf(app)).toEqual(['delivered']));
  });

  test('W5: two secrets, two signatures in one header, and each of them verifies', async () => {
    const receiver = await openWebhookReceiver();
    const { app } = await openTestApp(await database(), {
      'events.webhooks': [{ url: receiver.url, secret: [SECRET, OTHER_SECRET], types: ['client.created'] }],
    });
    runWorker(app);
    await record(app, created('a'));
    await eventually(() => expect(receiver.accepted).toHaveLength(1));
    const { headers, body, id } = receiver.accepted[0] ?? { headers: {} as Record<string, string>, body: '', id: '' };
    const signatures = headers['webhook-signature']?.split(' ') ?? [];
    const at = new Date(Number(headers['webhook-timestamp']) * 1_000);
    expect(signatures).toEqual([SECRET, OTHER_SECRET].map((secret) => new Webhook(secret).sign(id, at, body)));
  });

  test('W1: after 500 it is tried again in 5 s, the same event under the same id', async () => {
    const receiver = await openWebhookReceiver();
    receiver.behave(answer(500));
    const { app, clock } = await openTestApp(await database(), webhooks(receiver.url));
    runWorker(app);
    await record(app, created('a'));
    await eventually(async () =>
      expect(await deliveriesOf(app)).toMatchObject([
        { state: 'pending', attempts: 1, lastError: 'the receiver answered 500', leasedUntil: null },
      ]),
    );
    const [failed] = await deliveriesOf(app);
    const delay = (failed?.nextAttemptAt ?? 0) - clock.now();
    expect(delay).toBeGreaterThanOrEqual(5 * SECOND);
    expect(delay).toBeLessThanOrEqual(6.25 * SECOND);
    receiver.behave(answer(200));
    clock.advance(delay);
    await eventually(async () => expect(await statesOf(app)).toEqual(['delivered']));
    expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(1);
    expect(new Set(receiver.received.map(({ body }) => body)).size).toBe(1);
  });

  test.each([
    ['429', '120', 120 * SECOND],
    ['503', 'Sun, 01 Mar 2026 12:10:00 GMT', 10 * MINUTE - 250],
    ['503', 'soon', undefined],
    ['500', '120', undefined],
  ])('W1: %s with Retry-After %j is waited for', async (status, value, expected) => {
    const receiver = await openWebhookReceiver();
    receiver.behave(answer(Number(status), { 'retry-after': value }));
    const { app, clock } = await openTestApp(await database(), webhooks(receiver.url));
    runWorker(app);
    await record(app, created('a'));
    await eventually(async () => expect((await deliveriesOf(app))[0]?.lastError).toContain(status));
    const delay = ((await deliveriesOf(app))[0]?.nextAttemptAt ?? 0) - clock.now();
    if (expected === undefined) expect(delay).toBeLessThanOrEqual(6.25 * SECOND);
    else expect(delay).toBe(expected);
  });

  test('W1: 410 disables the receiver: what was meant for it are dead letters, and nothing is sent any more', async () => {
    const receiver = await openWebhookReceiver();
    receiver.behave(answer(410));
    const { app } = await openTestApp(await database(), webhooks(receiver.url));
    runWorker(app);
    await record(app, revoked(family(1), 'one'), revoked(family(1), 'two'));
    await eventually(async () => expect(await statesOf(app)).toEqual(['dead', 'dead']));
    await record(app, revoked(family(2), 'three'));
    await eventually(async () => expect(await statesOf(app)).toEqual(['dead', 'dead', 'dead']));
    expect((await deliveriesOf(app)).map(({ lastError }) => lastError)).toEqual(
      Array(3).fill('the receiver answered 410 Gone'),
    );
    expect(notesOf(receiver.received)).toEqual(['one']);
  });

  test('W1: after 24 hours of failures an event is a dead letter, and no longer blocks its family', async () => {
    const receiver = await openWebhookReceiver();
    receiver.behave((received, response) => answer(received.event.data.note === 'one' ? 500 : 200)(received, response));
    const { app, clock } = await openTestApp(await database(), webhooks(receiver.url));
    runWorker(app);
    await record(app, revoked(family(1), 'one'), revoked(family(1), 'two'));
    await eventually(async () => expect(await statesOf(app)).toEqual(['pending', 'waiting']));
    const start = clock.now();
    let attempts = 0;
    while ((await statesOf(app))[0] === 'pending') {
      await eventually(async () => {
        const [one] = await deliveriesOf(app);
        expect(one?.leasedUntil).toBeNull();
        expect(one?.attempts).toBeGreaterThan(attempts);
      });
      const [one] = await deliveriesOf(app);
      attempts = one?.attempts ?? 0;
      if (one?.state === 'pending') clock.advance(one.nextAttemptAt - clock.now());
    }
    expect(clock.now() - start).toBe(DAY);
    expect(attempts).toBeGreaterThan(20);
    await eventually(async () => expect(await statesOf(app)).toEqual(['dead', 'delivered']));
    expect(notesOf(receiver.accepted)).toEqual(['two']);
  });
});

describe('webhooks and a receiver that is no good', () => {
  test('W1: refused, hanging, TLS where there is none: each is kept in words without secrets, and retried', async () => {
    const hanging = await openWebhookReceiver();
    hanging.behave(() => undefined);
    const plain = await openWebhookReceiver();
    const refusing = await openWebhookReceiver();
    await refusing.stop();
    const { app } = await openTestApp(
      await makeDatabase('sqlite'),
      webhooks(hanging.url, plain.url.replace('http:', 'https:'), `${refusing.url}?token=very-secret`),
    );
    // Long enough for a refusal to come first on a machine that does other things too.
    runWorker(app, { timeout: durationMs(4_000) });
    await record(app, created('a'));
    await eventually(async () => {
      const errors = (await deliveriesOf(app)).map(({ lastError }) => lastError ?? '').sort();
      expect(errors.join(', ')).toMatch(/^no answer in time, .*\(ECONNREFUSED\), .*\(E(RR_SSL|PROTO)\w*\)$/);
    }, 25_000);
    expect(JSON.stringify(await deliveriesOf(app))).not.toContain('very-secret');
    expect(await statesOf(app)).toEqual(['pending', 'pending', 'pending']);
  });

  test('W2: a redirect is not followed, and is a failure', async () => {
    const target = await openWebhookReceiver('/target');
    const receiver = await openWebhookReceiver();
    receiver.behave(answer(307, { location: target.url }));
    const { app } = await openTestApp(await makeDatabase('sqlite'), webhooks(receiver.url));
    runWorker(app);
    await record(app, created('a'));
    await eventually(async () =>
      expect(await deliveriesOf(app)).toMatchObject([
        { state: 'pending', lastError: 'the receiver answered 307; redirects are not followed' },
      ]),
    );
    expect(target.received).toEqual([]);
  });

  test('W3: an answer without end is cut at 64 KiB, and counts by its status', async () => {
    let sent = 0;
    let isClosed = false;
    // Not Node's HTTP server: how much of the answer is taken shows on the socket.
    const server = createServer((socket) => {
      socket
        .on('error', () => undefined)
        .on('close', () => {
          isClosed = true;
        });
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n');
        const more = (): void => {
          while (!socket.destroyed && sent < 100_000_000) {
            sent += 16_384;
            if (!socket.write(Buffer.alloc(16_384))) return void socket.once('drain', more);
          }
        };
        more();
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const address = server.address();
    const port = address !== null && typeof address === 'object' ? address.port : 0;
    const { app } = await openTestApp(await makeDatabase('sqlite'), webhooks(`http://127.0.0.1:${port}/`));
    runWorker(app);
    await record(app, created('a'));
    await eventually(async () => expect(await statesOf(app)).toEqual(['delivered']));
    await eventually(() => expect(isClosed).toBe(true));
    // What the kernel's buffers take beyond 64 KiB is a few megabytes.
    expect(sent).toBeLessThan(16_000_000);
  });

  test.each([
    [null, undefined],
    ['5', 5_000],
    ['0', 0],
    ['-5', undefined],
    ['1e3', undefined],
    ['Sun, 01 Mar 2026 12:00:10 GMT', 10_000],
    ['Sun, 01 Mar 2020 12:00:10 GMT', 0],
    ['2026-03-01T12:00:10Z', undefined],
    ['Sun, nonsense', undefined],
  ])('Retry-After %j', (text, expected) => {
    expect(parseRetryAfter(text, epochMs(Date.UTC(2026, 2, 1, 12)))).toBe(expected);
  });
});
