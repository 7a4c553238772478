/**
 * What the destructive keys ask before they do anything: about whom, how many, and what has to be typed. The target is fixed
 * when the key is pressed, and named; nothing here runs an operation that changes anything before the answer.
 */
import type { App } from '../../src/app.ts';
import { type FamilyId, type KeyId, shortKid } from '../../src/domain/ids.ts';
import { retryDead } from '../../src/operations/deliveries.ts';
import { declareKeyCompromised, rotateKeys } from '../../src/operations/keys.ts';
import { listKeyOutlooks, previewCompromise, unripeUntil } from '../../src/operations/list-keys.ts';
import { previewRevocation, revoke } from '../../src/operations/revoke.ts';
import { bringSchemaUp } from '../../src/operations/schema.ts';
import { roughly } from '../when.ts';
import type { Owner, SessionRef } from './listing.ts';
import type { Asked } from './state.ts';

/** What is kept with a session unless somebody says more. */
const REASON = 'operator';

/** Makes a question of it. */
interface Draft {
  readonly text: string;
  readonly answer: string;
  readonly reason?: string;
  readonly run: (reason: string) => Promise<string>;
}

const asked = (app: App, { text, answer, reason, run }: Draft): Asked => ({
  kind: 'question',
  question: { text, answer, reason, typed: '', askedAt: app.clock.monotonic() },
  run,
});

const ended = (count: number): string => `Ended ${count}. /verify refuses now, offline verifiers within 1s.`;

/** One takes `y`, several their number. */
export function askSessions(app: App, targets: readonly SessionRef[]): Asked | undefined {
  const [only] = targets;
  if (only === undefined) return undefined;
  const run = async (reason: string): Promise<string> => {
    let count = 0;
    for (const { sid } of targets) {
      count += (await revoke(app, { which: { family: sid as FamilyId }, reason })).revoked;
    }
    return count === 0 ? 'It had ended already.' : ended(count);
  };
  const count = String(targets.length);
  if (targets.length === 1)
    return asked(app, { text: `End the session of ${only.words}`, answer: 'y', reason: REASON, run });
  return asked(app, { text: `End ${count} marked sessions?`, answer: count, reason: REASON, run });
}

/** All of a subject or a client, counted first. @returns a message when there is nothing to end */
export async function askOwner(app: App, { which, words }: Owner): Promise<Asked | string> {
  const { count } = await previewRevocation(app, { which });
  if (count === 0) return `Nothing to end: ${words} has no live session.`;
  const run = async (reason: string): Promise<string> => ended((await revoke(app, { which, reason })).revoked);
  const text = count === 1 ? `End the one session of ${words}?` : `End ${count} sessions of ${words}?`;
  return asked(app, { text, answer: count === 1 ? 'y' : String(count), reason: REASON, run });
}

const keyOf = async (app: App, kid: string) => (await listKeyOutlooks(app)).find(({ key }) => key.kid === kid)?.key;

/** No session ends; a key that nobody has had time to fetch is named. */
export async function askRotation(app: App, kid: string): Promise<Asked | undefined> {
  const key = await keyOf(app, kid);
  if (key === undefined) return undefined;
  const ripeAt = await unripeUntil(app, key.ring);
  const young =
    ripeAt === null
      ? ''
      : ` The next key is too young for ${roughly(ripeAt - app.clock.now())}: who caches the JWKS may not know it.`;
  return asked(app, {
    text: `Rotate the ${key.ring} ring now? No session ends.${young}`,
    answer: 'y',
    run: async () => {
      await rotateKeys(app, key.ring);
      return `The ${key.ring} ring has moved on. Servers follow within 2s.`;
    },
  });
}

/** Takes the key's own id, because nothing undoes it. */
export async function askCompromise(app: App, kid: string): Promise<Asked | undefined> {
  const key = await keyOf(app, kid);
  if (key === undefined) return undefined;
  const { sessions } = await previewCompromise(app, key.ring, key.kid as KeyId);
  const shown = shortKid(key.kid);
  return asked(app, {
    text: `Compromised: nothing accepts ${shown} ever again, ${sessions} sessions end.`,
    answer: shown,
    run: async () => {
      const { revoked } = await declareKeyCompromised(app, key.ring, key.kid as KeyId);
      return `${shown} is compromised; ${revoked} sessions ended.`;
    },
  });
}

/** All of them, of every receiver. It asks the database nothing before. */
export const askRetry = (app: App): Asked =>
  asked(app, {
    text: 'Try all dead letters again? Receivers that were disabled are enabled.',
    answer: 'y',
    run: async () => `${await retryDead(app)} are due again.`,
  });

/** @param onMigrated is called before the message is shown */
export const askMigration = (app: App, onMigrated: () => void): Asked =>
  asked(app, {
    text: 'Run the pending migrations? Make a backup first: auth-server backup FILE',
    answer: 'y',
    run: async () => {
      const { current, applied } = await bringSchemaUp(app);
      onMigrated();
      return `schema ${current}: ${applied.length === 0 ? 'nothing was pending' : `applied ${applied.join(', ')}`}`;
    },
  });
