/** `purge` as a process (contract §7 and §12): what has had its time goes, and no key that a token still needs (security G12). */

import { expect, test } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import { DAY } from '../../src/domain/time.ts';
import { moveKeysOn, rotateKeys } from '../../src/operations/keys.ts';
import { addUser } from '../../src/operations/users.ts';
import { makeCliDatabase } from '../support/cli-database.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { decodePart } from '../support/expectations.ts';
import { logIn, refreshWith } from '../support/test-app.ts';

interface Purged {
  readonly families: number;
}

describeOnBothDatabases('purge', (_makeDatabase, kind) => {
  test.each([
    { days: 89, isNeeded: true },
    { days: 125, isNeeded: false },
  ])(
    'G12: $days days after the keys of a session were rotated away they are kept: $isNeeded',
    async ({ days, isNeeded }) => {
      const cli = await makeCliDatabase({ 'keys.rotateEvery': '3650d' }, kind);
      const tokens = await cli.inside(async (app, clock) => {
        await addUser(app, { name: 'alice', password: new Secret('correct horse') });
        clock.advance(-days * DAY);
        const pair = await logIn(app, 'alice', 'correct horse');
        clock.advance(1_000);
        for (const ring of ['access', 'refresh'] as const) await rotateKeys(app, ring);
        // The access key leaves the JWKS, and is kept for refreshes alone.
        clock.advance(10 * DAY);
        await moveKeysOn(app);
        clock.advance((days - 10) * DAY - 1_000);
        return pair;
      });
      expect(await cli.json<Purged>(['purge'])).toMatchObject({ families: isNeeded ? 0 : 1 });
      const { keys } = await cli.json<{ keys: { kid: string }[] }>(['keys', 'list']);
      const signedBy = [tokens.accessToken, tokens.refreshToken].map((token) => decodePart(token, 'header').kid);
      expect(keys.filter(({ kid }) => signedBy.includes(kid))).toHaveLength(isNeeded ? 2 : 0);
      const outcome = await cli.inside((app) => refreshWith(app, tokens));
      expect(outcome.kind).toBe(isNeeded ? 'issued' : 'rejected');
    },
  );
});
