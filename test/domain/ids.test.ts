/** Identifiers: what a UUIDv7 looks like and how it sorts, and which strings may become an id of each kind. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type FamilyId,
  isUuidv7,
  type KeyId,
  leastUuidv7,
  parseClientId,
  parseFamilyId,
  parseGeneration,
  parseSubject,
  parseTokenId,
  shortId,
  shortKid,
  uuidv7,
} from '../../src/domain/ids.ts';
import { epochMs } from '../../src/domain/time.ts';

const time = fc.integer({ min: 0, max: 2 ** 48 - 1 }).map(epochMs);
const random = fc.uint8Array({ minLength: 10, maxLength: 10 });

describe('a UUIDv7', () => {
  test('RFC 9562 §A.6: the published example, from its time and its random bits', () => {
    // 017F22E2-79B0-7CC3-98C4-DC0C0C07398F: Tuesday, February 22, 2022 2:22:22.00 PM GMT-05:00.
    const bytes = Uint8Array.from([0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f]);
    expect(uuidv7(epochMs(0x017f22e279b0), bytes)).toBe('017f22e2-79b0-7cc3-98c4-dc0c0c07398f');
  });

  test('has its shape for any time and any random bytes', () => {
    fc.assert(
      fc.property(time, random, (now, bytes) => {
        const id = uuidv7(now, bytes);
        expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
        expect(isUuidv7(id)).toBe(true);
        expect(Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16)).toBe(now);
      }),
    );
  });

  test('of a later millisecond sorts later, whatever its random bytes', () => {
    fc.assert(
      fc.property(time, time, random, random, (first, second, a, b) => {
        fc.pre(first < second);
        expect(uuidv7(first, a) < uuidv7(second, b)).toBe(true);
      }),
    );
  });

  test('the least of a time is an id, and none of that time or a later one comes before it', () => {
    fc.assert(
      fc.property(time, time, random, (first, second, bytes) => {
        fc.pre(first <= second);
        expect(isUuidv7(leastUuidv7(first))).toBe(true);
        expect(leastUuidv7(first) <= uuidv7(second, bytes)).toBe(true);
      }),
    );
  });

  test('uses all 74 random bits', () => {
    const now = epochMs(1_750_000_000_000);
    const flip = (bit: number): string => {
      const bytes = new Uint8Array(10);
      bytes[bit >> 3] = 1 << (bit & 7);
      return uuidv7(now, bytes);
    };
    const ids = new Set(Array.from({ length: 80 }, (_, bit) => flip(bit)));
    // Of 80 bits, 4 are the version and 2 the variant: those six change nothing.
    expect(ids.size).toBe(80 - 6 + 1);
  });

  test('a clock before 1970 still gives an id', () => {
    expect(isUuidv7(uuidv7(epochMs(-5), new Uint8Array(10)))).toBe(true);
  });
});

describe('parsers', () => {
  const id = '017f22e2-79b0-7cc3-98c4-dc0c0c07398f';

  test('a family and a token have a UUIDv7 in its one spelling', () => {
    expect(parseFamilyId(id)).toBe(id);
    expect(parseTokenId(id)).toBe(id);
    for (const wrong of [
      id.toUpperCase(),
      `${id}\n`,
      ` ${id}`,
      `{${id}}`,
      id.replaceAll('-', ''),
      '017f22e2-79b0-4cc3-98c4-dc0c0c07398f',
      '017f22e2-79b0-7cc3-c8c4-dc0c0c07398f',
      '',
      null,
      undefined,
      7,
      [id],
      { toString: () => id },
    ]) {
      expect(parseFamilyId(wrong)).toBeUndefined();
      expect(parseTokenId(wrong)).toBeUndefined();
    }
  });

  test('a client id has 1 to 64 safe characters', () => {
    for (const right of ['a', 'web-app', 'A.b_c-9', 'x'.repeat(64)]) expect(parseClientId(right)).toBe(right);
    for (const wrong of ['', 'x'.repeat(65), 'a b', 'a:b', 'ä', 'a/b', 'a\n', '%41', null, 1, ['a']]) {
      expect(parseClientId(wrong)).toBeUndefined();
    }
  });

  test('a subject has 1 to 255 visible ASCII characters', () => {
    for (const right of ['1', 'user|ada@example.com', '~'.repeat(255)]) expect(parseSubject(right)).toBe(right);
    for (const wrong of ['', 'x'.repeat(256), 'a b', 'a\u007f', 'ä', 'a\n', '\0', null, 1, ['a']]) {
      expect(parseSubject(wrong)).toBeUndefined();
    }
  });

  test('a generation is a safe integer from 0', () => {
    for (const right of [0, 1, Number.MAX_SAFE_INTEGER]) expect(parseGeneration(right)).toBe(right);
    for (const wrong of [-1, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY, '0', null, undefined, [0], true]) {
      expect(parseGeneration(wrong)).toBeUndefined();
    }
  });
});

describe('short forms', () => {
  test('the first 8 and last 6 digits of a UUID, the first and last 4 of a kid', () => {
    expect(shortId('017f22e2-79b0-7cc3-98c4-dc0c0c07398f' as FamilyId)).toBe('017f22e2..07398f');
    expect(shortKid('NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs' as KeyId)).toBe('NzbL..C9Xs');
    expect(shortKid('kid-1' as KeyId)).toBe('kid-1');
  });
});
