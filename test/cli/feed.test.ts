/** What the command line ends reaches those who follow the feed of a running server within a second. */
import { expect, test } from 'vitest';
import { openEvents } from '../support/event-reader.ts';
import { makeInstance } from '../support/instance.ts';
import { until } from '../support/until.ts';

test('a family that the command line revokes, and a key that it declares compromised, are in the feed within a second', async () => {
  const instance = await makeInstance();
  const made = JSON.parse(await instance.run('clients', 'add', 'rs', '--type', 'resource-server', '--json')) as {
    readonly client_secret: string;
  };
  const headers = { authorization: `Bearer ${made.client_secret}` };
  const serving = await instance.serve();
  const { session_id } = await serving.login();
  const first = (await (await fetch(`${serving.url}/revocations`, { headers })).json()) as { readonly cursor: string };
  const stream = await openEvents(Number(new URL(serving.url).port), { headers });
  await until(() => stream.comments() === 1, 'the stream has begun');

  let arrived = 0;
  const waiting = fetch(`${serving.url}/revocations?after=${first.cursor}&wait=5s`, { headers }).then((response) => {
    arrived = performance.timeOrigin + performance.now();
    return response.json();
  });
  const heard = stream.hear(1).then(() => performance.timeOrigin + performance.now());
  await instance.run('revoke', session_id, '--yes');
  const { entries } = (await waiting) as { readonly entries: readonly { readonly sid: string; revoked_at: string }[] };
  expect(entries.map(({ sid }) => sid)).toEqual([session_id]);
  // It is committed a little after its time.
  const at = Date.parse(entries[0]?.revoked_at ?? '');
  expect(arrived - at).toBeLessThan(1_000);
  expect((await heard) - at).toBeLessThan(1_000);

  await instance.run('keys', 'rotate', '--compromised', '--yes');
  const [, key] = await stream.hear(2);
  expect(key?.data).toMatchObject({ kid: expect.any(String) });
  expect(key?.data).not.toHaveProperty('sid');

  const ended = performance.now();
  await serving.stop();
  expect(performance.now() - ended).toBeLessThan(3_000);
  await until(() => stream.state() === 'whole', 'the stream has ended');
});
