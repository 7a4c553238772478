/** The policy that an `app` carries (contract §7), seen through the standard endpoint as through the native one. */
import { expect, test } from 'vitest';
import type { ClientPolicy } from '../../src/domain/client.ts';
import { changeClient } from '../../src/operations/clients.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { decodePart, expectNoChange } from '../support/expectations.ts';
import { postForm } from '../support/form.ts';
import type { Answer } from '../support/http-client.ts';
import { type Pair, pairOf, startTestServer, type TestClient, type TestServer } from '../support/test-server.ts';

const MINUTE = 60_000;

type Policy = { readonly [Name in keyof ClientPolicy]?: number | boolean | null };

interface Way {
  readonly name: string;
  ask(server: TestServer, client: TestClient, pair: Pair): Promise<Answer>;
}

const WAYS: readonly Way[] = [
  {
    name: '/oauth/token',
    ask: (server, { basic }, { refresh_token }) =>
      postForm(server, '/oauth/token', { grant_type: 'refresh_token', refresh_token }, basic),
  },
  { name: '/refresh', ask: (server, { basic: headers }, pair) => server.tryRefresh(pair, { headers }) },
];

describeOnBothDatabases('the policy of a client', (makeDatabase) => {
  async function prepare(policy: Policy, audiences: readonly string[] = []) {
    const server = await startTestServer({ url: await makeDatabase() });
    const client = await server.addClient('backend', { audiences, policy: policy as Partial<ClientPolicy> });
    const login = (): Promise<Pair> => server.login({ client_id: client.id, headers: client.basic });
    return { server, client, login };
  }

  const refused = (answer: Answer): void => {
    expect(answer.body.error).toBe('invalid_grant');
    expect([400, 401]).toContain(answer.status);
  };

  test.each(WAYS)(
    '$name: --leeway gives the successor again until it is used or the leeway is over',
    async ({ ask }) => {
      const { server, client, login } = await prepare({ leeway: 10_000 });
      const first = await login();
      const second = pairOf(await ask(server, client, first));
      server.clock.advance(9_999);
      expect(pairOf(await ask(server, client, first)).refresh_token).toBe(second.refresh_token);
      server.clock.advance(1);
      refused(await ask(server, client, first));
      expect((await server.family(first.session_id)).revoked?.cause).toBe('reuse');

      const other = await login();
      pairOf(await ask(server, client, pairOf(await ask(server, client, other))));
      refused(await ask(server, client, other));
      expect((await server.family(other.session_id)).revoked?.cause).toBe('reuse');
    },
  );

  test.each(WAYS)('$name: --refresh-token-ttl counts from each issue', async ({ ask }) => {
    const { server, client, login } = await prepare({ refreshTokenTtl: 60 * MINUTE });
    let pair = await login();
    for (let round = 0; round < 3; round += 1) {
      expect(pair.refresh_expires_in).toBe(3_600);
      const { iat, exp } = decodePart(pair.refresh_token, 'claims');
      expect(Number(exp) - Number(iat)).toBe(3_600);
      server.clock.advance(60 * MINUTE - 1_000);
      pair = pairOf(await ask(server, client, pair));
    }
    server.clock.advance(60 * MINUTE);
    await expectNoChange(server, async () => refused(await ask(server, client, pair)));
  });

  test.each(WAYS)('$name: --idle-timeout ends what was not refreshed for so long', async ({ ask }) => {
    const { server, client, login } = await prepare({ idleTimeout: 30 * MINUTE });
    const pair = await login();
    server.clock.advance(30 * MINUTE - 1);
    const next = pairOf(await ask(server, client, pair));
    server.clock.advance(30 * MINUTE);
    await expectNoChange(server, async () => refused(await ask(server, client, next)));
  });

  test.each(WAYS)('$name: --max-sessions ends the least recently refreshed one', async ({ ask }) => {
    const { server, client, login } = await prepare({ maxSessions: 2 });
    const [oldest, second] = [await login(), await login()];
    server.clock.advance(1_000);
    const kept = pairOf(await ask(server, client, oldest));
    await login();
    refused(await ask(server, client, second));
    expect((await server.family(second.session_id)).revoked?.cause).toBe('session_limit');
    pairOf(await ask(server, client, kept));
  });

  test.each(WAYS)('$name: --audience is the audience of its access tokens, from the next one on', async ({ ask }) => {
    const { server, client, login } = await prepare({}, ['orders', 'stock']);
    const pair = await login();
    expect(decodePart(pair.access_token, 'claims').aud).toEqual(['orders', 'stock']);
    await changeClient(server.app, { id: client.id, audiences: ['api'], policy: {} });
    const next = pairOf(await ask(server, client, pair));
    expect(decodePart(next.access_token, 'claims').aud).toBe('api');
    expect(await server.verify(next.access_token)).toMatchObject({ active: true });
  });

  test('of the built-in client can be changed, and holds for logins that name none and that name it', async () => {
    const { server } = await prepare({});
    await changeClient(server.app, { id: 'default', policy: { refreshAlone: true, maxSessions: 1 } });
    const first = await server.login();
    const second = await server.login({ client_id: 'default' });
    expect(decodePart(second.access_token, 'claims').client_id).toBe('default');
    expect((await server.family(first.session_id)).revoked?.cause).toBe('session_limit');
    const next = pairOf(await server.tryRefresh({ refresh_token: second.refresh_token }));
    const form = { grant_type: 'refresh_token', refresh_token: next.refresh_token, client_id: 'default' };
    pairOf(await postForm(server, '/oauth/token', form));
  });
});
