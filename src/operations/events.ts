/** The event log as people read it: a page at a time in order, or followed as it grows. */
import type { App } from '../app.ts';
import { type EventId, isUuidv7 } from '../domain/ids.ts';
import type { SecurityEventType } from '../domain/security-event.ts';
import { SECOND } from '../domain/time.ts';
import { Refusal } from '../refusal.ts';
import {
  findEventNumber,
  latestEventNumber,
  listEvents,
  listLatestEvents,
  type RecordedEvent,
} from '../store/events.ts';
import { type EventView, eventView } from './views.ts';

/** Events on one page. */
export const EVENT_PAGE = { default: 50, max: 500 } as const;

export interface EventListRequest {
  readonly type?: SecurityEventType | undefined;
  /** Only later ones: a cursor of an earlier page, or the id of an event. Without it, from the oldest on. */
  readonly after?: string | undefined;
  readonly limit: number;
}

export interface EventPage {
  readonly events: readonly EventView[];
  /** Null on the last page. */
  readonly nextCursor: string | null;
}

const CURSOR = /^(0|[1-9][0-9]{0,14})$/;

/** @throws Refusal invalid_request */
async function numberOf(app: App, after: string): Promise<number> {
  if (CURSOR.test(after)) return Number(after);
  const id = after.toLowerCase();
  const number = isUuidv7(id) ? await app.store.read((db) => findEventNumber(db, id as EventId)) : undefined;
  if (number === undefined) {
    throw new Refusal(
      'invalid_request',
      'There is no such place in the event log: give a cursor, or the id of an event.',
    );
  }
  return number;
}

/** Oldest first. @throws Refusal invalid_request */
export async function listEventPage(app: App, request: EventListRequest): Promise<EventPage> {
  const limit = Math.max(1, Math.min(request.limit, EVENT_PAGE.max));
  const after = request.after === undefined ? 0 : await numberOf(app, request.after);
  const filter = { after, limit: limit + 1, ...(request.type === undefined ? {} : { type: request.type }) };
  const found = await app.store.read((db) => listEvents(db, filter));
  const page = found.slice(0, limit);
  return {
    events: page.map(eventView),
    nextCursor: found.length > limit ? String(page.at(-1)?.number ?? after) : null,
  };
}

/** The newest ones, oldest of them first: what a person who opens a log wants to see. */
export async function listNewestEvents(
  app: App,
  request: { readonly type?: SecurityEventType | undefined; readonly limit: number },
) {
  const found = await app.store.read((db) =>
    listLatestEvents(db, request.type, Math.min(request.limit, EVENT_PAGE.max)),
  );
  return found.map(eventView);
}

/** Looks for new events, each time it is called. */
export type FollowEvents = () => Promise<readonly EventView[]>;

/**
 * On Postgres an event may be committed after one with a higher number. Whoever reads in order of numbers would skip it, so
 * numbers as young as the longest transaction are read again, and what was shown before is left out.
 */
const UNSETTLED = 15 * SECOND;

/** From now on. @param type only events of this type. @param from the number of the last event seen, instead of now */
export async function followEvents(
  app: App,
  type: SecurityEventType | undefined,
  from?: number,
): Promise<FollowEvents> {
  let floor = from ?? (await app.store.read(latestEventNumber));
  const shown = new Set<number>();

  async function readFrom(start: number): Promise<readonly RecordedEvent[]> {
    const read: RecordedEvent[] = [];
    for (let after = start; ; ) {
      const filter = { after, limit: EVENT_PAGE.max, ...(type === undefined ? {} : { type }) };
      const page = await app.store.read((db) => listEvents(db, filter));
      read.push(...page);
      const last = page.at(-1);
      if (last === undefined || page.length < EVENT_PAGE.max) return read;
      after = last.number;
    }
  }

  return async () => {
    const read = await readFrom(floor);
    const fresh = read.filter((event) => !shown.has(event.number));
    const settled = app.clock.now() - UNSETTLED;
    for (const { number, timestamp } of read) {
      shown.add(number);
      if (timestamp < settled) floor = Math.max(floor, number);
    }
    for (const number of shown) if (number <= floor) shown.delete(number);
    return fresh.map(eventView);
  };
}
