/** The issuer is part of every token, so the database remembers it: commands beside a server speak of the same one. */
import type { App } from '../app.ts';
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
