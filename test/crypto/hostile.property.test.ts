/**
 * Tokens that were changed in any way: in a byte of the header, the payload or the signature, in the spelling of the
 * base64url, by cutting, joining and swapping. None is accepted unless it is byte for byte one that we issued (I14, I17),
 * and what another implementation refuses, we refuse.
 */
import fc from 'fast-check';
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import { describe, expect, test } from 'vitest';
import { readAccessToken } from '../../src/crypto/access-token.ts';
import { encodeRefreshToken, readRefreshToken } from '../../src/crypto/refresh-token.ts';
import { accessTokenOf, base64url, familyOf, ISSUER, makeRing, NOW } from './rings.ts';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

const replaceAt = (text: string, at: number, by: string): string => text.slice(0, at) + by + text.slice(at + 1);

/** One of many ways to change a token; it may happen to leave it as it was. */
function mutations(token: string): fc.Arbitrary<string> {
  const parts = token.split('.');
  const at = fc.nat(token.length - 1);
  const segment = fc.nat(2);
  const part = (index: number): string => parts[index] ?? '';
  const withPart = (index: number, text: string): string => parts.map((old, i) => (i === index ? text : old)).join('.');
  const flipByte = fc.tuple(segment, fc.nat(), fc.integer({ min: 1, max: 255 })).map(([index, position, mask]) => {
    const bytes = Buffer.from(part(index), 'base64url');
    const place = position % bytes.length;
    bytes[place] = (bytes[place] ?? 0) ^ mask;
    return withPart(index, bytes.toString('base64url'));
  });
  const otherLetter = fc
    .tuple(at, fc.constantFrom(...ALPHABET))
    .map(([place, letter]) => replaceAt(token, place, letter));
  const foreign = fc.constantFrom(
    ' ',
    '\t',
    '\n',
    '\r',
    '=',
    '==',
    '+',
    '/',
    '.',
    '\0',
    'é',
    '\u00a0',
    '\u200b',
    '%3D',
    '"',
  );
  const inserted = fc
    .tuple(fc.nat(token.length), foreign)
    .map(([place, text]) => token.slice(0, place) + text + token.slice(place));
  const cut = fc.tuple(at, at).map(([from, to]) => token.slice(Math.min(from, to), Math.max(from, to)));
  const lost = fc
    .tuple(at, fc.integer({ min: 1, max: 4 }))
    .map(([place, count]) => token.slice(0, place) + token.slice(place + count));
  const swapped = fc.tuple(segment, segment).map(([left, right]) => withPart(left, part(right)));
  const standard = fc.constantFrom(
    token.replaceAll('-', '+').replaceAll('_', '/'),
    parts.map((text) => Buffer.from(text, 'base64url').toString('base64')).join('.'),
    token.toUpperCase(),
    `${token}.`,
    `.${token}`,
    `${token}.${part(2)}`,
    parts.toReversed().join('.'),
  );
  /** The last letter with its unused bits set. */
  const unusedBits = fc.tuple(segment, fc.integer({ min: 1, max: 15 })).map(([index, bits]) => {
    const text = part(index);
    const letter = ALPHABET.indexOf(text.at(-1) ?? '') ^ bits;
    return withPart(index, replaceAt(text, text.length - 1, ALPHABET[letter] ?? ''));
  });
  return fc.oneof(flipByte, otherLetter, inserted, cut, lost, swapped, standard, unusedBits);
}

/** Any JSON, as a header or a payload. */
const json = fc.jsonValue({ maxDepth: 2 }).map((value) => base64url(JSON.stringify(value)));

describe.each(['ES256', 'EdDSA', 'RS256'] as const)('an access token (%s)', async (alg) => {
  const ring = await makeRing(alg);
  const token = accessTokenOf(ring, { email: 'a@b' });
  const jwks = createLocalJWKSet(JSON.parse(ring.jwks.text) as JSONWebKeySet);
  const isAccepted = (text: string): boolean => readAccessToken(text, ring, ISSUER, NOW).kind !== 'malformed';
  const joseAccepts = (text: string): Promise<boolean> =>
    jwtVerify(text, jwks, { issuer: ISSUER, typ: 'at+jwt', currentDate: new Date(NOW) }).then(
      () => true,
      () => false,
    );

  test('changed, it is accepted only if it was not changed', () => {
    expect(isAccepted(token)).toBe(true);
    // J24: the twin (r, n−s) of an ECDSA signature is genuine, too. No mutation here can find it: it differs in 32 bytes.
    fc.assert(
      fc.property(mutations(token), (mutated) => {
        expect(isAccepted(mutated)).toBe(mutated === token);
      }),
      { numRuns: alg === 'RS256' ? 500 : 1_500 },
    );
  });

  test('what another implementation refuses is refused', async () => {
    await fc.assert(
      fc.asyncProperty(mutations(token), async (mutated) => {
        if (isAccepted(mutated)) expect(await joseAccepts(mutated)).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  test('any header or payload with the old signature is refused', () => {
    const [header = '', payload = '', signature = ''] = token.split('.');
    fc.assert(
      fc.property(json, json, (otherHeader, otherPayload) => {
        expect(isAccepted(`${otherHeader}.${payload}.${signature}`)).toBe(false);
        expect(isAccepted(`${header}.${otherPayload}.${signature}`)).toBe(false);
        expect(isAccepted(`${otherHeader}.${otherPayload}.${signature}`)).toBe(false);
      }),
      { numRuns: 200 },
    );
  });

  test('any text at all is refused, and never thrown at', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...ALPHABET, '.') })), (text) => {
        expect(isAccepted(text)).toBe(false);
      }),
      { numRuns: 500 },
    );
  });
});

test('J24: the ECDSA twin of a signature is the same token to us as to others, and nothing else is', async () => {
  const ring = await makeRing('ES256');
  const [header = '', payload = '', signature = ''] = accessTokenOf(ring).split('.');
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const bytes = Buffer.from(signature, 'base64url');
  const s = BigInt(`0x${bytes.subarray(32).toString('hex')}`);
  const twinOf = (value: bigint): string =>
    Buffer.concat([bytes.subarray(0, 32), Buffer.from(value.toString(16).padStart(64, '0'), 'hex')]).toString(
      'base64url',
    );
  const read = (text: string) => readAccessToken(`${header}.${payload}.${text}`, ring, ISSUER, NOW);
  // Who holds a token can make its twin without the key: it says the same, so all rules treat both alike.
  expect(read(twinOf(order - s))).toEqual(read(signature));
  expect(read(twinOf(order - s + 1n))).toEqual({ kind: 'malformed' });
});

test('a refresh token, changed, is accepted only if it was not changed', async () => {
  const ring = await makeRing('ES256');
  const token = encodeRefreshToken(familyOf(ring.refresh.active.kid), ring.refresh.active, ISSUER);
  const isAccepted = (text: string): boolean => readRefreshToken(text, ring, ISSUER, NOW).kind !== 'malformed';
  expect(isAccepted(token)).toBe(true);
  fc.assert(
    fc.property(mutations(token), (mutated) => {
      expect(isAccepted(mutated)).toBe(mutated === token);
    }),
    { numRuns: 3_000 },
  );
});

test('I13: neither kind is ever taken for the other', async () => {
  const ring = await makeRing('ES256');
  const refresh = encodeRefreshToken(familyOf(ring.refresh.active.kid), ring.refresh.active, ISSUER);
  expect(readAccessToken(refresh, ring, ISSUER, NOW)).toEqual({ kind: 'malformed' });
  expect(readRefreshToken(accessTokenOf(ring), ring, ISSUER, NOW)).toEqual({ kind: 'malformed' });
});
