/** Sessions by the hundred without a password hash for each: rows like that of a login, and the tokens that go with them. */
import { encodeRefreshToken } from '../../src/crypto/refresh-token.ts';
import type { FamilyId, Generation, TokenId } from '../../src/domain/ids.ts';
import type { TokenFamily } from '../../src/domain/token-family.ts';
import { insertRefreshToken } from '../../src/store/refresh-tokens.ts';
import { insertFamily } from '../../src/store/token-families.ts';
import { resignAccess } from './forge.ts';
import { ISSUER, type Pair, type TestServer } from './test-server.ts';

/** @param like whose user, client and times they have */
export async function beginSessions(server: TestServer, like: Pair, count: number): Promise<Pair[]> {
  const { refresh } = await server.app.keys.current();
  const first = await server.family(like.session_id);
  const families = await server.app.store.write(async (tx) => {
    const made: TokenFamily[] = [];
    for (let number = 0; number < count; number += 1) {
      const current = { ...first.current, jti: tx.newId() as TokenId };
      const id = tx.newId() as FamilyId;
      const family: TokenFamily = { ...first, id, current, generation: 0 as Generation, revoked: null };
      await insertFamily(tx, family);
      await insertRefreshToken(tx, family);
      made.push(family);
    }
    return made;
  });
  return Promise.all(
    families.map(async (family) => ({
      ...like,
      session_id: family.id,
      refresh_token: encodeRefreshToken(family, refresh.active, ISSUER),
      access_token: await resignAccess(server, like.access_token, { sid: family.id }),
    })),
  );
}
