/** Unmodified OAuth client libraries refresh and revoke at the standard endpoints: contract §4. */
import { expect, test } from 'vitest';
import { describeOnBothDatabases } from '../support/databases.ts';
import { setStage } from '../support/stage.ts';
import { LIBRARIES, type Library, type Method } from './oauth-clients.ts';

const CASES: readonly (readonly [string, Method, Library])[] = LIBRARIES.flatMap((library) =>
  library.methods.map((method) => [library.name, method, library] as const),
);

describeOnBothDatabases('an OAuth client', (makeDatabase) => {
  test.each(CASES)('%s with %s refreshes, revokes, and hears of each refusal', async (_name, method, library) => {
    const stage = await setStage(await makeDatabase());
    const { server } = stage;
    const registered = method === 'none' ? stage.spa : stage.backend;
    const client = await library.start(stage, registered, method);
    const refusal = async (work: Promise<unknown>): Promise<unknown> =>
      library.errorOf(
        await work.then(
          () => expect.fail('it must refuse'),
          (thrown: unknown) => thrown,
        ),
      );

    const pair = await stage.login(registered);
    const next = await client.refresh(pair);
    const third = await client.refresh(next);
    expect(new Set([pair, next, third].map(({ refresh_token }) => refresh_token)).size).toBe(3);
    expect(await server.verify(third.access_token)).toMatchObject({ active: true, sid: pair.session_id });

    expect(await refusal(client.refresh(next)), 'a spent token').toBe('invalid_grant');
    expect(await server.verify(third.access_token)).toEqual({ active: false, reason: 'revoked' });
    expect(await refusal(client.refresh({ ...third, refresh_token: 'x' })), 'junk').toBe('invalid_grant');

    for (const kind of ['access_token', 'refresh_token'] as const) {
      const session = await stage.login(registered);
      await client.revoke(session, kind);
      expect(await server.verify(session.access_token)).toEqual({ active: false, reason: 'revoked' });
      expect(await refusal(client.refresh(session)), 'revoked').toBe('invalid_grant');
      await client.revoke(session, kind);
    }

    const foreign = await server.login();
    expect(await refusal(client.refresh(foreign)), 'another client').toBe('invalid_grant');
    expect(await refusal(client.revoke(foreign, 'refresh_token'))).toBe('unauthorized_client');
    expect(await server.verify(foreign.access_token)).toMatchObject({ active: true });

    const wrong = { ...registered, id: 'nobody', secret: method === 'none' ? '' : 'wrong' };
    const stranger = await library.start(stage, wrong, method);
    expect(['invalid_client', 'basic']).toContain(await refusal(stranger.refresh(await stage.login(registered))));
  });
});
