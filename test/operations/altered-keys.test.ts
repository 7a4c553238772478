/**
 * A key row that somebody altered is no key (security 3.18: what Wycheproof's key sets try, at the function that loads keys):
 * the server goes on without it, nothing that it would verify is accepted, and it is not published.
 */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { expect, test } from 'vitest';
import { encodeHeader } from '../../src/crypto/jws.ts';
import type { FamilyId, KeyId } from '../../src/domain/ids.ts';
import { declareKeyCompromised, rotateKeys } from '../../src/operations/keys.ts';
import { listKeys, type StoredKey } from '../../src/store/signing-keys.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { familyOf, openTestApp, storeFamilies } from '../support/test-app.ts';
import { type Pair, startTestServer, type TestServer } from '../support/test-server.ts';

const attacker = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const jwkOf = (key: KeyObject): string => JSON.stringify(key.export({ format: 'jwk' }));

type Alteration = readonly [name: string, change: Readonly<Record<string, string>>];

const ALTERATIONS: readonly Alteration[] = [
  ['another public key of the same kind', { public_jwk: jwkOf(attacker.publicKey) }],
  ['a key of another curve', { public_jwk: jwkOf(generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey) }],
  ['an RSA key of 1,024 bits', { public_jwk: jwkOf(generateKeyPairSync('rsa', { modulusLength: 1_024 }).publicKey) }],
  ['a symmetric key', { public_jwk: '{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}' }],
  ['a key of no kind', { public_jwk: '{"kty":"EC"}' }],
  ['no JSON', { public_jwk: '{' }],
  ['another algorithm', { alg: 'RS256' }],
  ['the algorithm of the other ring', { alg: 'HS256' }],
  ['an algorithm that is none', { alg: 'none' }],
  ['the other ring', { ring: 'refresh' }],
];

describeOnBothDatabases('a key row', (makeDatabase) => {
  const keysOf = (server: TestServer): Promise<StoredKey[]> => server.app.store.read(listKeys);

  const alter = (server: TestServer, kid: KeyId, change: Readonly<Record<string, string>>): Promise<unknown> =>
    server.app.store.write((tx) => tx.sql.updateTable('signing_keys').set(change).where('kid', '=', kid).execute());

  /** The claims of a genuine token under the header of the key, signed by whoever has the altered one. */
  function forge(pair: Pair, kid: KeyId): string {
    const signed = `${encodeHeader('ES256', kid, 'at+jwt')}.${pair.access_token.split('.')[1]}`;
    const options = { key: attacker.privateKey, dsaEncoding: 'ieee-p1363' } as const;
    return `${signed}.${sign('sha256', Buffer.from(signed), options).toString('base64url')}`;
  }

  test('altered in any column is unreadable, and the others serve on (3.18, J6, J16)', async () => {
    const server = await startTestServer({ url: await makeDatabase() });
    const pair = await server.login();
    const next = (await keysOf(server)).find(({ ring, state }) => ring === 'access' && state === 'next');
    if (next === undefined) throw new Error('there is a next key');
    const original = { public_jwk: next.publicJwk ?? '', alg: next.alg, ring: next.ring };
    for (const [name, change] of ALTERATIONS) {
      await alter(server, next.kid, change);
      const { unreadable, access, refresh, jwks } = await server.app.keys.reload();
      expect(unreadable, name).toEqual([next.kid]);
      expect([access.byId.has(next.kid), refresh.byId.has(next.kid), jwks.text.includes(next.kid)], name).toEqual([
        false,
        false,
        false,
      ]);
      expect(await server.verify(forge(pair, next.kid)), name).toEqual({ active: false, reason: 'malformed' });
      expect(await server.verify(pair.access_token), name).toMatchObject({ active: true });
      await alter(server, next.kid, original);
    }
    expect((await server.app.keys.reload()).unreadable).toEqual([]);
    await server.refresh(pair);
  });

  test('altered, even one that signs, keeps nobody from declaring the key of the other ring compromised, sessions and all', async () => {
    const { app } = await openTestApp(await makeDatabase());
    const [sid] = await storeFamilies(app, [{}]);
    const active = (await app.keys.current()).access.active.kid;
    await app.store.write((tx) =>
      tx.sql.updateTable('signing_keys').set({ public_jwk: '{' }).where('kid', '=', active).execute(),
    );
    expect(await declareKeyCompromised(app, 'refresh')).toMatchObject({ revoked: 1 });
    expect((await familyOf(app, sid as FamilyId)).revoked).toMatchObject({ cause: 'key_compromised' });
    // As doctor says: then the ring can be read again.
    await rotateKeys(app, 'access');
    expect((await app.keys.current()).access.active.kid).not.toBe(active);
  });

  test('with the kid of another is not taken by the database (3.18)', async () => {
    const server = await startTestServer({ url: await makeDatabase() });
    const [first, second] = await keysOf(server);
    if (first === undefined || second === undefined) throw new Error('there are keys');
    await expect(alter(server, first.kid, { kid: second.kid })).rejects.toThrow();
    expect(await keysOf(server)).toEqual(expect.arrayContaining([first, second]));
  });
});
