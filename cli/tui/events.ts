/** The event log's end, and what became of its deliveries. */
import type { App } from '../../src/app.ts';
import { type EventId, type FamilyId, type Subject, shortId } from '../../src/domain/ids.ts';
import type { EpochMs } from '../../src/domain/time.ts';
import { type ReceiverReport, reportOnReceivers } from '../../src/operations/activity.ts';
import { listDeliveryPage } from '../../src/operations/deliveries.ts';
import { listNewestEvents } from '../../src/operations/events.ts';
import { namesOf } from '../../src/operations/families.ts';
import type { DeliveryView } from '../../src/operations/views.ts';
import { type EventRow, eventColumns } from '../event-text.ts';
import type { Column } from '../table.ts';
import { roughly } from '../when.ts';
import { type Listing, makeListing } from './listing.ts';

/** What the screen shows; `t` goes from one to the next. */
export const EVENT_VIEWS = ['all', 'reuse', 'dead letters'] as const;
export type EventView = (typeof EVENT_VIEWS)[number];

/** Events of one reading. */
const PAGE = 100;

/** 100 at most: events the newest first, dead letters the oldest first. @throws Refusal temporarily_unavailable */
export async function loadEvents(app: App, view: EventView): Promise<Listing> {
  const listing = view === 'dead letters' ? await deadLetters(app) : await newest(app, view);
  return listing;
}

function noteOf(
  view: EventView,
  { ok, disabled, retrying, nextAttemptAt, dead }: ReceiverReport,
  now: EpochMs,
): string {
  const shown = EVENT_VIEWS.map((one) => (one === view ? `[${one}]` : one)).join(' ');
  const wait = nextAttemptAt === null ? '' : ` in ${roughly(Math.max(0, nextAttemptAt - now))}`;
  const off = disabled === 0 ? '' : `, ${disabled} disabled`;
  return `t ${shown}   receivers: ${ok} ok, ${retrying} retrying${wait}, ${dead} dead${off}`;
}

async function newest(app: App, view: 'all' | 'reuse'): Promise<Listing> {
  const type = view === 'reuse' ? 'token.reuse_detected' : undefined;
  const events = await listNewestEvents(app, { limit: PAGE, type });
  const subjects = events.flatMap(({ data }) => (typeof data.subject === 'string' ? [data.subject as Subject] : []));
  const names = await namesOf(app, subjects);
  const rows = events
    .toReversed()
    .map((event): EventRow => ({ ...event, name: names.get(event.data.subject as Subject) }));
  return eventListing(app, view, rows, noteOf(view, await reportOnReceivers(app), app.clock.now()));
}

function eventListing(app: App, view: 'all' | 'reuse', rows: readonly EventRow[], note: string): Listing {
  return makeListing({
    rows,
    id: ({ id }) => id,
    columns: eventColumns,
    isAlarm: ({ type }) => type === 'token.reuse_detected' || type === 'key.compromised',
    session: ({ data }) =>
      typeof data.sid === 'string'
        ? { sid: data.sid, words: shortId(data.sid as FamilyId), isLive: false, version: data.sid }
        : undefined,
    note,
    reach: rows.length < PAGE ? '' : 'the newest 100; all of them: auth-server events list',
    refresh: async () => ({ listing: await newest(app, view), arrived: 0 }),
  });
}

/** Who, and why: what has no room is dropped from the right. */
const deadColumns: readonly Column<DeliveryView>[] = [
  { title: 'EVENT', value: ({ event_id }) => event_id, text: ({ event_id }) => shortId(event_id as EventId) },
  { title: 'RECEIVER', value: ({ receiver }) => receiver },
  { title: 'LAST ERROR', value: ({ last_error }) => last_error },
  { title: 'TRIES', value: ({ attempts }) => attempts, right: true },
  { title: 'TYPE', value: ({ type }) => type },
];

async function deadLetters(app: App): Promise<Listing> {
  const { deliveries } = await listDeliveryPage(app, { state: 'dead', limit: PAGE });
  return makeListing({
    rows: deliveries,
    id: ({ event_id, receiver }) => `${event_id} ${receiver}`,
    columns: () => deadColumns,
    isAlarm: () => true,
    note: noteOf('dead letters', await reportOnReceivers(app), app.clock.now()),
    reach: deliveries.length === 0 ? 'no dead letters' : 'D tries all of them again',
    refresh: async () => ({ listing: await deadLetters(app), arrived: 0 }),
  });
}
