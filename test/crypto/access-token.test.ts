/**
 * Access tokens, made and read: every one that we issue is good in another implementation, and a genuine signature over
 * claims that are missing, of the wrong type or of another issuer is worth nothing (security J38 to J40, I16).
 */
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import { describe, expect, test } from 'vitest';
import { isExpired, readAccessToken, signAccessToken } from '../../src/crypto/access-token.ts';
import { signAsymmetric } from '../../src/crypto/jws.ts';
import { type EpochMs, epochMs } from '../../src/domain/time.ts';
import { accessTokenOf, base64url, claims, ISSUER, makeRing, NOW } from './rings.ts';

describe.each(['ES256', 'EdDSA', 'RS256'] as const)('%s', async (alg) => {
  const ring = await makeRing(alg);
  const jwks = createLocalJWKSet(JSON.parse(ring.jwks.text) as JSONWebKeySet);
  const options = { issuer: ISSUER, audience: 'api', typ: 'at+jwt', currentDate: new Date(NOW) };

  test('another implementation verifies it by the published keys', async () => {
    const { payload, protectedHeader } = await jwtVerify(accessTokenOf(ring, { email: 'a@b' }), jwks, options);
    expect(protectedHeader).toEqual({ alg, kid: ring.access.active.kid, typ: 'at+jwt' });
    expect(payload).toEqual({ ...claims, email: 'a@b' });
  });

  test('it is read back whole', () => {
    const reading = readAccessToken(accessTokenOf(ring, { email: 'a@b' }), ring, ISSUER, NOW);
    expect(reading).toEqual({
      kind: 'valid',
      claims: { claims, extra: { email: 'a@b' }, kid: ring.access.active.kid },
    });
  });

  test('the published keys hold no private member', () => {
    const members = (JSON.parse(ring.jwks.text) as JSONWebKeySet).keys.flatMap((key) => Object.keys(key));
    expect(members.filter((name) => ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k', 'oth'].includes(name))).toEqual([]);
    expect((JSON.parse(ring.jwks.text) as JSONWebKeySet).keys).toHaveLength(3);
  });
});

describe('reading', async () => {
  const ring = await makeRing('ES256');
  const { header, privateKey } = ring.access.active;
  const read = (token: string, now: EpochMs = NOW) => readAccessToken(token, ring, ISSUER, now);
  const sign = (payload: unknown): string => {
    const signed = `${header}.${base64url(typeof payload === 'string' ? payload : JSON.stringify(payload))}`;
    return `${signed}.${signAsymmetric(signed, 'ES256', privateKey)}`;
  };

  test('it is good until the second in which it expires', () => {
    const token = accessTokenOf(ring);
    const end = claims.exp * 1_000;
    expect(read(token, epochMs(end - 1)).kind).toBe('valid');
    const expired = read(token, epochMs(end));
    expect(expired.kind).toBe('expired');
    expect(expired.kind === 'expired' && isExpired(expired.claims, epochMs(end))).toBe(true);
  });

  test('J37: iat is not judged', () => {
    expect(read(sign({ ...claims, iat: claims.iat + 86_400 })).kind).toBe('valid');
  });

  test('J39: an audience in an array is kept as it is', () => {
    const reading = read(sign({ ...claims, aud: ['other', 'api'] }));
    expect(reading.kind === 'valid' && reading.claims.claims.aud).toEqual(['other', 'api']);
  });

  const { exp: _exp, ...withoutExp } = claims;
  const registered = ['iss', 'sub', 'aud', 'client_id', 'iat', 'exp', 'jti', 'sid', 'auth_time'] as const;
  test.each<[string, unknown]>([
    ...registered.map((name): [string, unknown] => [
      `J38, J40: ${name} is missing`,
      Object.fromEntries(Object.entries(claims).filter(([member]) => member !== name)),
    ]),
    ...registered.map((name): [string, unknown] => [`J38, J40: ${name} is null`, { ...claims, [name]: null }]),
    ...(['iat', 'exp', 'auth_time'] as const).flatMap((name): [string, unknown][] => [
      [`J38: ${name} as text`, { ...claims, [name]: String(claims[name]) }],
      [`J38: ${name} negative`, { ...claims, [name]: -1 }],
      [`J38: ${name} as a fraction`, { ...claims, [name]: claims[name] + 0.5 }],
      [`J38: ${name} as a boolean`, { ...claims, [name]: true }],
      [`J38: ${name} beyond safe integers`, { ...claims, [name]: 2 ** 53 }],
    ]),
    ['J38: exp beyond numbers', `${JSON.stringify(withoutExp).slice(0, -1)},"exp":1e400}`],
    ['J39: aud an empty array', { ...claims, aud: [] }],
    ['J39: aud a number', { ...claims, aud: 1 }],
    ['J39: aud an array with a number', { ...claims, aud: ['api', 1] }],
    ['J39: aud empty', { ...claims, aud: '' }],
    ['J39: iss in an array', { ...claims, iss: [ISSUER] }],
    ['J35: another issuer', { ...claims, iss: 'https://other.example' }],
    ['another spelling of the issuer', { ...claims, iss: `${ISSUER}/` }],
    ['J40: sub empty', { ...claims, sub: '' }],
    ['J40: sub of 10 KiB', { ...claims, sub: 'x'.repeat(10_240) }],
    ['J40: sub of 256 characters', { ...claims, sub: 'x'.repeat(256) }],
    ['J40: sub with a line break', { ...claims, sub: 'a\nb' }],
    ['J40: sub a number', { ...claims, sub: 7 }],
    ['J40: sid no UUID', { ...claims, sid: 'x' }],
    ['J40: jti no UUID', { ...claims, jti: 'x' }],
    ['client_id of other letters', { ...claims, client_id: 'a b' }],
    ['J30: an array', [claims]],
    ['J30: null', null],
    ['J30: a number', 7],
    ['J30: text', '"x"'],
    ['J30: no JSON', 'x'],
    ['J30: trailing garbage', `${JSON.stringify(claims)}x`],
  ])('a genuine signature does not help: %s', (_name, payload) => {
    expect(read(sign(payload))).toEqual({ kind: 'malformed' });
  });

  test('nothing that was let through can stand in for a registered claim', () => {
    const forged = { sub: 'root', exp: 9_999_999_999, aud: 'other', email: 'a@b' };
    const reading = read(signAccessToken(claims, forged, ring.access.active));
    expect(reading).toMatchObject({ kind: 'valid', claims: { claims, extra: { email: 'a@b' } } });
  });

  test('I14: the header of one key with the signature of another', async () => {
    const other = await makeRing('ES256');
    const signed = `${header}.${base64url(JSON.stringify(claims))}`;
    const token = `${signed}.${signAsymmetric(signed, 'ES256', other.access.active.privateKey)}`;
    expect(read(token)).toEqual({ kind: 'malformed' });
    expect(read(accessTokenOf(other))).toEqual({ kind: 'malformed' });
  });
});
