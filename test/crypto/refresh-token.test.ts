/**
 * A refresh token is a function of its row: the fixed spelling that all releases share, the identity of a replay, and the
 * claims without which nothing is a refresh token.
 */
import { createSecretKey } from 'node:crypto';
import { jwtVerify } from 'jose';
import { describe, expect, test } from 'vitest';
import { signHmac } from '../../src/crypto/jws.ts';
import { makeKeyRings } from '../../src/crypto/key-ring.ts';
import { encodeRefreshToken, readRefreshToken } from '../../src/crypto/refresh-token.ts';
import { DAY, type EpochMs, epochMs } from '../../src/domain/time.ts';
import { base64url, familyOf, ISSUER, makeAccessKey, makeRing, NOW, refreshKeyOf } from './rings.ts';

const SECRET = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8';
const key = refreshKeyOf('RfFbqkPyQ0qzPwz0J1oQqA', SECRET);
const row = familyOf(key.kid);

describe('the known answer', () => {
  // Written down once. A release that spells it otherwise answers replays of the one before with another token: never
  // change this string.
  const KNOWN =
    'eyJhbGciOiJIUzI1NiIsImtpZCI6IlJmRmJxa1B5UTBxelB3ejBKMW9RcUEiLCJ0eXAiOiJydCtqd3QifQ.' +
    'eyJpc3MiOiJodHRwczovL2F1dGguZXhhbXBsZSIsInN1YiI6ImFkYSIsImF1ZCI6Imh0dHBzOi8vYXV0aC5leGFtcGxlIiwiY2xp' +
    'ZW50X2lkIjoiZGVmYXVsdCIsImlhdCI6MTc1MDAwMDAwMCwiZXhwIjoxNzU3Nzc2MDAwLCJqdGkiOiIwMTk3NmNlNC1lNWIwLTcw' +
    'MDAtODAwMC0wMDAwMDAwMDAwMDMiLCJzaWQiOiIwMTk3NmNlNC1lNWIwLTcwMDAtODAwMC0wMDAwMDAwMDAwMDIiLCJnZW4iOjd9.' +
    'PSLDT_9ziOv8VEQ_zHZcdCsg8TqoZx3_jn3rfMVv9-I';

  test('this row, this key and this issuer give these bytes, in this and every release', () => {
    expect(encodeRefreshToken(row, key, ISSUER)).toBe(KNOWN);
  });

  test('every claim is a column of the row, in this order', () => {
    const [header = '', payload = ''] = KNOWN.split('.');
    const text = (part: string): string => Buffer.from(part, 'base64url').toString('utf8');
    expect(text(header)).toBe('{"alg":"HS256","kid":"RfFbqkPyQ0qzPwz0J1oQqA","typ":"rt+jwt"}');
    expect(text(payload)).toBe(
      `{"iss":"${ISSUER}","sub":"ada","aud":"${ISSUER}","client_id":"default","iat":1750000000,"exp":1757776000,` +
        '"jti":"01976ce4-e5b0-7000-8000-000000000003","sid":"01976ce4-e5b0-7000-8000-000000000002","gen":7}',
    );
  });

  test('another implementation reads it', async () => {
    const secret = createSecretKey(Buffer.from(SECRET, 'base64url'));
    const options = {
      issuer: ISSUER,
      audience: ISSUER,
      typ: 'rt+jwt',
      algorithms: ['HS256'],
      currentDate: new Date(NOW),
    };
    const { payload } = await jwtVerify(KNOWN, secret, options);
    expect(payload.gen).toBe(7);
  });
});

describe('a replay', () => {
  test('the same row is the same bytes, however often and whatever else the row holds', () => {
    const first = encodeRefreshToken(row, key, ISSUER);
    const looked = {
      ...row,
      device: 'phone',
      origin: { ip: '192.0.2.1', userAgent: 'x' },
      lastRefreshedAt: epochMs(NOW + 5),
    };
    expect(encodeRefreshToken(row, key, ISSUER)).toBe(first);
    expect(encodeRefreshToken(looked, key, ISSUER)).toBe(first);
  });

  test.each([
    ['subject', { ...row, subject: 'bob' as typeof row.subject }],
    ['client', { ...row, clientId: 'web' as typeof row.clientId }],
    ['family', { ...row, id: row.current.jti as string as typeof row.id }],
    ['generation', { ...row, generation: 8 as typeof row.generation }],
    ['jti', { ...row, current: { ...row.current, jti: row.id as string as typeof row.current.jti } }],
    ['time of issue', { ...row, current: { ...row.current, issuedAt: epochMs(NOW + 1_000) } }],
    ['expiry', { ...row, current: { ...row.current, expiresAt: epochMs(NOW + DAY) } }],
  ])('another %s is another token', (_name, other) => {
    expect(encodeRefreshToken(other, key, ISSUER)).not.toBe(encodeRefreshToken(row, key, ISSUER));
  });
});

describe('reading', async () => {
  const access = await makeAccessKey('ES256');
  const ring = makeKeyRings({
    access: [access],
    activeAccess: access,
    refresh: [key],
    activeRefresh: key,
    unreadable: [],
  });
  const token = encodeRefreshToken(row, key, ISSUER);
  const read = (text: string, now: EpochMs = NOW) => readRefreshToken(text, ring, ISSUER, now);
  const sign = (payload: unknown): string => {
    const signed = `${key.header}.${base64url(typeof payload === 'string' ? payload : JSON.stringify(payload))}`;
    return `${signed}.${signHmac(signed, key.secret)}`;
  };
  const good = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as Record<
    string,
    unknown
  >;

  test('what was made is read back', () => {
    const { sub, client_id, jti, sid, gen, exp } = good;
    expect(read(token)).toEqual({
      kind: 'valid',
      claims: { sub, clientId: client_id, jti, sid, generation: gen, exp },
    });
    expect(read(sign(good)).kind).toBe('valid');
  });

  test('it is good until the second before its expiry', () => {
    const { expiresAt } = row.current;
    expect(read(token, epochMs(expiresAt - 1)).kind).toBe('valid');
    expect(read(token, expiresAt).kind).toBe('expired');
  });

  const { exp: _exp, ...withoutExp } = good;
  test.each<[string, unknown]>([
    ...['iss', 'aud', 'iat', 'exp', 'sub', 'client_id', 'jti', 'sid', 'gen'].map((name): [string, unknown] => [
      `${name} is missing`,
      Object.fromEntries(Object.entries(good).filter(([member]) => member !== name)),
    ]),
    ['another issuer', { ...good, iss: 'https://other.example' }],
    ['another audience', { ...good, aud: 'api' }],
    ['an audience in an array', { ...good, aud: [ISSUER] }],
    ['an issuer in an array', { ...good, iss: [ISSUER] }],
    ['exp as text', { ...good, exp: String(good.exp) }],
    ['exp null', { ...good, exp: null }],
    ['exp as a fraction', { ...good, exp: 1_757_776_000.5 }],
    ['exp as a boolean', { ...good, exp: true }],
    ['exp beyond numbers', `${JSON.stringify(withoutExp).slice(0, -1)},"exp":1e400}`],
    ['exp beyond safe integers', { ...good, exp: 2 ** 53 }],
    ['R26: gen above 2^53', { ...good, gen: 2 ** 53 }],
    ['R26: gen negative', { ...good, gen: -1 }],
    ['R26: gen as a fraction', { ...good, gen: 0.5 }],
    ['gen as text', { ...good, gen: '7' }],
    ['sid no UUID', { ...good, sid: 'x' }],
    ['jti no UUIDv7', { ...good, jti: '00000000-0000-4000-8000-000000000000' }],
    ['sub empty', { ...good, sub: '' }],
    ['client_id of other letters', { ...good, client_id: 'a b' }],
    ['an array', [good]],
    ['null', null],
    ['text', '"x"'],
    ['no JSON', 'x'],
  ])('a genuine signature does not help: %s', (_name, payload) => {
    expect(read(sign(payload))).toEqual({ kind: 'malformed' });
  });

  test('an unknown key, and a key of another ring', async () => {
    const stranger = await makeRing('ES256');
    expect(readRefreshToken(token, stranger, ISSUER, NOW)).toEqual({ kind: 'malformed' });
    const forged = refreshKeyOf(key.kid, base64url(Buffer.alloc(32, 9)));
    expect(read(encodeRefreshToken(row, forged, ISSUER))).toEqual({ kind: 'malformed' });
  });
});
