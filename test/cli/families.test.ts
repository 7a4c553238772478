/** `auth-server families` and `auth-server revoke` as processes (contract §7 and §12; security G2 to G4). */
import { expect, test } from 'vitest';
import type { FamilyId } from '../../src/domain/ids.ts';
import { epochMs, HOUR } from '../../src/domain/time.ts';
import { makeCliDatabase } from '../support/cli-database.ts';
import { familyOf, storeFamilies } from '../support/test-app.ts';

const short = (id: FamilyId): string => `${id.slice(0, 8)}..${id.slice(-6)}`;

test('--json gives one page and a cursor, a pipe gets every row, whole and without a header', async () => {
  const cli = await makeCliDatabase();
  const ids = await cli.inside((app) =>
    storeFamilies(
      app,
      Array.from({ length: 501 }, () => ({})),
    ),
  );
  const newest = ids.toSorted().reverse();
  const page = await cli.json<{ families: { sid: string }[]; next_cursor: string }>(['families', 'list']);
  expect(page.families.map(({ sid }) => sid)).toEqual(newest.slice(0, 50));
  const next = await cli.json<typeof page>(['families', 'list', '--limit', '2', '--cursor', page.next_cursor]);
  expect(next.families.map(({ sid }) => sid)).toEqual(newest.slice(50, 52));
  const { stdout, stderr } = await cli.run(['sessions', 'list']);
  expect(stderr).toBe('');
  expect(
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t')[0]),
  ).toEqual(newest);
  const limited = await cli.run(['families', 'list', '--limit', '3']);
  expect(limited.stdout.trimEnd().split('\n')).toHaveLength(3);
});

test('a session is shown by its short id, with its timeline, and without anything that could steer a terminal', async () => {
  const cli = await makeCliDatabase();
  const [id] = await cli.inside((app) => storeFamilies(app, [{ userAgent: '\u001b[2Jevil\u202e' }]));
  if (id === undefined) throw new Error('no family');
  expect(await cli.json(['families', 'show', short(id)])).toMatchObject({
    sid: id,
    state: 'live',
    generation: 0,
    timeline: [{ generation: 0, ip: '192.0.2.10', user_agent: '\u001b[2Jevil\u202e' }],
  });
  for (const args of [['show', id], ['list'], ['show', id, '--json']]) {
    const { code, stdout } = await cli.run(['families', ...args]);
    expect(code).toBe(0);
    expect(stdout, args.join(' ')).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/);
  }
});

test('G2: nothing found is exit 0 and a hint; what is no id is exit 2; an unknown one is exit 3', async () => {
  const cli = await makeCliDatabase();
  expect(await cli.run(['families', 'list'])).toMatchObject({
    code: 0,
    stdout: '',
    stderr: expect.stringContaining('no sessions yet'),
  });
  const cases: readonly (readonly [number, readonly string[]])[] = [
    [2, ['families', 'show', 'alice']],
    [3, ['families', 'show', '01993b2e..c4d1f7']],
    [2, ['families', 'list', '--state', 'livee']],
    [2, ['families', 'list', '--limit', '501']],
    [2, ['families', 'list', '--limit', '0']],
    [2, ['families', 'list', '--cursor', 'x']],
    [2, ['families', 'list', '--ip', 'localhost']],
    [2, ['families', 'list', '--since', 'yesterday']],
    [2, ['revoke']],
    [2, ['revoke', '--all', '--subject', 'x']],
    [2, ['revoke', 'alice']],
    [3, ['revoke', '01993b2e..c4d1f7', '--yes']],
    [2, ['revoke', '--all', '--yes', '--reason', 'x'.repeat(257)]],
  ];
  await Promise.all(
    cases.map(async ([code, args]) => {
      expect(await cli.run(args), args.join(' ')).toMatchObject({ code, stdout: '' });
    }),
  );
}, 60_000);

test('G3, G4: revoking asks; a dry run counts exactly what then ends; an ended session is nothing to end', async () => {
  const cli = await makeCliDatabase();
  const ids = await cli.inside((app, clock) =>
    storeFamilies(app, [
      { createdAt: epochMs(clock.now() - 3 * HOUR) },
      { createdAt: epochMs(clock.now() - HOUR), ip: '2001:db8::1' },
      { subject: 'user|42' },
    ]),
  );
  const before = cli.hash();
  expect(await cli.run(['revoke', '--all'])).toMatchObject({ code: 4, stdout: '' });
  expect(await cli.json(['revoke', '--all', '--issued-before', '2h', '--dry-run', '--yes'])).toMatchObject({
    would_revoke: 1,
    sample: [{ sid: ids[0], state: 'live' }],
  });
  expect(cli.hash()).toBe(before);
  expect(await cli.json(['revoke', '--all', '--issued-before', '2h', '--yes'])).toEqual({ revoked: 1 });
  expect(await cli.json(['revoke', '--ip', '2001:DB8:0:0::1', '--yes'])).toEqual({ revoked: 1 });
  expect(await cli.json(['revoke', '--subject', 'user|42', '--yes', '--reason', 'drill'])).toEqual({ revoked: 1 });
  const last = ids[2] as FamilyId;
  await cli.inside(async (app) => {
    expect(await familyOf(app, last)).toMatchObject({ revoked: { cause: 'admin', note: 'drill' } });
  });
  const again = await cli.run(['revoke', short(last), '--yes']);
  expect(again).toMatchObject({ code: 0, stdout: 'Nothing to end: no live session fits.\n' });
  expect(again.stderr).toContain('ended before (admin)');
}, 60_000);
