/** The policy that `auth-server clients` gives to an app, as a server that runs beside it keeps it (contract §7). */
import { expect, test } from 'vitest';
import { decodePart } from '../support/expectations.ts';
import { makeInstance } from '../support/instance.ts';
import type { Pair } from '../support/test-server.ts';
import { until } from '../support/until.ts';

const USER = { username: 'alice', password: '8letters' };

interface Told {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>> & Partial<Pair>;
}

async function told(response: Response): Promise<Told> {
  return { status: response.status, body: (await response.json()) as Told['body'] };
}

test('what add, set and remove say soon holds at the server that runs', async () => {
  const instance = await makeInstance();
  const { url } = await instance.serve();
  const json = async (path: string, body: object): Promise<Told> =>
    told(
      await fetch(url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }),
    );
  /** As a public OAuth client does, without an access token. */
  const refresh = async (refresh_token: string): Promise<Told> =>
    told(
      await fetch(`${url}/oauth/token`, {
        method: 'POST',
        body: new URLSearchParams({ grant_type: 'refresh_token', client_id: 'tv', refresh_token }),
      }),
    );
  const login = async (): Promise<Pair> => {
    const { status, body } = await json('/login', { ...USER, client_id: 'tv' });
    expect(status).toBe(200);
    return body as unknown as Pair;
  };

  expect(await json('/login', { ...USER, client_id: 'tv' })).toMatchObject({ body: { error: 'invalid_client' } });
  const policy = ['--leeway', '60s', '--refresh-token-ttl', '1h', '--idle-timeout', '30m', '--max-sessions', '1'];
  const audiences = ['--audience', 'orders', '--audience', 'stock'];
  await instance.run('clients', 'add', 'tv', '--type', 'app', '--public', '--refresh-alone', ...policy, ...audiences);
  await until(async () => (await json('/login', { ...USER, client_id: 'tv' })).status === 200, 'tv is known');

  const first = await login();
  expect(first.refresh_expires_in).toBe(3_600);
  expect(decodePart(first.access_token, 'claims').aud).toEqual(['orders', 'stock']);
  const next = await refresh(first.refresh_token);
  expect(next.status).toBe(200);
  const again = await refresh(first.refresh_token);
  expect(again.body.refresh_token).toBe(next.body.refresh_token);

  const second = await login();
  expect(await refresh(String(next.body.refresh_token))).toMatchObject({
    status: 400,
    body: { error: 'invalid_grant' },
  });
  const shown = await instance.run('families', 'show', first.session_id, '--json');
  expect(JSON.parse(shown)).toMatchObject({ state: 'revoked', revoke_reason: 'session_limit' });

  await instance.run('clients', 'set', 'tv', '--no-refresh-alone', '--max-sessions', 'default');
  let newest = second.refresh_token;
  await until(async () => {
    const { status, body } = await refresh(newest);
    if (status === 200) newest = String(body.refresh_token);
    return status === 400;
  }, 'it needs its access token');
  // A refusal for want of an access token costs nothing.
  const third = await json('/refresh', { access_token: second.access_token, refresh_token: newest });
  expect(third.status).toBe(200);
  await login();
  expect((await json('/refresh', third.body)).status, 'there is no limit any more').toBe(200);

  await instance.run('clients', 'remove', 'tv', '--yes');
  expect(await json('/refresh', third.body)).toMatchObject({ status: 401, body: { reason: 'revoked' } });
});
