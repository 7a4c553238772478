/** `worker`, `purge` and `events retry` as processes: what they say, and how they end (contract §7 and §12; W1, W6, W8). */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { runCli, startCli, workFolder } from '../support/cli.ts';
import { until } from '../support/until.ts';
import { answer, openWebhookReceiver } from '../support/webhook-receiver.ts';
import { SECRET } from '../worker/support.ts';

function folderWith(webhook: Readonly<Record<string, unknown>>): string {
  const folder = workFolder();
  const config = { events: { webhooks: [{ secret: SECRET, ...webhook }] } };
  writeFileSync(path.join(folder, 'auth.config.json'), JSON.stringify(config), { mode: 0o600 });
  return folder;
}

async function json<T>(cwd: string, ...args: readonly string[]): Promise<T> {
  const { code, stdout, stderr } = await runCli([...args, '--json'], { cwd });
  if (code !== 0) throw new Error(`exit ${code}: ${stderr}`);
  const value: T = JSON.parse(stdout);
  return value;
}

test('W1, W8: a worker in an empty folder delivers, goes through failures, and ends with 0', async () => {
  const receiver = await openWebhookReceiver();
  receiver.behave(answer(410));
  const cwd = folderWith({ url: receiver.url, types: ['client.created'] });
  const { child, stderr } = startCli(['worker'], { cwd });
  await until(() => stderr().includes('"working"'), 'the worker works');
  await json(cwd, 'clients', 'add', 'api', '--type', 'resource-server');
  await until(() => receiver.received.length > 0, 'the event came');
  const dead = ['events', 'list', '--deliveries', 'dead'] as const;
  await until(async () => (await json<{ deliveries: unknown[] }>(cwd, ...dead)).deliveries.length > 0, 'it is dead');
  expect(await json(cwd, ...dead)).toEqual({
    deliveries: [
      {
        event_id: receiver.received[0]?.id,
        type: 'client.created',
        receiver: receiver.url,
        state: 'dead',
        attempts: 1,
        next_attempt_at: null,
        settled_at: expect.stringMatching(/Z$/),
        last_error: 'the receiver answered 410 Gone',
      },
    ],
    next_cursor: null,
  });
  receiver.behave(answer(204));
  const id = receiver.received[0]?.id ?? '';
  expect(await json(cwd, 'events', 'retry', '--dead')).toEqual({ retried: 1 });
  await until(() => receiver.accepted.length > 0, 'the event was taken');
  const retry = (event: string) => runCli(['events', 'retry', event], { cwd });
  await until(async () => (await retry(id)).stdout.includes('already delivered'), 'it says so');
  expect(await retry(id)).toMatchObject({ code: 0, stdout: 'Deliveries of the event: 1 already delivered.\n' });
  expect(await retry('01993b2e-8c1f-7c42-9a52-2b6f1dc4d1f7')).toMatchObject({ code: 3 });
  expect(await runCli(['events', 'retry'], { cwd })).toMatchObject({ code: 2 });
  expect(await json(cwd, 'purge')).toEqual({ refresh_tokens: 0, families: 0, events: 0, keys: 0 });
  child.kill('SIGTERM');
  await until(() => child.exitCode !== null, 'the worker ended');
  expect(child.exitCode).toBe(0);
  expect(stderr()).toContain('"stopped"');
  expect(stderr()).not.toContain(SECRET);
});

test.each(['file:///etc/passwd', 'ftp://example.com/', 'https://user:word@example.com/', 'nonsense'])(
  'W6: a webhook to %s stops the start',
  async (url) => {
    const { code, stderr } = await runCli(['worker'], { cwd: folderWith({ url }) });
    expect(code).toBe(5);
    expect(stderr).toMatch(/^error: .*events\.webhooks/);
    expect(stderr).not.toContain('user:word');
  },
);
