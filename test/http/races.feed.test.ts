/** Whoever follows the revocation feed by its cursor hears every end exactly once and in order, however many end at once. */
import { expect, test } from 'vitest';
import { revoke } from '../../src/operations/revoke.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { openEvents } from '../support/event-reader.ts';
import { beginSessions } from '../support/many-sessions.ts';
import { type Pair, startTestServer, type TestServer } from '../support/test-server.ts';
import { until } from '../support/until.ts';

const SESSIONS = 300;
const WRITERS = 12;

interface Heard {
  readonly cursor: string;
  readonly sid: string;
}

/** Asks on, now this server and now the other, until so many entries have come. */
async function follow(servers: readonly TestServer[], after: string, query: string): Promise<Heard[]> {
  const heard: Heard[] = [];
  let cursor = after;
  for (let turn = 0; heard.length < SESSIONS; turn += 1) {
    const server = servers[turn % servers.length] ?? servers[0];
    if (server === undefined || turn > 100 * SESSIONS) throw new Error(`only ${heard.length} entries came`);
    const { body } = await server.send({ path: `/revocations?after=${cursor}${query}`, headers: server.api.basic });
    expect(body.reset, `after ${cursor}`).toBe(false);
    heard.push(...(body.entries as Heard[]));
    cursor = String(body.cursor);
  }
  return heard;
}

/** Ends its share of the sessions one by one, by turns in each of the ways that there are. */
async function endAll(servers: readonly TestServer[], pairs: readonly Pair[]): Promise<void> {
  for (const [index, { session_id, refresh_token }] of pairs.entries()) {
    const server = servers[index % servers.length];
    if (server === undefined) return;
    if (index % 3 === 0) await revoke(server.app, { which: { family: session_id } });
    else expect((await server.post('/logout', { refresh_token })).status).toBe(204);
    if (index % 12 === 0) await server.login();
  }
}

const inOrder = (heard: readonly Heard[]): boolean =>
  heard.every(({ cursor }, index) => Number(cursor.split('.')[1]) === index + 1);

describeOnBothDatabases('many writers on two servers', (makeDatabase) => {
  test('leave no gap to any reader, and one order to all', async () => {
    const url = await makeDatabase();
    const server = await startTestServer({ url });
    const other = await startTestServer({ url, beside: server });
    const servers = [server, other];
    const sessions = await beginSessions(server, await server.login(), SESSIONS);
    const { body } = await server.send({ path: '/revocations', headers: server.api.basic });
    const start = String(body.cursor);
    const { basic } = server.api;
    const streams = await Promise.all(servers.map(({ port }) => openEvents(port, { headers: basic })));
    await until(() => streams.every((stream) => stream.comments() === 1), 'the streams have begun');

    const readers = [
      follow([server], start, '&wait=5s'),
      follow([other], start, '&wait=5s'),
      follow(servers, start, '&wait=100ms'),
      follow(servers, start, '&wait=20ms'),
    ];
    const writers = Array.from({ length: WRITERS }, (_, writer) =>
      endAll(
        writer % 2 === 0 ? servers : servers.toReversed(),
        sessions.filter((_session, index) => index % WRITERS === writer),
      ),
    );
    const heard = await Promise.all(readers);
    await Promise.all(writers);
    for (const stream of streams) {
      heard.push((await stream.hear(SESSIONS)).map(({ data }) => data as unknown as Heard));
      stream.close();
    }

    const [first = []] = heard;
    expect(inOrder(first)).toBe(true);
    expect(first.map(({ sid }) => sid).toSorted()).toEqual(sessions.map(({ session_id }) => session_id).toSorted());
    for (const other of heard) expect(other).toEqual(first);
    expect(streams.map((stream) => stream.messages.length)).toEqual([SESSIONS, SESSIONS]);
  }, 60_000);
});
