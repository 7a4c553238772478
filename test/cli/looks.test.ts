/** How sessions, events and devices look to people (experience §2): what a terminal shows, without one. */
import { expect, onTestFinished, test, vi } from 'vitest';
import { deviceText } from '../../cli/agent.ts';
import { bannerLines } from '../../cli/banner.ts';
import { eventColumns, eventLine } from '../../cli/event-text.ts';
import { storyBeside, storyLines } from '../../cli/family-story.ts';
import { type FamilyRow, familyColumns, familyInWords } from '../../cli/family-text.ts';
import { findingLines } from '../../cli/finding-text.ts';
import { renderLine } from '../../cli/paint.ts';
import { startProgress } from '../../cli/progress.ts';
import { layoutTable } from '../../cli/table.ts';
import type { Finding } from '../../src/domain/finding.ts';
import type { ClientId, EventId, FamilyId, Generation, Subject } from '../../src/domain/ids.ts';
import { epochMs, parseRfc3339 } from '../../src/domain/time.ts';
import type { FamilyStory } from '../../src/operations/families.ts';
import type { EventView, TimelineView } from '../../src/operations/views.ts';

const NOW = parseRfc3339('2026-11-24T09:14:07Z') ?? epochMs(0);
const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';

const row: FamilyRow = {
  sid: '019938c1-5d02-7c11-9e0a-6f21aa0b19e5' as FamilyId,
  subject: '0199b0c4-5d02-7c11-9e0a-6f21aa0b19e5' as Subject,
  name: 'carol',
  client_id: 'spa' as ClientId,
  state: 'revoked',
  generation: 19 as Generation,
  created_at: '2026-11-20T08:01:55.000Z',
  last_refreshed_at: '2026-11-23T09:13:58.000Z',
  expires_at: '2027-02-21T09:13:58.000Z',
  revoked_at: '2026-11-23T09:14:07.000Z',
  revoke_reason: 'reuse',
  device: null,
  user_agent: FIREFOX,
  ip: '203.0.113.200',
};

const step = (generation: number, time: string, ip: string): TimelineView => ({
  generation: generation as Generation,
  issued_at: `2026-11-${time}.000Z`,
  ip,
  user_agent: FIREFOX,
});

const reuse: EventView = {
  id: '019938c1-5d02-7c11-9e0a-6f21aa0b19e6' as EventId,
  type: 'token.reuse_detected',
  timestamp: '2026-11-23T09:14:07.000Z',
  data: {
    sid: row.sid,
    subject: row.subject,
    class: 'stale',
    presented_generation: 17,
    ip: '192.0.2.77',
    address_differs: true,
    user_agent_differs: false,
  },
};

const timeline = [
  ...Array.from({ length: 18 }, (_, n) => step(n, `20T08:${String(n).padStart(2, '0')}:55`, '192.0.2.77')),
  step(18, '23T09:09:40', '203.0.113.200'),
  step(19, '23T09:13:58', '203.0.113.200'),
];
const story: FamilyStory = { family: row, note: null, timeline, detected: reuse };

const FOLDED = { isWhole: false, all: '--all' } as const;

const text = (lines: readonly Parameters<typeof renderLine>[0][]): string[] =>
  lines.map((line) => renderLine(line, false));

test('a story shows the login, what changed and the newest rotations, and what ended it', () => {
  expect(text(storyLines(row, story, NOW, FOLDED))).toEqual([
    'Session  019938c1-5d02-7c11-9e0a-6f21aa0b19e5   carol, client spa, Firefox/Linux',
    'State    REVOKED by reuse (stale), 24h ago, 2026-11-23 09:14:07 UTC',
    '   GEN  WHEN (UTC)      AFTER  FROM             WHAT',
    '     0  11-20 08:00:55         192.0.2.77       login',
    '        16 rotations           192.0.2.77       (--all shows each)',
    '    17  11-20 08:17:55     1m  192.0.2.77       rotation',
    '    18  11-23 09:09:40     3d  203.0.113.200    rotation, new address',
    '    19  11-23 09:13:58     4m  203.0.113.200    rotation',
    '!   17  11-23 09:14:07     9s  192.0.2.77       REUSE: 18 had been issued; ended',
    'Two holders. next: auth-server families list --subject carol',
  ]);
  expect(text(storyLines(row, story, NOW, { ...FOLDED, isWhole: true }))).toHaveLength(10 + 15);
});

test('beside a list the newest comes first, and what ended it before all', () => {
  expect(text(storyBeside({ ...row, device: '\u001b[2J' }, story, NOW, 7))).toEqual([
    'carol 019938c1-5d02-7c11-9e0a-6f21aa0b19e5',
    'REVOKED by reuse (stale), 24h ago, 2026-11-23 09:14:07 UTC',
    'client spa, \\u001b[2J',
    '',
    '!  17  11-23 09:14:07  192.0.2.77       REUSE: ended',
    '   19  11-23 09:13:58  203.0.113.200',
    '   18  11-23 09:09:40  203.0.113.200    new address',
  ]);
});

test('a live session tells when its token ends, and a purged history is told as such', () => {
  const live: FamilyRow = { ...row, state: 'live', revoked_at: null, revoke_reason: null };
  const lines = text(storyLines(live, { family: live, note: null, timeline: [], detected: null }, NOW, FOLDED));
  expect(lines[1]).toBe('State    live, its token ends in 88d, 2027-02-21 09:13:58 UTC');
  expect(lines.at(-1)).toContain('purged');
  expect(familyInWords(live, NOW)).toBe('019938c1..0b19e5 of carol, Firefox/Linux, used 24h ago');
});

test('a list fits 80 columns: short ids, names, and the cause of an end; what has no room is named', () => {
  const { lines, dropped } = layoutTable([row], familyColumns(NOW), 80);
  expect(text(lines)).toEqual([
    'SESSION           SUBJECT  STATE  GEN  USED     FROM           DEVICE',
    '019938c1..0b19e5  carol    REUSE   19  24h ago  203.0.113.200  Firefox/Linux',
  ]);
  expect(dropped).toEqual(['CLIENT', 'ENDS']);
  expect(renderLine(lines[1] ?? '', true)).toContain('\u001b[1;31mREUSE\u001b[0m');
});

test('foreign text cannot steer the terminal, whatever shows it', () => {
  const evil: FamilyRow = {
    ...row,
    device: 'x\u001b[2J\nEVIL\u202e',
    name: 'al\u001b]0;x\u0007ice',
  };
  const shown = [
    ...text(storyLines(evil, { ...story, note: '\u009b31m' }, NOW, FOLDED)),
    ...text(layoutTable([evil], familyColumns(NOW), 200).lines),
    ...text([eventLine({ ...reuse, name: evil.name }, NOW)]),
  ].join('');
  expect(shown).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
  expect(shown).toContain('\\u001b[2J\\u000aEVIL\\u202e');
});

test('an event is one line: when, what, whose, which session, and how', () => {
  expect(text([eventLine({ ...reuse, name: 'carol' }, NOW)])).toEqual([
    '11-23 09:14:07  token.reuse_detected  carol  019938c1..0b19e5  stale, other address, 192.0.2.77',
  ]);
  const columns = eventColumns(NOW);
  expect(columns.map(({ value }) => value({ ...reuse, name: undefined }))).toEqual([
    reuse.timestamp,
    reuse.type,
    row.subject,
    row.sid,
    JSON.stringify(reuse.data),
    reuse.id,
  ]);
});

test.each([
  [null, null, ''],
  ['Alice’s phone', FIREFOX, 'Alice’s phone'],
  [null, FIREFOX, 'Firefox/Linux'],
  [null, 'Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0', 'Edge/Windows'],
  [null, 'Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36', 'Chrome/Android'],
  [
    null,
    'Mozilla/5.0 (iPhone; CPU iPhone OS 19_0) AppleWebKit/605 Version/19.0 Mobile/15E148 Safari/604.1',
    'Safari/iPhone',
  ],
  [null, 'curl/8.5.0', 'curl'],
  [null, '/', '/'],
])('the device of %j and %j is %j', (device, agent, expected) => {
  expect(deviceText(device, agent)).toBe(expected);
});

test('the banner says what to do first, and no more once there is a user (tick 3)', () => {
  const facts = {
    url: 'http://127.0.0.1:8080',
    issuer: 'http://127.0.0.1:8080',
    metrics: null,
    database: 'sqlite:auth.db',
    masterKey: { kind: 'file', path: 'auth-server.key' } as const,
    isDatabaseNew: true,
    isMasterKeyNew: true,
    program: './auth-server',
  };
  const said = (look: { schema: number; hasUsers: boolean; hasClients: boolean }): string =>
    bannerLines({ ...facts, look })
      .map((line) => renderLine(line, false))
      .join('\n');
  expect(said({ schema: 2, hasUsers: false, hasClients: false })).toContain('./auth-server users add alice');
  expect(said({ schema: 2, hasUsers: true, hasClients: false })).not.toContain('users add');
});

test('progress is for who watches: a line that is rewritten, and gone at the end (tick 27)', () => {
  const written: string[] = [];
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => written.push(String(text)) > 0);
  vi.stubEnv('TERM', 'xterm');
  const { isTTY } = process.stderr;
  onTestFinished(() => {
    process.stderr.isTTY = isTTY;
  });
  for (const isWatched of [false, true]) {
    process.stderr.isTTY = isWatched;
    const progress = startProgress();
    progress.show('52 %');
    progress.clear();
  }
  expect(written).toEqual(['\r\u001b[K52 %', '\r\u001b[K']);
});

test('a finding is one line where it fits; else its words go on below, and what to do begins a line', () => {
  const findings: readonly Finding[] = [
    { name: 'clock', status: 'fail', message: '312s behind the user service', remedy: 'timedatectl set-ntp true' },
    {
      name: 'stored issuer',
      status: 'warn',
      message: 'every token was issued as http://127.0.0.1:28411; as http://127.0.0.1:8080 every session ends',
      remedy: 'set issuer to http://127.0.0.1:28411',
    },
  ];
  expect(text(findingLines(findings, 80))).toEqual([
    'FAIL  clock          312s behind the user service -> timedatectl set-ntp true',
    'warn  stored issuer  every token was issued as http://127.0.0.1:28411; as',
    '                     http://127.0.0.1:8080 every session ends',
    '                     -> set issuer to http://127.0.0.1:28411',
    '0 ok, 1 warning, 1 failure',
  ]);
  // In a pipe each is a line, however long.
  expect(text(findingLines(findings, Number.POSITIVE_INFINITY))).toHaveLength(findings.length + 1);
});
