/**
 * Password hashes: their stored form and its parameters, that a password is compared exactly as it came, and that a full
 * queue refuses at once. How long a hash takes is not tested here.
 */
import { afterAll, describe, expect, test } from 'vitest';
import { makePasswordHasher } from '../../src/crypto/password.ts';
import { Secret } from '../../src/domain/secret.ts';
import { Refusal } from '../../src/refusal.ts';

const hasher = makePasswordHasher();
afterAll(() => hasher.close());

const secret = (text: string): Secret => new Secret(text);
const PASSWORD = 'correct horse battery staple';

/** Weaker than what is stored today. */
const OTHER_PARAMETERS = { memory: 8_192, passes: 1, parallelism: 1 };

async function phcOf(password: string, parameters: typeof OTHER_PARAMETERS): Promise<string> {
  const { argon2Sync } = await import('node:crypto');
  const nonce = Buffer.from(Array.from({ length: 16 }, (_, index) => index + 1));
  const tag = argon2Sync('argon2id', { message: password, nonce, ...parameters, tagLength: 32 });
  const text = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '');
  const { memory, passes, parallelism } = parameters;
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${text(nonce)}$${text(tag)}`;
}

describe('a hash', () => {
  test('I26: is a PHC string of argon2id with at least 19 MiB, two passes and a salt of 16 bytes', async () => {
    const hash = await hasher.hash(secret(PASSWORD));
    const match = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=1\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})$/.exec(hash);
    if (match === null) throw new Error(`not a PHC string: ${hash}`);
    expect(Number(match[1])).toBeGreaterThanOrEqual(19_456);
    expect(Number(match[2])).toBeGreaterThanOrEqual(2);
  });

  test('of the same password differs each time, and both verify', async () => {
    const [first, second] = await Promise.all([hasher.hash(secret(PASSWORD)), hasher.hash(secret(PASSWORD))]);
    expect(first).not.toBe(second);
    for (const stored of [first, second]) {
      expect(await hasher.verify(secret(PASSWORD), stored)).toEqual({ matches: true, isOutdated: false });
    }
  });

  test('I25: the whole password counts, byte by byte', async () => {
    const stored = await hasher.hash(secret(PASSWORD));
    const wrong = [PASSWORD.slice(0, -1), `${PASSWORD} `, ` ${PASSWORD}`, PASSWORD.toUpperCase(), '', `${PASSWORD}\0`];
    for (const password of wrong) {
      expect(await hasher.verify(secret(password), stored)).toEqual({ matches: false, isOutdated: false });
    }
  });

  test('I25: two spellings of one letter are two passwords', async () => {
    const stored = await hasher.hash(secret('zo\u00eb'.repeat(4)));
    expect((await hasher.verify(secret('zoe\u0308'.repeat(4)), stored)).matches).toBe(false);
    expect((await hasher.verify(secret('zo\u00eb'.repeat(4)), stored)).matches).toBe(true);
  });

  test('I25: a long password is not cut', async () => {
    const long = 'x'.repeat(1_023);
    const stored = await hasher.hash(secret(`${long}a`));
    expect((await hasher.verify(secret(`${long}b`), stored)).matches).toBe(false);
    expect((await hasher.verify(secret(`${long}a`), stored)).matches).toBe(true);
  });
});

describe('verify', () => {
  test('a hash of other parameters matches and is marked outdated', async () => {
    const stored = await phcOf(PASSWORD, OTHER_PARAMETERS);
    expect(await hasher.verify(secret(PASSWORD), stored)).toEqual({ matches: true, isOutdated: true });
    expect((await hasher.verify(secret('another'), stored)).matches).toBe(false);
  });

  test('without a stored hash nothing matches', async () => {
    expect(await hasher.verify(secret(PASSWORD), undefined)).toEqual({ matches: false, isOutdated: false });
  });

  test.each([
    '',
    'x',
    '$argon2i$v=19$m=19456,t=2,p=1$AQIDBAUGBwgJCgsMDQ4PEA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
    '$argon2id$v=16$m=19456,t=2,p=1$AQIDBAUGBwgJCgsMDQ4PEA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
    '$argon2id$v=19$m=19456,t=2,p=1$$',
    '$2b$12$abcdefghijklmnopqrstuv',
  ])('"%s" is no hash that anything matches', async (stored) => {
    expect(await hasher.verify(secret(PASSWORD), stored)).toEqual({ matches: false, isOutdated: false });
  });
});

test('beyond its limit the queue refuses at once, and goes on afterwards', async () => {
  const busy = makePasswordHasher();
  try {
    const cheap = await phcOf(PASSWORD, { memory: 8, passes: 1, parallelism: 1 });
    const waiting = Array.from({ length: 128 }, () => busy.verify(secret(PASSWORD), cheap));
    expect(busy.queued()).toBe(128);
    const refused = await busy.verify(secret(PASSWORD), cheap).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(Refusal);
    expect(refused).toMatchObject({ code: 'overloaded', retryAfter: 1_000 });
    expect(await busy.hash(secret(PASSWORD)).catch((error: unknown) => error)).toBeInstanceOf(Refusal);
    for (const { matches } of await Promise.all(waiting)) expect(matches).toBe(true);
    expect(busy.queued()).toBe(0);
    expect((await busy.verify(secret(PASSWORD), cheap)).matches).toBe(true);
  } finally {
    await busy.close();
  }
});

test('what waits when it is closed is refused, not forgotten', async () => {
  const closing = makePasswordHasher();
  const waiting = closing.hash(secret(PASSWORD)).catch((error: unknown) => error);
  await closing.close();
  expect(await waiting).toBeInstanceOf(Error);
  expect(closing.queued()).toBe(0);
});
