/** `auth-server keys` as a process (contract §7 and §12). */
import { expect, test } from 'vitest';
import { makeCliDatabase } from '../support/cli-database.ts';
import { storeFamilies } from '../support/test-app.ts';

interface Keys {
  readonly keys: readonly { readonly kid: string; readonly ring: string; readonly state: string }[];
  readonly revoked?: number;
}

const pick = ({ keys }: Keys, ring: string, state: string) =>
  keys.filter((key) => key.ring === ring && key.state === state);

test('keys are listed with the members of contract §12', async () => {
  const cli = await makeCliDatabase();
  const { keys } = await cli.json<Keys>(['keys', 'list']);
  expect(keys.map(({ ring, state }) => [ring, state])).toEqual([
    ['access', 'next'],
    ['access', 'active'],
    ['refresh', 'next'],
    ['refresh', 'active'],
  ]);
  expect(Object.keys(keys[0] ?? {})).toEqual([
    'kid',
    'ring',
    'alg',
    'state',
    'created_at',
    'activated_at',
    'retires_at',
  ]);
});

test('a rotation before the next key is ripe asks first; then the ring moves on and no session ends', async () => {
  const cli = await makeCliDatabase();
  await cli.inside((app) => storeFamilies(app, [{}]));
  const before = cli.hash();
  const refused = await cli.run(['keys', 'rotate']);
  expect(refused).toMatchObject({ code: 4, stdout: '' });
  expect(refused.stderr).toContain('young');
  expect(await cli.json(['keys', 'rotate', '--dry-run', '--yes'])).toMatchObject({ would_revoke: 0 });
  expect(cli.hash()).toBe(before);

  const old = await cli.json<Keys>(['keys', 'list']);
  const after = await cli.json<Keys>(['keys', 'rotate', '--yes']);
  expect(after.revoked).toBe(0);
  expect(pick(after, 'access', 'active')).toMatchObject([{ kid: pick(old, 'access', 'next')[0]?.kid }]);
  expect(pick(after, 'access', 'retiring')).toMatchObject([{ kid: pick(old, 'access', 'active')[0]?.kid }]);
  expect(pick(after, 'refresh', 'active')).toEqual(pick(old, 'refresh', 'active'));
  // Refresh keys are published to nobody, so there is nothing to wait for.
  expect(await cli.run(['keys', 'rotate', '--ring', 'refresh'])).toMatchObject({ code: 0 });
});

test('a compromised refresh key asks, naming its cost, and ends every session that it signed', async () => {
  const cli = await makeCliDatabase();
  await cli.inside((app) => storeFamilies(app, [{}, {}, {}]));
  const before = cli.hash();
  const rotate = ['keys', 'rotate', '--ring', 'refresh', '--compromised'];
  const refused = await cli.run(rotate);
  expect(refused.code).toBe(4);
  expect(refused.stderr).toContain('3 sessions end');
  expect(await cli.json([...rotate, '--dry-run'])).toMatchObject({ would_revoke: 3 });
  expect(cli.hash()).toBe(before);
  const after = await cli.json<Keys>([...rotate, '--yes']);
  expect(after.revoked).toBe(3);
  expect(pick(after, 'refresh', 'compromised')).toHaveLength(1);
  expect(pick(after, 'refresh', 'active')).toHaveLength(1);
});

test('a key is named by its short form; what is none, and a ring that is not its own, is refused', async () => {
  const cli = await makeCliDatabase();
  const [next] = pick(await cli.json<Keys>(['keys', 'list']), 'access', 'next');
  const short = `${next?.kid.slice(0, 4)}..${next?.kid.slice(-4)}`;
  const cases: readonly (readonly [number, readonly string[]])[] = [
    [2, [short]],
    [2, ['--compromised', '--', 'x']],
    [3, ['--compromised', '--', 'AAAA..AAAA']],
    [2, ['--compromised', '--ring', 'refresh', '--', short]],
  ];
  for (const [code, args] of cases) {
    expect(await cli.run(['keys', 'rotate', ...args]), args.join(' ')).toMatchObject({ code, stdout: '' });
  }
  const { stdout } = await cli.run(['keys', 'rotate', '--json', '--compromised', '--yes', '--', short]);
  const after: Keys = JSON.parse(stdout);
  expect(pick(after, 'access', 'compromised')).toMatchObject([{ kid: next?.kid }]);
});
