/** What a command says, in a terminal of any width, in a pipe and as JSON. Section 3.17 of the security table; ticks 11 to 18. */
import stringWidth from 'string-width';
import { expect, onTestFinished, test } from 'vitest';
import { makeOut, type Out, type OutOptions, outFor, timeColumn } from '../../cli/output.ts';
import { paint } from '../../cli/paint.ts';
import { type Column, cut, layoutTable } from '../../cli/table.ts';
import { relative, relativeAndExact, roughly } from '../../cli/when.ts';
import { DAY, epochMs, HOUR, MINUTE, SECOND } from '../../src/domain/time.ts';

const NOW = epochMs(Date.UTC(2026, 10, 24, 14, 0, 0));

interface Session {
  readonly sid: string;
  readonly subject: string;
  readonly state: string;
  readonly generation: number;
  readonly used: string;
  readonly device: string | null;
}

const session = (change: Partial<Session> = {}): Session => ({
  sid: '01993b2e-5d02-7c11-9e0a-6f21aac4d1f7',
  subject: 'alice',
  state: 'live',
  generation: 42,
  used: '2026-11-24T13:57:00.000Z',
  device: 'Firefox/Linux',
  ...change,
});

const COLUMNS: readonly Column<Session>[] = [
  { title: 'SESSION', value: ({ sid }) => sid, text: ({ sid }) => `${sid.slice(0, 8)}..${sid.slice(-6)}` },
  { title: 'SUBJECT', value: ({ subject }) => subject },
  { title: 'STATE', value: ({ state }) => state, tone: ({ state }) => (state === 'REUSE' ? 'alarm' : undefined) },
  { title: 'GEN', value: ({ generation }) => generation, right: true },
  timeColumn('USED', NOW, ({ used }) => used),
  { title: 'DEVICE', value: ({ device }) => device },
];

function capture(options: Partial<OutOptions> = {}): { out: Out; stdout: () => string; stderr: () => string } {
  const written = { stdout: '', stderr: '' };
  const out = makeOut({
    json: false,
    isTerminal: true,
    isColoured: false,
    notesColoured: false,
    width: 80,
    now: NOW,
    write: (text) => {
      written.stdout += text;
    },
    writeNote: (text) => {
      written.stderr += text;
    },
    ...options,
  });
  return { out, stdout: () => written.stdout, stderr: () => written.stderr };
}

const listing = (rows: readonly Session[]) => ({
  document: { families: rows, next_cursor: null },
  rows,
  columns: COLUMNS,
  empty: 'no sessions yet',
});

test('on a terminal a list is a table with short ids, relative times, and numbers on the right', () => {
  const { out, stdout, stderr } = capture();
  out.list(listing([session(), session({ subject: 'dave', generation: 3, state: 'logout', device: null })]));
  expect(stdout().split('\n')).toEqual([
    'SESSION           SUBJECT  STATE   GEN  USED    DEVICE',
    '01993b2e..c4d1f7  alice    live     42  3m ago  Firefox/Linux',
    '01993b2e..c4d1f7  dave     logout    3  3m ago',
    '',
  ]);
  expect(stderr()).toBe('');
});

test('in a pipe every value is whole, between tabs, without a header', () => {
  const { out, stdout } = capture({ isTerminal: false });
  out.list(listing([session(), session({ device: null })]));
  expect(stdout()).toBe(
    '01993b2e-5d02-7c11-9e0a-6f21aac4d1f7\talice\tlive\t42\t2026-11-24T13:57:00.000Z\tFirefox/Linux\n' +
      '01993b2e-5d02-7c11-9e0a-6f21aac4d1f7\talice\tlive\t42\t2026-11-24T13:57:00.000Z\t\n',
  );
});

test('with --json it is one document, on one line in a pipe', () => {
  for (const isTerminal of [true, false]) {
    const { out, stdout } = capture({ json: true, isTerminal });
    out.list(listing([session()]));
    expect(JSON.parse(stdout())).toEqual({ families: [session()], next_cursor: null });
    expect(stdout().trim().includes('\n')).toBe(isTerminal);
  }
});

test('an empty list is an empty stdout and a line of what to do, and one document with --json', () => {
  const { out, stdout, stderr } = capture({ isTerminal: false });
  out.list(listing([]));
  expect([stdout(), stderr()]).toEqual(['', 'no sessions yet\n']);
  const json = capture({ json: true });
  json.out.list(listing([]));
  expect(JSON.parse(json.stdout())).toEqual({ families: [], next_cursor: null });
});

test('Z3, Z4: no row is wider than the terminal, whatever is in it; columns drop from the right, never the first', () => {
  const rows = [
    session(),
    session({ subject: 'a'.repeat(10_240), device: '漢字'.repeat(40), state: '👩‍👩‍👧'.repeat(30) }),
    session({ subject: `e${'\u0301'.repeat(5_000)}` }),
  ];
  for (let width = 60; width <= 160; width += 1) {
    const { lines, dropped } = layoutTable(rows, COLUMNS, width);
    const texts = lines.map((line) =>
      Array.isArray(line) ? line.map((piece) => (typeof piece === 'string' ? piece : piece.text)).join('') : line,
    );
    for (const text of texts) expect(stringWidth(String(text))).toBeLessThanOrEqual(width);
    expect(texts[0]).toMatch(/^SESSION/);
    expect(COLUMNS.slice(COLUMNS.length - dropped.length).map(({ title }) => title)).toEqual(dropped);
  }
});

test.each([
  ['X', '1 shown, more follow: --cursor X  (wider: USED, DEVICE)\n'],
  ['X'.repeat(36), `1 shown, more follow: --cursor ${'X'.repeat(36)}\n(wider: USED, DEVICE)\n`],
])('what had no room is named, on stderr, in lines that have room (cursor %s)', (cursor, remarks) => {
  const { out, stdout, stderr } = capture({ width: 60 });
  out.list({
    ...listing([session({ subject: 'somebody-with-a-long-name', device: 'x'.repeat(60) })]),
    more: `1 shown, more follow: --cursor ${cursor}`,
  });
  expect(stdout()).not.toContain('DEVICE');
  expect(stderr()).toBe(remarks);
});

test('under 60 columns each record is a block', () => {
  const { out, stdout } = capture({ width: 20 });
  out.list(listing([session({ device: 'a very long device label' }), session()]));
  const lines = stdout().split('\n');
  expect(lines.slice(0, 3)).toEqual(['SESSION  01993b2e...', 'SUBJECT  alice', 'STATE    live']);
  expect(lines.filter((line) => line === '')).toHaveLength(2);
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(20);
});

test('a cut ends in .. and never splits a character', () => {
  expect(cut('alice', 5)).toBe('alice');
  expect(cut('alice', 4)).toBe('al..');
  expect(cut('漢字漢字', 7)).toBe('漢字..');
  expect(cut('👩‍👩‍👧👩‍👩‍👧', 3)).toBe('..');
});

test.for<[string, string]>([
  ['an escape sequence', '\u001b[2J'],
  ['a title', '\u001b]0;x\u0007'],
  ['our own colour', '\u001b[31mred'],
  ['a C1 introducer', '\u009b2J'],
  ['a forged line', 'x\r\nerror: you have been hacked'],
  ['a bidi override', '\u202egpj.exe'],
  ['a zero-width joiner of nothing', 'a\u200bb'],
  ['a tab', 'a\tb'],
])('Z1, Z2, Z3: %s from outside is shown, never obeyed', ([, hostile]) => {
  for (const options of [{}, { isTerminal: false }, { json: true }, { width: 30 }, { isColoured: true }]) {
    const { out, stdout, stderr } = capture(options);
    out.list(listing([session({ subject: hostile, state: 'REUSE', device: hostile })]));
    out.result({ text: hostile }, [`text ${hostile}`, ['piece ', paint('alarm', hostile)]]);
    out.note(hostile);
    const ours = (stdout() + stderr()).replaceAll('\u001b[1;31m', '').replaceAll('\u001b[0m', '');
    expect(ours).not.toMatch(/[\u001b\u0007\u009b\r\u202e\u200b]/);
    expect(stderr().trimEnd()).not.toContain('\n');
    if (options.json === true) expect(stdout()).toContain(JSON.stringify({ text: hostile }, null, 2).slice(4, 12));
  }
});

test('colour marks an exception only, and the word says the same', () => {
  const plain = capture();
  const coloured = capture({ isColoured: true });
  for (const { out } of [plain, coloured]) out.list(listing([session(), session({ state: 'REUSE' })]));
  expect(coloured.stdout()).toContain('\u001b[1;31mREUSE\u001b[0m');
  expect(coloured.stdout().match(/\u001b\[1;31m/g)).toHaveLength(1);
  expect(coloured.stdout().replace(/\u001b\[[0-9;]*m/g, '')).toBe(plain.stdout());
});

test.for<[number, string]>([
  [0, 'now'],
  [59 * SECOND, '59s ago'],
  [3 * MINUTE, '3m ago'],
  [-22 * HOUR, 'in 22h'],
  [47 * HOUR, '47h ago'],
  [61 * DAY, '61d ago'],
])('%i ms ago reads "%s"', ([distance, text]) => {
  expect(relative(epochMs(NOW - distance), NOW)).toBe(text);
});

test('beside a relative time stands the exact one', () => {
  expect(relativeAndExact('2026-11-23T09:14:07.123Z', NOW)).toBe('28h ago, 2026-11-23 09:14:07 UTC');
  expect(relativeAndExact(null, NOW)).toBe('');
  expect(roughly(90 * SECOND)).toBe('1m');
});

test.each([
  [undefined, 80],
  [0, 80],
  [61, 61],
])('of %s columns it takes %s', (columns, width) => {
  const before = { isTTY: process.stdout.isTTY, columns: process.stdout.columns };
  onTestFinished(() => void Object.assign(process.stdout, before));
  Object.assign(process.stdout, { isTTY: true, columns });
  expect(outFor({ color: true }).width).toBe(width);
});
