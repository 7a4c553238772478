/** Conversions between the units of time, and the two spellings of it that people write. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  after,
  DAY,
  durationMs,
  type EpochSeconds,
  epochMs,
  formatDuration,
  HOUR,
  MINUTE,
  parseDuration,
  parseRfc3339,
  SECOND,
  toMs,
  toRfc3339,
  toSeconds,
} from '../../src/domain/time.ts';

describe('units', () => {
  test('are multiples of each other', () => {
    expect([SECOND, MINUTE, HOUR, DAY]).toEqual([1_000, 60_000, 3_600_000, 86_400_000]);
  });

  test('a NumericDate is the whole second that has begun, before 1970 too', () => {
    expect(toSeconds(epochMs(1_999))).toBe(1);
    expect(toSeconds(epochMs(2_000))).toBe(2);
    expect(toSeconds(epochMs(-1))).toBe(-1);
  });

  test('seconds survive the way to milliseconds and back', () => {
    fc.assert(
      fc.property(fc.nat(4_000_000_000), (seconds) => {
        expect(toSeconds(toMs(seconds as EpochSeconds))).toBe(seconds);
      }),
    );
  });

  test('after adds', () => {
    expect(after(epochMs(1_000), MINUTE)).toBe(61_000);
  });
});

describe('RFC 3339', () => {
  test('is written in UTC with milliseconds', () => {
    expect(toRfc3339(epochMs(0))).toBe('1970-01-01T00:00:00.000Z');
    expect(toRfc3339(epochMs(1_753_920_000_042))).toBe('2025-07-31T00:00:00.042Z');
  });

  test('what is written is read back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 253_402_300_799_999 }), (time) => {
        expect(parseRfc3339(toRfc3339(epochMs(time)))).toBe(time);
      }),
    );
  });

  test.each([
    ['2025-07-31T00:00:00Z', Date.UTC(2025, 6, 31)],
    ['2025-07-31t00:00:00z', Date.UTC(2025, 6, 31)],
    ['2025-07-31T02:00:00+02:00', Date.UTC(2025, 6, 31)],
    ['2025-07-30T23:30:00-00:30', Date.UTC(2025, 6, 31)],
    ['2025-07-31T00:00:00.5Z', Date.UTC(2025, 6, 31, 0, 0, 0, 500)],
    ['2025-07-31T00:00:00.123456789Z', Date.UTC(2025, 6, 31, 0, 0, 0, 123)],
    ['2024-02-29T12:00:00Z', Date.UTC(2024, 1, 29, 12)],
  ])('%s is a time', (text, time) => {
    expect(parseRfc3339(text)).toBe(time);
  });

  test.each([
    '',
    'yesterday',
    '2025-07-31',
    '2025-07-31T00:00Z',
    '2025-07-31T00:00:00',
    '2025-07-31 00:00:00Z',
    '2025-13-01T00:00:00Z',
    '2025-00-10T00:00:00Z',
    '2025-07-32T00:00:00Z',
    '2025-02-30T00:00:00Z',
    '2023-02-29T00:00:00Z',
    '2025-04-31T00:00:00+02:00',
    '2025-07-31T24:00:00Z',
    '2025-07-31T00:60:00Z',
    '2025-07-31T00:00:60Z',
    '2025-07-31T00:00:00+25:00',
    '2025-07-31T00:00:00.Z',
    ' 2025-07-31T00:00:00Z',
    '2025-07-31T00:00:00Z\n',
    '+002025-07-31T00:00:00Z',
    '1753920000',
  ])('"%s" is none', (text) => {
    expect(parseRfc3339(text)).toBeUndefined();
  });
});

describe('a duration', () => {
  test.each([
    ['90d', 90 * DAY],
    ['5m', 5 * MINUTE],
    ['10s', 10 * SECOND],
    ['250ms', 250],
    ['1h', HOUR],
    ['0s', 0],
    ['007s', 7_000],
  ])('%s', (text, duration) => {
    expect(parseDuration(text)).toBe(duration);
  });

  test.each([
    '',
    '5',
    'm',
    '5 m',
    '-5m',
    '+5m',
    '1.5h',
    '1e3s',
    '5M',
    '5min',
    '5m ',
    '5m5s',
    '9999999999s',
    'Infinitys',
  ])('"%s" is none', (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });

  test('is written in the largest unit that fits', () => {
    expect(
      [0, 250, 1_500, 60_000, 90_000, 5_400_000, DAY, 90 * DAY].map((ms) => formatDuration(durationMs(ms))),
    ).toEqual(['0s', '250ms', '1500ms', '1m', '90s', '90m', '1d', '90d']);
  });

  test('what was read is written so that it is read back', () => {
    fc.assert(
      fc.property(fc.nat(999_999_999), fc.constantFrom('ms', 's', 'm', 'h', 'd'), (value, unit) => {
        const duration = parseDuration(`${value}${unit}`);
        // A billion days are more milliseconds than a number holds.
        if (duration !== undefined) expect(parseDuration(formatDuration(duration))).toBe(duration);
      }),
    );
  });
});
