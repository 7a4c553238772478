/** Foreign text made safe for a terminal and a log (security Z1 to Z3): nothing that moves, hides or reverses is left. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isPrintable, printable } from '../../src/domain/printable.ts';

test.each([
  ['an escape sequence', '\u001b[2Jx', '\\u001b[2Jx'],
  ['a title with a bell', '\u001b]0;x\u0007', '\\u001b]0;x\\u0007'],
  ['a line break', 'a\r\nlevel=error', 'a\\u000d\\u000alevel=error'],
  ['a tab', 'a\tb', 'a\\u0009b'],
  ['delete and C1', '\u007f\u009b31m', '\\u007f\\u009b31m'],
  ['a bidi override', 'a\u202etxt.exe', 'a\\u202etxt.exe'],
  ['bidi isolates', '\u2066a\u2069', '\\u2066a\\u2069'],
  ['zero-width characters', 'a\u200b\u200d\ufeffb', 'a\\u200b\\u200d\\ufeffb'],
  ['a soft hyphen', 'a\u00adb', 'a\\u00adb'],
  ['line and paragraph separators', 'a\u2028b\u2029c', 'a\\u2028b\\u2029c'],
  ['a lone high surrogate', 'a\ud83d', 'a\\ud83d'],
  ['a lone low surrogate', '\udc4ba', '\\udc4ba'],
  ['a NUL', 'a\0b', 'a\\u0000b'],
])('%s becomes visible', (_name, text, shown) => {
  expect(isPrintable(text)).toBe(false);
  expect(printable(text)).toBe(shown);
});

test.each(['', 'Firefox/128.0 (X11; Linux)', 'Ada Lovelace', 'Zoë', '東京', '👋🏽', 'עברית', 'a\\u001b'])(
  '"%s" stays as it is',
  (text) => {
    expect(isPrintable(text)).toBe(true);
    expect(printable(text)).toBe(text);
  },
);

test('whatever comes in, what comes out is printable, well-formed, and stays as it is', () => {
  const text = fc
    .array(fc.integer({ min: 0, max: 0x10ffff }), { maxLength: 40 })
    .map((points) => String.fromCodePoint(...points));
  const halves = fc
    .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 30 })
    .map((units) => String.fromCharCode(...units));
  fc.assert(
    fc.property(fc.oneof(text, halves), (input) => {
      const shown = printable(input);
      expect(isPrintable(shown)).toBe(true);
      expect(shown.isWellFormed()).toBe(true);
      expect(printable(shown)).toBe(shown);
      expect(isPrintable(input)).toBe(shown === input);
      expect(shown).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
    }),
    { numRuns: 500 },
  );
});
