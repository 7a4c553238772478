/** What every API of docs/clients/protect-an-api.md does, in whatever language: asked over HTTP, as its callers would. */
import { expect } from 'vitest';
import type { Stage } from '../support/stage.ts';
import { until } from '../support/until.ts';

interface Said {
  readonly status: number;
  readonly challenge: string | null;
  readonly body: unknown;
}

export type AskApi = (authorization?: string) => Promise<Said>;

/** Waits until somebody listens there. @param said what the program has printed, for when it does not */
export async function apiAt(port: number, said: () => string): Promise<AskApi> {
  const ask: AskApi = async (authorization) => {
    const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
    const response = await fetch(`http://127.0.0.1:${port}/orders`, { headers });
    const challenge = response.headers.get('www-authenticate');
    return { status: response.status, challenge, body: await response.json() };
  };
  const isThere = (): Promise<boolean> =>
    ask().then(
      () => true,
      () => false,
    );
  await until(isThere, 'it listens').catch((error: unknown) => {
    throw new Error(said(), { cause: error });
  });
  return ask;
}

const unauthorized = (challenge: string) => ({ status: 401, challenge, body: { error: 'unauthorized' } });
const NONE = unauthorized('Bearer realm="orders"');
const INVALID = unauthorized('Bearer realm="orders", error="invalid_token"');

/** @param hearsAtOnce whether it asks about each token */
export async function checkApi({ server }: Stage, ask: AskApi, hearsAtOnce: boolean): Promise<void> {
  const { access_token, refresh_token } = await server.login();
  const good = { status: 200, challenge: null, body: { of: server.subject } };
  expect(await ask()).toEqual(NONE);
  expect(await ask(`Bearer ${access_token}`)).toEqual(good);
  expect(await ask(`bearer ${access_token}`)).toEqual(good);
  await server.addClient('billing', { isPublic: true, audiences: ['billing'] });
  const foreign = await server.login({ client_id: 'billing' });
  for (const token of ['x', `${access_token.slice(0, -4)}AAAA`, refresh_token, foreign.access_token])
    expect(await ask(`Bearer ${token}`)).toEqual(INVALID);
  await server.post('/logout', { refresh_token });
  expect(await ask(`Bearer ${access_token}`)).toEqual(hearsAtOnce ? INVALID : good);
  expect(server.log()).not.toContain(access_token);
}

/** No verdict is no `401`. @param ask of an API that cannot reach the server */
export async function checkHelpless(token: string, ask: AskApi): Promise<void> {
  expect(await ask(`Bearer ${token}`)).toEqual({
    status: 503,
    challenge: null,
    body: { error: 'temporarily_unavailable' },
  });
}
