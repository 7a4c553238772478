/** Keys and client secrets: what is made is strong, what is stored is read back, what is weak or of the wrong kind is refused. */
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { calculateJwkThumbprint, type JWK } from 'jose';
import { describe, expect, test } from 'vitest';
import { makeAccessTokenMemory } from '../../src/crypto/access-token-memory.ts';
import { equalHashes, makeClientSecret, sha256 } from '../../src/crypto/client-secret.ts';
import { encodeHeader, splitCompact, verifyAsymmetric } from '../../src/crypto/jws.ts';
import { importHmacSecret, importPrivateKey, importPublicJwk, makeKey, thumbprint } from '../../src/crypto/key-pair.ts';
import { makeKeyRings } from '../../src/crypto/key-ring.ts';
import type { KeyId, Sha256 } from '../../src/domain/ids.ts';
import { accessTokenOf, claims, makeAccessKey, makeRefreshKey, makeRing } from './rings.ts';

describe.each(['ES256', 'EdDSA', 'RS256'] as const)('a key pair for %s', (alg) => {
  test('has its thumbprint as kid, a public part without secrets, and a private part that signs', async () => {
    const key = await makeKey(alg);
    if (key.publicJwk === null) throw new Error('no public part');
    expect(key.kid).toBe(await calculateJwkThumbprint(key.publicJwk as JWK));
    expect(thumbprint(key.publicJwk)).toBe(key.kid);
    expect(Object.keys(key.publicJwk).filter((name) => !['kty', 'crv', 'x', 'y', 'n', 'e'].includes(name))).toEqual([]);
    expect(importPublicJwk(key.publicJwk).type).toBe('public');
    const privateKey = importPrivateKey(key.material);
    expect(privateKey.type).toBe('private');
    expect(thumbprint({ ...privateKey.export({ format: 'jwk' }) })).toBe(key.kid);
  });

  test('is another each time', async () => {
    expect((await makeKey(alg)).kid).not.toBe((await makeKey(alg)).kid);
  });
});

test('an RSA key has 2,048 bits (RFC 7518 §3.3)', async () => {
  const { material } = await makeKey('RS256');
  expect(importPrivateKey(material).asymmetricKeyDetails?.modulusLength).toBe(2_048);
});

test('an HS256 secret has 256 bits, a kid that is not derived from it, and no public part', async () => {
  const key = await makeKey('HS256');
  expect(key.publicJwk).toBeNull();
  expect(Buffer.from(key.material, 'base64url')).toHaveLength(32);
  expect(key.kid).toMatch(/^[A-Za-z0-9_-]{22}$/);
  expect(importHmacSecret(key.material).symmetricKeySize).toBe(32);
});

test('RFC 7518 §3.2: a secret shorter than the hash is refused', () => {
  for (const bytes of [0, 1, 16, 31]) {
    expect(() => importHmacSecret(Buffer.alloc(bytes, 7).toString('base64url'))).toThrow();
  }
});

test('what is no private or public JWK is refused', async () => {
  const { publicJwk } = await makeKey('ES256');
  expect(() => importPrivateKey(JSON.stringify(publicJwk))).toThrow();
  expect(() => importPrivateKey('')).toThrow();
  expect(() => importPublicJwk({ kty: 'oct', k: 'AAAA' })).toThrow();
  expect(() => importPublicJwk({ kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' })).toThrow();
});

test('a public JWK that carries a private part gives its public part alone', async () => {
  const { material } = await makeKey('ES256');
  expect(importPublicJwk(JSON.parse(material) as Record<string, unknown>).type).toBe('public');
});

test('J6: a key of another curve or kind verifies nothing under the name of ours', async () => {
  const ring = await makeRing('ES256');
  const parts = splitCompact(accessTokenOf(ring));
  if (parts === undefined) throw new Error('no token');
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey;
  const ed25519 = generateKeyPairSync('ed25519').publicKey;
  expect(verifyAsymmetric(parts, 'ES256', ring.access.active.publicKey)).toBe(true);
  expect(verifyAsymmetric(parts, 'ES256', p384)).toBe(false);
  expect(verifyAsymmetric(parts, 'EdDSA', ed25519)).toBe(false);
});

describe('a key ring', () => {
  test('the header names alg, kid and typ in one spelling', () => {
    const header = encodeHeader('ES256', 'k' as KeyId, 'at+jwt');
    expect(Buffer.from(header, 'base64url').toString()).toBe('{"alg":"ES256","kid":"k","typ":"at+jwt"}');
  });

  test('publishes next, active and retiring keys, and no others; its ETag follows what is published', async () => {
    const [key, other, refresh] = [await makeAccessKey('ES256'), await makeAccessKey('ES256'), await makeRefreshKey()];
    const publishedWith = (state: 'next' | 'active' | 'retiring' | 'verify_only' | 'compromised') =>
      makeKeyRings({
        access: [key, { ...other, state }],
        activeAccess: key,
        refresh: [refresh],
        activeRefresh: refresh,
        unreadable: [],
      }).jwks;
    const kids = (text: string): string[] =>
      (JSON.parse(text) as { keys: { kid: string }[] }).keys.map(({ kid }) => kid);
    for (const state of ['next', 'retiring'] as const) {
      expect(kids(publishedWith(state).text)).toEqual([key.kid, other.kid]);
    }
    for (const state of ['verify_only', 'compromised'] as const) {
      expect(kids(publishedWith(state).text)).toEqual([key.kid]);
    }
    expect(publishedWith('next').etag).toBe(publishedWith('retiring').etag);
    expect(publishedWith('next').etag).not.toBe(publishedWith('verify_only').etag);
    expect(publishedWith('next').etag).toMatch(/^"[\w-]+"$/);
  });
});

describe('a client secret', () => {
  test('I28: has 256 random bits in letters whose percent-encoding is the same', () => {
    const secrets = Array.from({ length: 100 }, () => makeClientSecret().reveal());
    expect(new Set(secrets).size).toBe(100);
    for (const secret of secrets) {
      expect(Buffer.from(secret, 'base64url')).toHaveLength(32);
      expect(encodeURIComponent(secret)).toBe(secret);
    }
  });

  test('is kept as its SHA-256 (FIPS 180-4, the example "abc")', () => {
    const expected = Buffer.from('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', 'hex');
    expect(sha256('abc')).toBe(expected.toString('base64url'));
  });

  test('hashes are equal when they are, and comparing other lengths throws nothing', () => {
    expect(equalHashes(sha256('a'), sha256('a'))).toBe(true);
    expect(equalHashes(sha256('a'), sha256('b'))).toBe(false);
    expect(equalHashes(sha256('a'), '' as Sha256)).toBe(false);
    expect(equalHashes(sha256('a'), sha256('a').slice(1) as Sha256)).toBe(false);
  });
});

describe('the memory of genuine tokens', () => {
  const genuine = { claims, extra: {}, kid: 'k' as KeyId };

  test('knows what it was told, by the whole string alone', () => {
    const memory = makeAccessTokenMemory();
    memory.add('a.b.c', genuine);
    expect(memory.get('a.b.c')).toBe(genuine);
    for (const other of ['a.b.c=', 'A.b.c', 'a.b', 'a.b.c\n', '__proto__']) expect(memory.get(other)).toBeUndefined();
  });

  test('never holds more than its two halves, and the newest half is always there', () => {
    const memory = makeAccessTokenMemory(10);
    for (let index = 0; index < 100; index += 1) {
      memory.add(`token-${index}`, genuine);
      const known = Array.from({ length: index + 1 }, (_, one) => one).filter((one) => memory.get(`token-${one}`));
      expect(known.length).toBeLessThanOrEqual(20);
      expect(known.slice(-10)).toEqual(
        Array.from({ length: Math.min(10, index + 1) }, (_, one) => Math.max(0, index - 9) + one),
      );
    }
  });

  test('cleared, it knows nothing', () => {
    const memory = makeAccessTokenMemory(1);
    memory.add('a', genuine);
    memory.add('b', genuine);
    memory.clear();
    expect([memory.get('a'), memory.get('b')]).toEqual([undefined, undefined]);
  });
});

test('a private key is never printed by what holds it', async () => {
  const key = await makeAccessKey('ES256');
  const { d } = createPrivateKey({
    key: key.privateKey.export({ format: 'pem', type: 'pkcs8' }),
    format: 'pem',
  }).export({
    format: 'jwk',
  });
  const { inspect } = await import('node:util');
  expect(d).toBeDefined();
  expect(inspect(key, { depth: 10 })).not.toContain(d);
  expect(JSON.stringify(key)).not.toContain(d);
});
