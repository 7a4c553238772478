/** Whether this server can do its work now: the database answers, its schema is current, a key of each ring is active. */
import type { App } from '../app.ts';
import { Refusal } from '../refusal.ts';
import { schemaStatus } from '../store/migrate.ts';

/** `degraded`: a key that does not sign cannot be read. @throws Refusal temporarily_unavailable */
export async function readiness(app: App): Promise<'ok' | 'degraded'> {
  const { pending } = await schemaStatus(app.store);
  if (pending.length > 0)
    throw new Refusal('temporarily_unavailable', 'The schema is behind; run auth-server migrate up.');
  const { unreadable } = await app.keys.current();
  return unreadable.length === 0 ? 'ok' : 'degraded';
}
