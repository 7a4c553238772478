/** What a new database needs before anybody can log in. Alone, because what runs the built executable needs nothing else of an instance. */
import type { App } from '../../src/app.ts';
import { Secret } from '../../src/domain/secret.ts';
import { addClient } from '../../src/operations/clients.ts';
import { moveKeysOn } from '../../src/operations/keys.ts';
import { addUser } from '../../src/operations/users.ts';

/** Signing keys, the user `alice`, and the resource server `api`. @returns the header by which `api` authenticates */
export async function furnish(app: App, password: string): Promise<{ readonly authorization: string }> {
  await moveKeysOn(app);
  await addUser(app, { name: 'alice', password: new Secret(password) });
  const { secret } = await addClient(app, {
    id: 'api',
    type: 'resource-server',
    isPublic: false,
    audiences: [],
    policy: {},
  });
  return { authorization: `Basic ${Buffer.from(`api:${secret?.reveal()}`).toString('base64')}` };
}
