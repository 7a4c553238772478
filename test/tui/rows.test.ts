/** Rows, rates and text without a screen: what only computes. */
import stringWidth from 'string-width';
import { expect, test } from 'vitest';
import { entriesOn, footerEntries, paletteEntries } from '../../cli/tui/keys.ts';
import { bar, makeRateCounter, sparkline } from '../../cli/tui/rates.ts';
import { apart, fitted, plain, rowOf } from '../../cli/tui/rows.ts';
import { SCREENS, STORY } from '../../cli/tui/state.ts';
import { whyLost, wordsOf } from '../../cli/tui/trouble.ts';
import { pasteInto, typeKey } from '../../cli/tui/typing.ts';
import { epochMs, HOUR, MINUTE } from '../../src/domain/time.ts';
import { Refusal } from '../../src/refusal.ts';

const HOSTILE = [
  'plain text that is far too long for its room',
  '\u001b[2J\u001b]0;x\u0007\u009b31m\r\nforged',
  'دfamily 👨‍👩‍👧‍👦 and 日本語の端末 wide',
  `a${'\u0301'.repeat(500)} combining flood`,
  '\u202eright to left\u200b\u2066',
  'x'.repeat(10_240),
];

test('every row is exactly as wide as its room, whatever it holds (Z1, Z3, Z4)', () => {
  for (const text of HOSTILE) {
    for (let width = 0; width <= 40; width += 1) {
      const row = fitted(rowOf([text, { text, tone: 'alarm' }, '!']), width);
      expect(stringWidth(plain([...row, { text: '|' }])), `${width} ${text.slice(0, 20)}`).toBe(width + 1);
    }
    expect(plain(rowOf(text))).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u200b\u202a-\u202e\u2066]/);
  }
  expect(plain(fitted(rowOf(['abcdef', 'ghi']), 7))).toBe('abcde..');
  expect(plain(apart(rowOf('left'), rowOf('right'), 12))).toBe('left   right');
  expect(plain(apart(rowOf('left'), rowOf('right'), 8))).toBe('left');
});

test('footer, help and palette know the same commands, and the footer fits any window (tick 35)', () => {
  for (const context of [...SCREENS.keys(), STORY]) {
    const all = entriesOn(context);
    // What the palette cannot find is the palette.
    expect(paletteEntries(context, '').map(({ id }) => id)).toEqual(
      all.map(({ id }) => id).filter((id) => id !== 'palette'),
    );
    for (let width = 40; width <= 120; width += 1) {
      const shown = footerEntries(context, width);
      for (const entry of shown) expect(all).toContain(entry);
      const text = ` ${shown.map((entry) => `${entry.shown} ${entry.footer}`).join('  ')}`;
      expect(text.length).toBeLessThanOrEqual(width);
      expect(text).toContain('? keys  : palette  q quit');
    }
    // One key means one thing.
    const keys = all.flatMap((entry) => entry.keys);
    expect(new Set(keys).size).toBe(keys.length);
  }
  expect(paletteEntries(0, 'all sess').map(({ id }) => id)).toEqual(['revokeAll']);
});

test('rates are of the last minute and hour, a reset counter counts nothing', () => {
  const counter = makeRateCounter();
  const now = 1_000 * HOUR;
  const at = (ago: number) => epochMs(now - ago);
  counter.add(
    {
      events: [
        { type: 'login.succeeded', at: at(5_000) },
        { type: 'login.succeeded', at: at(2 * MINUTE) },
        { type: 'token.reuse_detected', at: at(30 * MINUTE) },
        { type: 'token.reuse_detected', at: at(61 * MINUTE) },
        { type: 'login.failed', at: at(1_000) },
      ],
      rotations: null,
    },
    epochMs(now),
  );
  expect(counter.rates(epochMs(now))).toEqual({
    logins: 1,
    reuses: 1,
    rotations: null,
    curve: [0, 0, 0, 0, 0, 0, 1, 0],
  });
  counter.add({ events: [], rotations: 700 }, epochMs(now));
  counter.add({ events: [], rotations: 730 }, epochMs(now + 10_000));
  counter.add({ events: [], rotations: 3 }, epochMs(now + 20_000));
  counter.add({ events: [], rotations: 8 }, epochMs(now + 30_000));
  expect(counter.rates(epochMs(now + 30_000))).toMatchObject({ rotations: 35, curve: [0, 0, 0, 0, 0, 30, 0, 5] });
});

test('curves and bars are words of their own in black and white, blocks where the terminal has them', () => {
  expect(sparkline([0, 1, 4, 8], false)).toBe(' .=@');
  expect(sparkline([0, 1, 4, 8], true)).toBe(' ▁▄█');
  expect(sparkline([0, 0], true)).toBe('  ');
  expect(bar(0.25, 8)).toBe('[##......]');
  expect(bar(7, 8)).toBe('[########]');
  expect(bar(-1, 8)).toBe('[........]');
});

test('typing takes what can be shown, and pasting one line of it', () => {
  expect(typeKey('ab', 'c')).toBe('abc');
  expect(typeKey('aé', '\u007f')).toBe('a');
  expect(typeKey('client:spa al', '\u0017')).toBe('client:spa ');
  expect(typeKey('ab', '\u0015')).toBe('');
  expect(typeKey('ab', '\u001b')).toBeUndefined();
  expect(typeKey('x'.repeat(300), 'y')).toHaveLength(300);
  expect(pasteInto('a ', '  b\u001b[31mc\nrm -rf /')).toBe('a b[31mc');
});

test('only a database that is away is waited for, and its trouble has a word', () => {
  const away = (code: string): Refusal =>
    new Refusal('temporarily_unavailable', 'x', {
      cause: new Error('outer', { cause: Object.assign(new Error('inner'), { code }) }),
    });
  expect(whyLost(away('SQLITE_BUSY_SNAPSHOT'))).toBe('locked');
  expect(whyLost(away('ECONNREFUSED'))).toBe('refused');
  expect(whyLost(away('57P01'))).toBe('57P01');
  expect(wordsOf(new TypeError('x is not a function'))).toBe('this is a bug: TypeError: x is not a function');
  expect(wordsOf(new Refusal('not_found', 'There is no such session.'))).toBe('There is no such session.');
});
