/** The one form of a username, and which claims of a directory may pass: never one that the server writes itself. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalUsername, letThrough } from '../../src/domain/user-directory.ts';

describe('canonicalUsername', () => {
  test.each([
    ['Ada', 'ada'],
    // Folded, not merely lower case.
    ['Straße', 'strasse'],
    ['STRA\u1e9eE', 'strasse'],
    ['\u03bf\u03b4\u03bf\u03c3', canonicalUsername('\u039f\u0394\u039f\u03a3')],
    ['  ada\t', 'ada'],
    ['\u00a0ada\u3000', 'ada'],
    // NFD and NFC of the same name.
    ['Zoe\u0308', 'zo\u00eb'],
    ['ZO\u00cb', 'zo\u00eb'],
    ['\u212bngstr\u00f6m', '\u00e5ngstr\u00f6m'],
    // Whose lower case is not composed.
    ['\u0130', 'i\u0307'],
    ['   ', ''],
  ])('"%s" is "%s"', (username, canonical) => {
    expect(canonicalUsername(username)).toBe(canonical);
  });

  test('inner space and other letters still tell names apart', () => {
    expect(canonicalUsername('ada lovelace')).not.toBe(canonicalUsername('adalovelace'));
    expect(canonicalUsername('ada')).not.toBe(canonicalUsername('\u0430da'));
  });

  test('said twice, it is the same: a name that was stored is found again', () => {
    // Half from scripts that have case and marks, where folding and composing meet.
    const point = fc.oneof(fc.integer({ min: 0, max: 0x10ffff }), fc.integer({ min: 0, max: 0x2fff }));
    const text = fc.array(point, { maxLength: 20 }).map((points) => String.fromCodePoint(...points));
    fc.assert(
      fc.property(text, (name) => {
        const canonical = canonicalUsername(name);
        expect(canonicalUsername(canonical)).toBe(canonical);
        expect(canonicalUsername(name.normalize('NFD'))).toBe(canonicalUsername(name.normalize('NFC')));
        expect(canonicalUsername(` ${name} `)).toBe(canonical);
      }),
      { numRuns: 500 },
    );
  });
});

describe('letThrough', () => {
  const own =
    'iss sub aud client_id iat nbf exp jti sid gen auth_time typ active reason scope cnf act token_type'.split(' ');
  const reserved = [...own, '__proto__', 'constructor', 'prototype'];

  test('what the configuration names, and nothing else', () => {
    expect(letThrough({ email: 'a@b', roles: ['x'], secret: 1 }, ['roles', 'email', 'absent'])).toEqual({
      roles: ['x'],
      email: 'a@b',
    });
    expect(letThrough({ email: 'a@b' }, [])).toEqual({});
  });

  test.each(reserved)('%s never passes, even when the configuration names it', (name) => {
    const claims = JSON.parse(`{"${name}": "attacker", "email": "a@b"}`) as Record<string, unknown>;
    const passed = letThrough(claims, [name, 'email']);
    expect(Object.keys(passed)).toEqual(['email']);
    expect(Object.getPrototypeOf(passed)).toBe(Object.prototype);
  });

  test('what a claim set merely inherits is no claim', () => {
    expect(letThrough({}, ['toString', 'hasOwnProperty', 'valueOf'])).toEqual({});
  });

  test('for any claims and names: only named ones, unchanged, never a reserved one', () => {
    const name = fc.oneof(fc.string({ maxLength: 8 }), fc.constantFrom(...reserved, 'email', 'roles'));
    fc.assert(
      fc.property(fc.dictionary(name, fc.jsonValue()), fc.array(name), (claims, names) => {
        const passed = letThrough(claims, names);
        for (const [key, value] of Object.entries(passed)) {
          expect(names).toContain(key);
          expect(reserved).not.toContain(key);
          expect(value).toBe(claims[key]);
        }
      }),
    );
  });
});
