/** docs/events.md: its webhook receiver works as it stands, and its table knows every type. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { SECURITY_EVENT_TYPES } from '../../src/domain/security-event.ts';
import { makeDatabase } from '../support/databases.ts';
import { runExample } from '../support/doc-example.ts';
import { freePort } from '../support/free-port.ts';
import { openTestApp } from '../support/test-app.ts';
import { deliveriesOf, eventually, family, record, revoked, runWorker, SECRET } from './support.ts';

test('the webhook receiver of docs/events.md takes an event', async () => {
  const port = await freePort();
  const said = runExample('docs/events.md', 'webhook', { WEBHOOK_SECRET: SECRET, PORT: String(port) });
  const { app, clock } = await openTestApp(await makeDatabase('sqlite'), {
    'events.webhooks': [{ url: `http://127.0.0.1:${port}/`, secret: SECRET, types: ['family.revoked'] }],
  });
  // A receiver refuses a timestamp that is far off.
  clock.advance(Date.now() - clock.now());
  runWorker(app);
  await record(app, revoked(family(1), 'one'));
  await eventually(async () => {
    // It may not listen yet.
    clock.advance((await deliveriesOf(app))[0]?.lastError === null ? 0 : 10);
    expect(said()).toContain('"note":"one"');
  }, 20_000);
  expect(said()).toMatch(/^family\.revoked \{/);
});

test('docs/events.md tells of every type', () => {
  const text = readFileSync('docs/events.md', 'utf8');
  for (const type of SECURITY_EVENT_TYPES) expect(text).toContain(`\`${type}\``);
});
