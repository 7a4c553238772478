/** Security rows U8 and U9: which claims of a user service reach a token. */
import { expect, test } from 'vitest';
import { describeOnBothDatabases } from '../support/databases.ts';
import { says, startStubUserService } from '../support/stub-user-service.ts';
import { expectNoEntry, startWith } from './support.ts';

const payloadOf = (token: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as Record<string, unknown>;

const nested = (depth: number): unknown => (depth === 0 ? 1 : { inner: nested(depth - 1) });

describeOnBothDatabases('claims of a user service', (makeOne) => {
  test('claims are let through by name; what is let through is at most 4 KiB, the rest is not looked at (U8)', async () => {
    const service = await startStubUserService();
    const config = { 'tokens.claims': ['roles', 'deep'], 'tokens.signingAlgorithm': 'RS256' };
    const server = await startWith(await makeOne(), service, config);
    const many = Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`claim-${index}`, index]));
    /** JSON of `{"roles":"…"}` in so many bytes. */
    const roles = (bytes: number): string => 'r'.repeat(bytes - '{"roles":""}'.length);

    for (const claims of [
      [],
      ['roles'],
      'roles',
      7,
      true,
      null,
      { roles: roles(4_097) },
      { roles: 'é'.repeat(2_100) },
      { deep: nested(500) },
    ]) {
      service.behave(says(200, { sub: 'user-1', claims }));
      await expectNoEntry(server);
    }
    service.behave(says(200, { sub: 'user-1', claims: { roles: 'x'.repeat(65_000), other: 'x'.repeat(600) } }));
    await expectNoEntry(server);

    const passing: readonly (readonly [unknown, Record<string, unknown>])[] = [
      [undefined, {}],
      [{}, {}],
      [{ roles: ['a', 'b'], email: 'a@b.example' }, { roles: ['a', 'b'] }],
      [{ ...many, roles: null }, { roles: null }],
      [{ other: 'x'.repeat(60_000) }, {}],
      [{ deep: nested(50) }, { deep: nested(50) }],
      [{ roles: roles(4_096) }, { roles: roles(4_096) }],
    ];
    const own = ['aud', 'auth_time', 'client_id', 'exp', 'iat', 'iss', 'jti', 'sid', 'sub'];
    for (const [claims, expected] of passing) {
      service.behave(says(200, { sub: 's'.repeat(255), claims }));
      const { access_token } = await server.login();
      expect(access_token.length).toBeLessThan(8_192);
      const payload = payloadOf(access_token);
      expect(Object.keys(payload).toSorted()).toEqual([...own, ...Object.keys(expected)].toSorted());
      expect(payload).toMatchObject(expected);
      expect(await server.verify(access_token)).toMatchObject({ active: true, ...expected });
    }
  });

  test('names that the server itself writes are never taken from a directory (U9)', async () => {
    const service = await startStubUserService();
    const reserved = (
      'iss sub aud client_id iat nbf exp jti sid gen auth_time typ active reason scope cnf act token_type ' +
      '__proto__ constructor prototype'
    ).split(' ');
    const config = { 'tokens.claims': [...reserved, 'name'] };
    const server = await startWith(await makeOne(), service, config);
    const evil = reserved.map((name) => `${JSON.stringify(name)}:${JSON.stringify(`evil-${name}`)}`).join(',');
    const answer = `{"sub":"user-1","active":true,"claims":{${evil},"name":"Ada"}}`;
    service.behave(says(200, answer));
    const pair = await server.login();
    const refreshed = await server.refresh(pair);
    for (const { access_token } of [pair, refreshed]) {
      const payload = payloadOf(access_token);
      expect(JSON.stringify(payload)).not.toContain('evil');
      expect(payload).toMatchObject({ sub: 'user-1', aud: 'api', client_id: 'default', name: 'Ada' });
      const verified = await server.verify(access_token);
      expect(verified).toMatchObject({ active: true, sub: 'user-1', name: 'Ada' });
      expect(JSON.stringify(verified)).not.toContain('evil');
    }
  });
});
