/** The `Idempotency-Key` of the client: what the contract says it is, for whatever salt and token. */
import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { newSalt, requestKey } from '../../src/sdk/session.ts';

const words = fc.string({ minLength: 1, maxLength: 300, unit: 'binary' });

test('is base64url(HMAC-SHA-256(salt, refresh token)), and a header can carry it', async () => {
  await fc.assert(
    fc.asyncProperty(words, words, async (salt, token) => {
      const key = await requestKey(salt, token);
      expect(key).toBe(createHmac('sha256', salt).update(token).digest('base64url'));
      expect(key).toMatch(/^[\w-]{43}$/);
      expect(await requestKey(salt, token)).toBe(key);
    }),
    { numRuns: 300 },
  );
});

test('is another for another token, and for another salt', async () => {
  await fc.assert(
    fc.asyncProperty(words, words, words, async (salt, one, other) => {
      fc.pre(one !== other);
      expect(await requestKey(salt, one)).not.toBe(await requestKey(salt, other));
      expect(await requestKey(one, salt)).not.toBe(await requestKey(other, salt));
    }),
    { numRuns: 300 },
  );
});

test('a salt is 256 bits, and new at each login', () => {
  const salts = Array.from({ length: 100 }, newSalt);
  expect(new Set(salts).size).toBe(100);
  for (const salt of salts) expect(Buffer.from(salt, 'base64url')).toHaveLength(32);
});
