/** A reader of server-sent events (HTML Living Standard §9.2), as strict as the little that is served: `id`, `event`, `data`. */
import http from 'node:http';
import { expect } from 'vitest';
import { until } from './until.ts';

export interface Message {
  readonly event: string;
  readonly id: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface EventReader {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly messages: readonly Message[];
  comments(): number;
  /** `whole`: the server has ended the stream; `cut`: the connection broke. */
  state(): 'open' | 'whole' | 'cut';
  /** Waits for so many messages. */
  hear(count: number): Promise<readonly Message[]>;
  close(): void;
}

function messageOf(block: string): Message {
  const fields = Object.fromEntries(block.split('\n').map((line) => line.split(/: (.*)/s).slice(0, 2)));
  expect(Object.keys(fields).toSorted()).toEqual(expect.arrayContaining(['data', 'id']));
  const { event = 'message', id, data } = fields as Record<string, string>;
  return { event, id: id ?? '', data: JSON.parse(data ?? '') as Message['data'] };
}

/** Begins to read, whatever the status. */
export function openEvents(
  port: number,
  { path = '/revocations', headers = {} }: { readonly path?: string; readonly headers?: http.OutgoingHttpHeaders },
): Promise<EventReader> {
  const messages: Message[] = [];
  let comments = 0;
  let rest = '';
  let state: 'open' | 'whole' | 'cut' = 'open';

  function take(text: string): void {
    const blocks = (rest + text).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      if (block.startsWith(':')) comments += 1;
      else messages.push(messageOf(block));
    }
  }

  return new Promise((resolve, reject) => {
    const outgoing = http.request(
      { host: '127.0.0.1', port, path, headers: { accept: 'text/event-stream', ...headers }, agent: false },
      (incoming) => {
        incoming.setEncoding('utf8').on('data', take);
        incoming.once('end', () => {
          state = incoming.complete && rest === '' ? 'whole' : 'cut';
        });
        incoming.on('error', () => {
          state = 'cut';
        });
        resolve({
          status: incoming.statusCode ?? 0,
          headers: incoming.headers,
          messages,
          comments: () => comments,
          state: () => state,
          async hear(count) {
            await until(() => messages.length >= count, `${count} messages have come, not ${messages.length}`);
            return messages.slice(0, count);
          },
          close: () => outgoing.destroy(),
        });
      },
    );
    outgoing.on('error', reject).end();
  });
}
