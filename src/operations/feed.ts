/**
 * The revocation feed for resource servers (contract §11): what is revoked, in commit order, so that they can judge access
 * tokens by themselves. Nothing is skipped: a reader that goes on from its cursor gets every entry that came after it and is
 * still of use.
 */
import { z } from 'zod';
import type { App } from '../app.ts';
import { durationMs, parseDuration, SECOND } from '../domain/time.ts';
import { Refusal } from '../refusal.ts';
import type { FeedPage, FeedPosition } from '../store/revocations.ts';
import { FEED_CURSOR } from './feed-cursor.ts';

const limits = {
  /** The longest `wait` of a reader. */
  wait: durationMs(5 * SECOND),
  /** How often a reader of the stream hears that there is nothing new. */
  quiet: durationMs(3 * SECOND),
} as const;

/** The longest time that a reader may wait for an answer. */
export const LONGEST_WAIT = limits.wait;

const WAIT = 'must be a duration of at most 5s, such as 5s or 500ms';

export const FeedQuery = z.object({
  after: z
    .string()
    .regex(FEED_CURSOR, 'must be a cursor of this feed; leave it out to begin')
    .optional()
    .meta({ description: 'The cursor of the last answer. Without it: everything that is live.' }),
  wait: z
    .string()
    .regex(/^\d{1,9}(ms|s|m|h|d)$/, WAIT)
    .optional()
    .meta({ description: 'How long to wait for something new, at most 5s.' })
    .transform((text) => parseDuration(text ?? '0s') ?? durationMs(Number.POSITIVE_INFINITY))
    .refine((wait) => wait <= limits.wait, WAIT),
});

export interface FeedReading extends FeedPage {
  /** What the reader knew is void: its cursor, or the lack of one, is not of this feed, and this is the whole live set. */
  readonly isReset: boolean;
}

/** @param isGone the reader has gone away */
export type IsGone = () => boolean;

/** One page, without waiting. @param place undefined: from the beginning @throws Refusal temporarily_unavailable */
export async function readFeedAfter(app: App, place: FeedPosition | undefined): Promise<FeedReading> {
  const page = await app.feed.read(place?.number ?? 0);
  if (place === undefined) return { ...page, isReset: true };
  // A number that this epoch has not reached is of a database that went back: another beginning in all but name.
  if (place.epoch === page.place.epoch && place.number <= page.place.number) return { ...page, isReset: false };
  return { ...(await app.feed.read(0)), isReset: true };
}

/** @returns undefined when the wait is over without a look at the feed: the server stops, or the reader has gone */
async function nextReading(
  app: App,
  { place, isLast }: FeedPage,
  patience: number,
  isGone: IsGone,
): Promise<FeedReading | undefined> {
  const news = isLast ? await app.feed.next({ place, patience, isGone }) : 'missed';
  if (news === 'over') return undefined;
  return news === 'missed' ? readFeedAfter(app, place) : { ...news, isReset: false };
}

/** As `readFeedAfter`; when there is nothing new, it is waited for. @throws Refusal temporarily_unavailable */
export async function awaitFeed(
  app: App,
  place: FeedPosition | undefined,
  patience: number,
  isGone: IsGone,
): Promise<FeedReading> {
  const reading = await readFeedAfter(app, place);
  if (reading.isReset || reading.entries.length > 0 || patience === 0) return reading;
  return (await nextReading(app, reading, patience, isGone)) ?? reading;
}

/** A page and all that are behind it. @throws Refusal temporarily_unavailable, also when the feed begins anew meanwhile */
export async function* wholeFeed(app: App, first: FeedReading): AsyncGenerator<FeedPage> {
  let reading = first;
  yield reading;
  while (!reading.isLast) {
    reading = await readFeedAfter(app, reading.place);
    if (reading.isReset) {
      throw new Refusal('temporarily_unavailable', 'The feed began anew while it was read; read it again.');
    }
    yield reading;
  }
}

/**
 * A page and all that come after it, for as long as the reader is there and may read. A page without entries says that there
 * is nothing else: it comes behind the last entry that there was at the beginning, and then at least every three seconds.
 * It ends when this server stops.
 * @param isAllowed asked as often: a reader that was removed hears nothing more
 * @throws Refusal temporarily_unavailable, so that no reader takes a database that is away for one that is quiet
 */
export async function* followFeed(
  app: App,
  first: FeedReading,
  { isGone, isAllowed }: { readonly isGone: IsGone; readonly isAllowed: () => Promise<boolean> },
): AsyncGenerator<FeedReading> {
  let quietAt = 0;
  let reading: FeedReading | undefined = first;
  while (reading !== undefined && !isGone()) {
    if (reading.entries.length > 0 || reading.isReset) yield reading;
    if (reading.isLast && performance.now() >= quietAt) {
      if (!(await isAllowed())) return;
      yield { ...reading, entries: [], isReset: false };
      quietAt = performance.now() + limits.quiet;
    }
    reading = await nextReading(app, reading, quietAt - performance.now(), isGone);
  }
}
