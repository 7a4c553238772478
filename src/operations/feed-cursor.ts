/** Where the revocation feed stands, as its readers say it (contract §11): `<epoch>.<number>`. */
import type { App } from '../app.ts';
import { type FeedPosition, feedPosition } from '../store/revocations.ts';

/** Of any epoch: a reader that comes with one of another is told to begin anew, not that it is wrong. */
export const FEED_CURSOR = /^[A-Za-z0-9_-]{1,64}\.(0|[1-9][0-9]{0,14})$/;

export const formatCursor = ({ epoch, number }: FeedPosition): string => `${epoch}.${number}`;

/** @returns undefined for what is no cursor at all */
export function parseCursor(text: string | undefined): FeedPosition | undefined {
  if (text === undefined || !FEED_CURSOR.test(text)) return undefined;
  const dot = text.indexOf('.');
  return { epoch: text.slice(0, dot), number: Number(text.slice(dot + 1)) };
}

/** Read after a change, it covers the change. */
export const feedCursor = async (app: App): Promise<string> => formatCursor(await app.store.read(feedPosition));
