/** What all brokers share: one connection, dropped at the first doubt, and nothing that comes late. */
import { expect, test } from 'vitest';
import type { EventView } from '../../src/operations/views.ts';
import { brokerSender } from '../../src/worker/broker.ts';

const EVENT = {
  id: 'one',
  type: 'key.rotated',
  timestamp: '2026-03-01T12:00:00.000Z',
  data: {},
} as unknown as EventView;

test('an attempt that was given up while the connection was made sends nothing over it afterwards', async () => {
  const opening = Promise.withResolvers<string>();
  const done: string[] = [];
  const sender = brokerSender<string>(
    {
      open: () => opening.promise,
      publish: async () => void done.push('published'),
      close: async () => void done.push('closed'),
    },
    'https://auth.example',
  );
  const cutOff = new AbortController();
  const attempt = sender.send(EVENT, cutOff.signal);
  cutOff.abort();
  expect(await attempt).toEqual({ kind: 'failed', error: 'no confirmation in time' });
  opening.resolve('connection');
  await expect.poll(() => done).toContain('closed');
  expect(done).toEqual(['closed']);
});
