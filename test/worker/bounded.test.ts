/** Bounded storage (contract §8, `retention`): what is kept grows with the sessions, not with how often they refresh. */
import { expect, test } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import { DAY } from '../../src/domain/time.ts';
import { purge } from '../../src/operations/purge.ts';
import { addUser } from '../../src/operations/users.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { logIn, openTestApp, refreshWith } from '../support/test-app.ts';

const FAMILIES = 20;
const ROTATIONS = 50;

describeOnBothDatabases('bounded storage', (database) => {
  test(`${FAMILIES} sessions of ${ROTATIONS} rotations are ${FAMILIES} rows of each table after 40 days, time after time`, async () => {
    const { app, clock } = await openTestApp(await database());
    const rows = (): Promise<{ families: number; refreshTokens: number }> =>
      app.store.read(async (db) => ({
        families: (await db.sql.selectFrom('token_families').select('id').execute()).length,
        refreshTokens: (await db.sql.selectFrom('refresh_tokens').select('generation').execute()).length,
      }));
    await addUser(app, { name: 'alice', password: new Secret('correct horse') });
    const first: { accessToken: string; refreshToken: string }[] = [];
    for (let index = 0; index < FAMILIES; index += 1) first.push(await logIn(app, 'alice', 'correct horse'));

    const rotate = async (pair: { accessToken: string; refreshToken: string }) => {
      let current = pair;
      for (let round = 0; round < ROTATIONS; round += 1) {
        const outcome = await refreshWith(app, current);
        if (outcome.kind !== 'issued') throw new Error(`not refreshed: ${outcome.kind}`);
        current = outcome.pair;
      }
      return current;
    };
    let newest = first;
    for (let time = 0; time < 2; time += 1) {
      newest = await Promise.all(newest.map(rotate));
      // The second time, the row that was current at the first purge is a past one too.
      expect(await rows()).toEqual({ families: FAMILIES, refreshTokens: FAMILIES * (ROTATIONS + 1) });
      clock.advance(40 * DAY);
      expect(await purge(app)).toMatchObject({ families: 0, refresh_tokens: FAMILIES * ROTATIONS });
      expect(await rows()).toEqual({ families: FAMILIES, refreshTokens: FAMILIES });
    }
    // What is left is enough for every verdict.
    for (const pair of newest) {
      expect((await refreshWith(app, pair)).kind).toBe('issued');
      expect(await refreshWith(app, pair)).toMatchObject({ kind: 'rejected', reason: 'reused' });
    }
  });
});
