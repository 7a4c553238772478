/** docs/events.md: the consumers that it shows work as they stand. */
import { expect, test } from 'vitest';
import { makeDatabase } from '../support/databases.ts';
import { runExample } from '../support/doc-example.ts';
import { openTestApp } from '../support/test-app.ts';
import { deliveriesOf, eventually, family, record, revoked, runWorker } from '../worker/support.ts';
import { BROKERS } from './brokers.ts';

test.each(BROKERS)('the consumer of docs/events.md for %s gets an event', async (_, start) => {
  const broker = await start();
  const { app } = await openTestApp(await makeDatabase('sqlite'), {
    'events.brokers': [{ url: broker.url, types: ['family.revoked'] }],
  });
  const example = new URL(broker.url).protocol.slice(0, -1);
  await broker.subscribe('auth-events', 'my-service');
  runWorker(app);
  await record(app, revoked(family(1), 'one'));
  await eventually(async () => expect(await deliveriesOf(app)).toMatchObject([{ state: 'delivered' }]), 20_000);
  const said = runExample('docs/events.md', example, { BROKER_URL: broker.url });
  await eventually(() => expect(said()).toContain('"note":"one"'), 20_000);
  expect(said()).toMatch(/^family\.revoked \{/);
});
