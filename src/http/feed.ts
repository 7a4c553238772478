/** `/revocations` (contract §11): the feed as JSON, and as server-sent events (HTML Living Standard §9.2). */
import type { App } from '../app.ts';
import { authenticateClient, type ClientCredentials } from '../operations/authenticate-client.ts';
import { awaitFeed, FeedQuery, type FeedReading, followFeed, readFeedAfter, wholeFeed } from '../operations/feed.ts';
import { formatCursor, parseCursor } from '../operations/feed-cursor.ts';
import { revocationView } from '../operations/views.ts';
import { Refusal } from '../refusal.ts';
import { type Answer, JSON_TYPE, NO_STORE } from './answer.ts';
import { clientCredentials } from './client-auth.ts';
import { queryOf } from './query.ts';
import { type HttpRequest, invalidRequest } from './request.ts';

export async function getRevocations(app: App, request: HttpRequest): Promise<Answer> {
  const { incoming, method } = request;
  const credentials = clientCredentials(incoming);
  await authenticateClient(app, credentials, 'resource-server');
  const { after, wait } = queryOf(request, FeedQuery);
  const isGone = (): boolean => incoming.socket.destroyed;
  if (wantsEvents(request)) {
    const cursor = lastEventId(request) ?? after;
    const first = await readFeedAfter(app, parseCursor(cursor));
    // Who comes without a cursor has nothing to forget.
    const begun = { ...first, isReset: first.isReset && cursor !== undefined };
    return eventStream(followFeed(app, begun, { isGone, isAllowed: () => isAllowed(app, credentials) }));
  }
  // Whoever asks for the headers alone waits for nothing.
  const reading = await awaitFeed(app, parseCursor(after), method === 'HEAD' ? 0 : wait, isGone);
  const headers = { ...JSON_TYPE, ...NO_STORE };
  if (!reading.isLast) return { status: 200, headers, stream: jsonInParts(app, reading) };
  return { status: 200, headers, body: `${JSON_START}${jsonOf(reading)}${jsonEnd(reading, reading.isReset)}` };
}

type Page = Omit<FeedReading, 'isReset'>;

/** Many hear the same at once: they share its text. */
function shared(textOf: (page: Page) => string): (page: Page) => string {
  const texts = new WeakMap<Page['entries'], string>();
  return (page) => {
    const text = texts.get(page.entries) ?? textOf(page);
    texts.set(page.entries, text);
    return text;
  };
}

const viewsOf = ({ entries, place }: Page) => entries.map((entry) => revocationView(entry, place.epoch));

const JSON_START = '{"entries":[';

const jsonOf = shared((page) =>
  viewsOf(page)
    .map((view) => JSON.stringify(view))
    .join(),
);

const jsonEnd = ({ place }: Page, isReset: boolean): string =>
  `],"cursor":${JSON.stringify(formatCursor(place))},"reset":${isReset}}`;

/** The same text for a feed that is too long to be held at once; its cursor is known at the end. */
async function* jsonInParts(app: App, first: FeedReading): AsyncGenerator<string> {
  let last: Page = first;
  let before = JSON_START;
  for await (const page of wholeFeed(app, first)) {
    last = page;
    if (page.entries.length === 0) continue;
    yield `${before}${jsonOf(page)}`;
    before = ',';
  }
  yield jsonEnd(last, first.isReset);
}

async function isAllowed(app: App, credentials: ClientCredentials | undefined): Promise<boolean> {
  try {
    await authenticateClient(app, credentials, 'resource-server');
    return true;
  } catch (error) {
    if (error instanceof Refusal && error.code === 'invalid_client') return false;
    throw error;
  }
}

/** As `EventSource` asks: by name, whatever else it would take. */
const wantsEvents = ({ incoming }: HttpRequest): boolean =>
  (incoming.headers.accept ?? '').split(',').some((range) => /^\s*text\/event-stream\s*(;|$)/i.test(range));

/** Sent again by `EventSource` when it reconnects. @throws Refusal invalid_request */
function lastEventId({ incoming }: HttpRequest): string | undefined {
  const id = incoming.headers['last-event-id'];
  if (id === undefined || id === '') return undefined;
  if (typeof id === 'string' && parseCursor(id) !== undefined) return id;
  throw invalidRequest('Last-Event-ID must be a cursor of this feed; leave it out to begin.');
}

const eventStream = (readings: AsyncIterable<FeedReading>): Answer => ({
  status: 200,
  // nginx keeps an answer back until it is whole, unless it is told not to.
  headers: { 'Content-Type': 'text/event-stream', ...NO_STORE, 'X-Accel-Buffering': 'no' },
  stream: eventsOf(readings),
});

async function* eventsOf(readings: AsyncIterable<FeedReading>): AsyncGenerator<string> {
  for await (const reading of readings) yield eventText(reading);
}

const messagesOf = shared((page) =>
  viewsOf(page)
    .map((view) => `id: ${view.cursor}\ndata: ${JSON.stringify(view)}\n\n`)
    .join(''),
);

/** A comment when there is nothing to tell. */
function eventText(reading: FeedReading): string {
  const text = `${reading.isReset ? resetEvent(reading.place.epoch) : ''}${messagesOf(reading)}`;
  return text === '' ? ':\n\n' : text;
}

/** A cursor of its own, so that a reader that loses the connection next goes on with the first entry of the new epoch. */
function resetEvent(epoch: string): string {
  const cursor = formatCursor({ epoch, number: 0 });
  return `event: reset\nid: ${cursor}\ndata: ${JSON.stringify({ cursor })}\n\n`;
}
