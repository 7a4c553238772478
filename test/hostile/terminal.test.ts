/**
 * What a terminal must survive (security I46, Z1 to Z4): text from outside is shown and never obeyed, in the log of a server
 * and in what commands print, on both databases. Z5 has no place here: nothing writes CSV or HTML.
 */
import { expect, test } from 'vitest';
import { epochMs } from '../../src/domain/time.ts';
import { makeLog } from '../../src/log.ts';
import { makeCliDatabase } from '../support/cli-database.ts';
import { describeOnBothDatabases, makeDatabase } from '../support/databases.ts';
import { storeFamilies } from '../support/test-app.ts';
import { startTestServer } from '../support/test-server.ts';
import { exchange, rawRequest } from './raw.ts';

const HOSTILE: readonly (readonly [row: string, text: string])[] = [
  ['Z1', '\u001b[2J'],
  ['Z1', '\u001b]0;title\u0007'],
  ['Z1', '\u001b]8;;http://evil.example\u001b\\link\u001b]8;;\u001b\\'],
  ['Z1', '\u001b[31mred'],
  ['Z1', '\u009b2J'],
  ['Z2', 'x\r\n{"level":"info","message":"forged"}'],
  ['Z3', '\u202egpj.exe'],
  ['Z3', 'a\u200b\u2066b'],
  ['Z3', `e${'\u0301'.repeat(500)}`],
  ['Z3', '👩‍👩‍👧'.repeat(40)],
  ['Z4', 'x'.repeat(10_240)],
];

/** All but the line feed that ends a line. */
const STEERS = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b\u202a-\u202e\u2066-\u2069]/;

test.each(['json', 'pretty'] as const)('Z1 Z2 Z3 Z4: a value of the log is shown, on one line (%s)', (format) => {
  for (const [row, text] of HOSTILE) {
    let written = '';
    const log = makeLog({
      level: 'trace',
      format,
      now: () => epochMs(0),
      write: (line) => {
        written += line;
      },
    });
    log.warn(`message ${text}`, { value: text });
    expect(written, row).not.toMatch(STEERS);
    expect(written.trimEnd(), row).not.toContain('\n');
    if (format === 'json') expect(Object.keys(JSON.parse(written))).toEqual(['time', 'level', 'message', 'value']);
  }
});

test('Z1 Z2: what a caller sends leaves lines of JSON in the log, and nothing that steers', async () => {
  const server = await startTestServer({ url: await makeDatabase('sqlite') });
  const lines = ['User-Agent: \u009b2J\u0085evil', 'X-Request-Id: \u009b31m', 'Connection: close'];
  for (const path of ['/\u009b31m', '/login?\u009b2J', '/a%0d%0aforged', '/\u00e2\u0080\u00ae']) {
    const { answers } = await exchange(server.port, rawRequest({ path, lines }));
    expect([400, 404, 405]).toContain(answers[0]?.status);
  }
  await server.tryLogin({ username: 'alice\u00adx', headers: { 'user-agent': '\u009b2Jevil' } });
  const log = server.log();
  expect(log).not.toMatch(STEERS);
  const written = log.split('\n').filter((line) => line !== '');
  expect(written).not.toEqual([]);
  for (const line of written) expect(JSON.parse(line)).toMatchObject({ level: expect.any(String) });
});

describeOnBothDatabases('what is stored', (_makeDatabase, kind) => {
  test('Z1 Z2 Z3 Z4: whatever a session says of itself, commands print text, a line for each', async () => {
    const cli = await makeCliDatabase({}, kind);
    const ids = await cli.inside((app) =>
      storeFamilies(
        app,
        HOSTILE.map(([, userAgent]) => ({ userAgent })),
      ),
    );
    const shown = await Promise.all(ids.slice(0, 2).map((id) => cli.run(['families', 'show', id])));
    const list = await cli.run(['families', 'list']);
    const json = await cli.run(['families', 'list', '--json']);
    const dry = await cli.run(['revoke', '--all', '--dry-run']);
    for (const { code, stdout, stderr } of [...shown, list, json, dry]) {
      expect(code, stderr).toBe(0);
      // A pipe gets its values between tabs.
      expect((stdout + stderr).replaceAll('\t', '')).not.toMatch(STEERS);
    }
    expect(list.stdout.trimEnd().split('\n')).toHaveLength(HOSTILE.length);
    const { families } = JSON.parse(json.stdout) as { families: { user_agent: string }[] };
    // Escaped in the text, and the same to whoever parses it.
    expect(families.map((family) => family.user_agent).toSorted()).toEqual(HOSTILE.map(([, text]) => text).toSorted());
  });
});
