/**
 * What the database remembers of the tokens that a server issues, so that commands beside it speak of the same: their issuer, and
 * how long they live.
 */
import type { App } from '../app.ts';
import { storeAccessTokenLife } from '../store/access-token-life.ts';
import { findSetting, storeSetting } from '../store/settings.ts';
import type { Store } from '../store/store.ts';

/** What the last `serve` issued under; undefined before the first. */
export const storedIssuer = (store: Store): Promise<string | undefined> =>
  store.read((db) => findSetting(db, 'issuer'));

/** Called by `serve`. @returns the issuer that this one replaces, whose sessions have ended with it */
export async function keepIssuer(app: App): Promise<string | undefined> {
  const { issuer } = app.config;
  const before = await storedIssuer(app.store);
  if (before === issuer) return undefined;
  await app.store.write((tx) => storeSetting(tx, 'issuer', issuer));
  return before;
}

/** Called by `serve`: what ends a session, whatever its configuration, has to tell of it for as long. */
export const keepAccessTokenLife = (app: App): Promise<void> =>
  app.store.write((tx) => storeAccessTokenLife(tx, app.config.tokens.accessTokenTtl));
