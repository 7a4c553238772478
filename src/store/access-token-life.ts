/**
 * The longest lifetime of any access token in force, which is how long the revocation feed has to speak of a session. The
 * database remembers it, because one process does not know it: a command may run without the server's configuration, and
 * after the lifetime was shortened the tokens from before live on.
 */
import { after, DAY, type DurationMs, type EpochMs } from '../domain/time.ts';
import { findSetting, storeSetting } from './settings.ts';
import type { Reader, Tx } from './store.ts';

/** Other servers may go on with the longer lifetime for so long, while they are restarted one by one. */
const RESTARTS = DAY;

interface Life {
  /** Of the server that was started last. */
  readonly current: DurationMs;
  /** A longer one that was in force before, and until when its tokens may live. */
  readonly before?: { readonly life: DurationMs; readonly until: EpochMs };
}

async function findLife(db: Reader): Promise<Life | undefined> {
  const text = await findSetting(db, 'access_token_life');
  // Written below alone.
  return text === undefined ? undefined : (JSON.parse(text) as Life);
}

/** @param own the lifetime in this process's configuration */
export async function longestAccessTokenLife(db: Reader, own: DurationMs, now: EpochMs): Promise<DurationMs> {
  const { current = own, before } = (await findLife(db)) ?? {};
  const earlier = before !== undefined && before.until > now ? before.life : own;
  return [own, current, earlier].reduce((longest, life) => (life > longest ? life : longest));
}

/** @param own the lifetime of the tokens that a server will issue from now on */
export async function storeAccessTokenLife(tx: Tx, own: DurationMs): Promise<void> {
  const stored = await findLife(tx);
  if (stored?.current === own) return;
  const life = await longestAccessTokenLife(tx, own, tx.now);
  const until = Math.max(after(tx.now, (stored?.current ?? own) + RESTARTS), stored?.before?.until ?? 0) as EpochMs;
  const kept: Life = life > own ? { current: own, before: { life, until } } : { current: own };
  await storeSetting(tx, 'access_token_life', JSON.stringify(kept));
}
