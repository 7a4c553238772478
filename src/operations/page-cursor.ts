/**
 * Places in a list, for callers over the network: sealed, so that none can be made up, and bound to the question whose answer
 * they came with. On a terminal an id is one.
 */
import type { App } from '../app.ts';
import { seal, unseal } from '../crypto/master-key.ts';
import { Refusal } from '../refusal.ts';

/** @param question what was asked for, in one spelling */
export async function sealCursor(app: App, question: string, place: string): Promise<string> {
  const sealed = seal(await app.master(), place, { purpose: 'cursor', id: question, instance: app.instance });
  return Buffer.from(sealed).toString('base64url');
}

/** @throws Refusal invalid_request for a cursor of another question, of another server, or of none */
export async function openCursor(app: App, question: string, cursor: string): Promise<string> {
  const sealed = Buffer.from(cursor, 'base64url').toString('latin1');
  const context = { purpose: 'cursor', id: question, instance: app.instance } as const;
  // Written again it must be the same: Buffer skips what is not base64url without a word.
  const isWhole = Buffer.from(sealed, 'latin1').toString('base64url') === cursor;
  const place = isWhole ? unseal(await app.master(), sealed, context) : undefined;
  if (place !== undefined) return place;
  throw new Refusal(
    'invalid_request',
    'cursor must be a next_cursor of the same question; leave it out to begin with the first page.',
  );
}
