/** The event log as people read it: a page at a time in order, or followed as it grows. */
import type { App } from '../app.ts';
import { type EventId, isUuidv7 } from '../domain/ids.ts';
import type { SecurityEventType } from '../domain/security-event.ts';
import { Refusal } from '../refusal.ts';
import { type EventFilter, findEventNumber, listEvents, listLatestEvents } from '../store/events.ts';
import { settledEventNumber } from '../store/settled-events.ts';
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

const ofType = (type: SecurityEventType | undefined): Pick<EventFilter, 'type'> => (type === undefined ? {} : { type });

/**
 * Oldest first. What is shown has a lower number than whatever comes later, so whoever goes on after it skips nothing.
 * @throws Refusal invalid_request
 */
export async function listEventPage(
  app: App,
  { after: place, type, limit: wanted }: EventListRequest,
): Promise<EventPage> {
  const limit = Math.max(1, Math.min(wanted, EVENT_PAGE.max));
  const after = place === undefined ? 0 : await numberOf(app, place);
  const upTo = await app.store.read(settledEventNumber);
  const found = await app.store.read((db) => listEvents(db, { after, upTo, limit: limit + 1, ...ofType(type) }));
  const page = found.slice(0, limit);
  return {
    events: page.map(eventView),
    nextCursor: found.length > limit ? String(page.at(-1)?.number ?? after) : null,
  };
}

/** The newest ones, oldest of them first: what a person who opens a log wants to see. @param upTo none with a higher number */
export async function listNewestEvents(
  app: App,
  request: { readonly type?: SecurityEventType | undefined; readonly limit: number; readonly upTo?: number },
) {
  const limit = Math.min(request.limit, EVENT_PAGE.max);
  const bound = request.upTo === undefined ? {} : { upTo: request.upTo };
  const found = await app.store.read((db) => listLatestEvents(db, { limit, ...bound, ...ofType(request.type) }));
  return found.map(eventView);
}

/** Looks for new events, each time it is called. */
export type FollowEvents = () => Promise<readonly EventView[]>;

/** How far the log can be read now without skipping what is not committed yet: where to follow from. */
export const endOfEvents = (app: App): Promise<number> => app.store.read(settledEventNumber);

/** In order, each once. @param type only events of this type. @param from the number of the last event seen */
export function followEvents(app: App, type: SecurityEventType | undefined, from: number): FollowEvents {
  let seen = from;
  return async () => {
    const upTo = await endOfEvents(app);
    const fresh: EventView[] = [];
    while (seen < upTo) {
      const page = await app.store.read((db) =>
        listEvents(db, { after: seen, upTo, limit: EVENT_PAGE.max, ...ofType(type) }),
      );
      fresh.push(...page.map(eventView));
      seen = page.length < EVENT_PAGE.max ? upTo : (page.at(-1)?.number ?? upTo);
    }
    return fresh;
  };
}
