/** Addresses in one spelling: what RFC 5952 asks of IPv6, checked against its examples and against the platform. */
import { isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalAddress, throttleBucket } from '../../src/domain/address.ts';

/** How the platform spells it (WHATWG URL §3.5 follows RFC 5952). */
const platform = (address: string): string => new URL(`http://[${address}]/`).hostname.slice(1, -1);

const groups = fc.array(fc.oneof(fc.constant(0), fc.constant(0), fc.integer({ min: 0, max: 0xffff })), {
  minLength: 8,
  maxLength: 8,
});
const spell = (values: readonly number[]): string => values.map((value) => value.toString(16)).join(':');
const isMapped = (values: readonly number[]): boolean =>
  values.slice(0, 5).every((value) => value === 0) && values[5] === 0xffff;

describe('canonicalAddress', () => {
  test.each([
    // RFC 5952 §4.1: no leading zeros. §4.2.1: as short as possible. §4.2.2: one group is not shortened.
    ['2001:0db8::0001', '2001:db8::1'],
    ['2001:db8:0:0:0:0:2:1', '2001:db8::2:1'],
    ['2001:db8::0:1', '2001:db8::1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    // §4.2.3: the longest run; of two equal ones the first.
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['0:0:0:1:0:0:0:1', '::1:0:0:0:1'],
    ['0:0:1:2:0:0:3:4', '::1:2:0:0:3:4'],
    ['1:0:0:0:2:0:0:0', '1::2:0:0:0'],
    // §4.3: lower case.
    ['2001:DB8::ABCD', '2001:db8::abcd'],
    ['::', '::'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['fe80::1%eth0', 'fe80::1'],
    // RFC 4291 §2.5.5.2: an IPv4 address that came in through an IPv6 socket is that IPv4 address.
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:C000:0201', '192.0.2.1'],
    ['0:0:0:0:0:ffff:192.0.2.1', '192.0.2.1'],
    ['::ffff:255.255.255.255', '255.255.255.255'],
    // Only that prefix maps.
    ['::192.0.2.1', '::c000:201'],
    ['64:ff9b::192.0.2.1', '64:ff9b::c000:201'],
    ['::1:ffff:192.0.2.1', '::1:ffff:c000:201'],
    ['192.0.2.1', '192.0.2.1'],
    ['0.0.0.0', '0.0.0.0'],
  ])('%s is %s', (address, canonical) => {
    expect(isIP(address)).not.toBe(0);
    expect(canonicalAddress(address)).toBe(canonical);
  });

  test('any IPv6 address is spelled as the platform spells it', () => {
    fc.assert(
      fc.property(groups, (values) => {
        fc.pre(!isMapped(values));
        expect(canonicalAddress(spell(values))).toBe(platform(spell(values)));
      }),
      { numRuns: 500 },
    );
  });

  test('every spelling of an address is one address', () => {
    const spellings = (values: readonly number[]): string[] => [
      spell(values),
      spell(values).toUpperCase(),
      values.map((value) => value.toString(16).padStart(4, '0')).join(':'),
      platform(spell(values)),
      `${spell(values.slice(0, 6))}:${values
        .slice(6)
        .flatMap((value) => [value >> 8, value & 255])
        .join('.')}`,
    ];
    fc.assert(
      fc.property(groups, (values) => {
        expect(new Set(spellings(values).map(canonicalAddress)).size).toBe(1);
      }),
      { numRuns: 500 },
    );
  });

  test('said twice, it is the same; and what comes out is an address', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (address) => {
        const canonical = canonicalAddress(address);
        expect(isIP(canonical)).not.toBe(0);
        expect(canonicalAddress(canonical)).toBe(canonical);
      }),
      { numRuns: 500 },
    );
  });

  test('a mapped address is the IPv4 address it holds', () => {
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        expect(canonicalAddress(`::ffff:${address}`)).toBe(address);
      }),
    );
  });
});

describe('throttleBucket', () => {
  test('an IPv4 address is its own, an unknown one shares one', () => {
    expect(throttleBucket('192.0.2.1')).toBe('192.0.2.1');
    expect(throttleBucket(null)).toBe('unknown');
  });

  test('all addresses of one /64 share a bucket, and no others', () => {
    expect(throttleBucket('2001:db8:1:2::1')).toBe('2001:db8:1:2::/64');
    const bucketOf = (values: readonly number[]): string => throttleBucket(canonicalAddress(spell(values)));
    fc.assert(
      fc.property(groups, groups, (left, right) => {
        fc.pre(!isMapped(left) && !isMapped(right));
        const sameNetwork = [...left.slice(0, 4), ...right.slice(4)];
        fc.pre(!isMapped(sameNetwork));
        expect(bucketOf(sameNetwork)).toBe(bucketOf(left));
        const isSame = spell(left.slice(0, 4)) === spell(right.slice(0, 4));
        expect(bucketOf(left) === bucketOf(right)).toBe(isSame);
      }),
      { numRuns: 500 },
    );
  });

  test('the zeros of a shortened address count', () => {
    expect(throttleBucket('::1')).toBe('0:0:0:0::/64');
    expect(throttleBucket('2001:db8::1:0:0:1')).toBe('2001:db8:0:0::/64');
    expect(throttleBucket('1::')).toBe('1:0:0:0::/64');
  });
});
