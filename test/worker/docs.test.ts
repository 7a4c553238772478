/** docs/events.md: what it shows works as it stands, and its table knows every type. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { SECURITY_EVENT_TYPES } from '../../src/domain/security-event.ts';
import { listEventPage } from '../../src/operations/events.ts';
import { makeDatabase } from '../support/databases.ts';
import { runExample } from '../support/doc-example.ts';
import { freePort } from '../support/free-port.ts';
import { scratchFolder } from '../support/scratch.ts';
import { openTestApp } from '../support/test-app.ts';
import { startTestServer } from '../support/test-server.ts';
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
  }, 60_000);
  expect(said()).toMatch(/^family\.revoked \{/);
}, 90_000);

const text = readFileSync('docs/events.md', 'utf8');
const blocks = (language: string): string[] =>
  [...text.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 'gs'))].map(([, block = '']) => block);

test('the configuration that docs/events.md shows is one', () => {
  const shown = blocks('json').filter((block) => block.startsWith('"events"'));
  expect(shown).toHaveLength(2);
  const folder = scratchFolder('events');
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(path.join(folder, 'webhook.secret'), SECRET, { mode: 0o600 });
  writeFileSync(path.join(folder, 'broker.url'), 'nats://127.0.0.1:4222', { mode: 0o600 });
  for (const block of shown) {
    writeFileSync(path.join(folder, 'auth.config.json'), `{${block}}`, { mode: 0o600 });
    const { config, warnings } = loadConfig({ flags: {}, env: {}, cwd: folder });
    expect([config.events.webhooks.length + config.events.brokers.length, warnings]).toEqual([1, []]);
  }
});

test('the event that docs/events.md shows has the members of one', async () => {
  const [block = ''] = blocks('json').filter((one) => one.startsWith('{'));
  const shown = JSON.parse(block);
  const server = await startTestServer({ url: await makeDatabase('sqlite') });
  const { refresh_token } = await server.login();
  await server.post('/logout', { refresh_token });
  const { events } = await listEventPage(server.app, { type: 'family.revoked', limit: 1 });
  const [real] = events;
  expect(Object.keys(shown)).toEqual(Object.keys(real ?? {}));
  expect(Object.keys(shown.data)).toEqual(Object.keys(real?.data ?? {}));
  expect(shown.data.cause).toBe(real?.data.cause);
});

test('the request for the log that docs/events.md shows gets what came after an event', async () => {
  const server = await startTestServer({ url: await makeDatabase('sqlite') });
  const admin = await server.addClient('siem', { type: 'admin' });
  await server.login();
  const [known] = (await listEventPage(server.app, { type: 'login.succeeded', limit: 1 })).events;
  await server.login();
  const [request = ''] = blocks('http');
  const [line = '', header = ''] = request.replace(/<the id[^>]*>/, known?.id ?? '').split('\n');
  expect(header).toMatch(/^Authorization: Bearer </);
  const [method = '', target = ''] = line.split(' ');
  const answer = await server.send({ method, path: target, headers: { authorization: `Bearer ${admin.secret}` } });
  expect(answer).toMatchObject({ status: 200, body: { events: [{ type: 'login.succeeded' }], next_cursor: null } });
});

test('docs/events.md tells of every type', () => {
  for (const type of SECURITY_EVENT_TYPES) expect(text).toContain(`\`${type}\``);
});
