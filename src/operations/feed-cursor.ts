/** Where the revocation feed stands, as its readers say it (contract §11): `<epoch>.<number>`. */
import type { App } from '../app.ts';
import { feedPosition } from '../store/revocations.ts';

/** Read after a change, it covers the change. */
export async function feedCursor(app: App): Promise<string> {
  const { epoch, number } = await app.store.read(feedPosition);
  return `${epoch}.${number}`;
}
