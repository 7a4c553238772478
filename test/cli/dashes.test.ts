/** Names and ids that begin with a dash: of keys one in 64 does. */
import { expect, test } from 'vitest';
import { allNodes, commandTree } from '../../cli/command-tree.ts';
import { keyIdsLast, looksLikeKeyId } from '../../cli/key-ids.ts';
import { makeProgram } from '../../cli/program.ts';
import type { KeyId } from '../../src/domain/ids.ts';
import { makeCliDatabase } from '../support/cli-database.ts';

test('no option looks like the id of a key', async () => {
  const nodes = allNodes(await commandTree(makeProgram()));
  const flags = nodes.flatMap((node) => node.flags.flatMap(({ names }) => names));
  expect(flags).toContain('--dry-run');
  expect(flags.filter(looksLikeKeyId)).toEqual([]);
});

test('only ids of keys are moved, and only for the command that takes them', () => {
  const id = `-${'k'.repeat(42)}`;
  expect(keyIdsLast(['keys', 'rotate', '--compromised', id, '--yes'])).toEqual([
    'keys',
    'rotate',
    '--compromised',
    '--yes',
    '--',
    id,
  ]);
  for (const args of [
    ['revoke', '--subject', id],
    ['keys', 'rotate', '--', id],
    ['keys', 'rotate', '-x'],
  ]) {
    expect(keyIdsLast(args)).toEqual(args);
  }
});

test('a key whose id begins with a dash is declared compromised by its id and by its short form', async () => {
  const cli = await makeCliDatabase();
  const [whole, short] = [`-${'a'.repeat(42)}`, `-bbb${'c'.repeat(35)}dddd`];
  await cli.inside(async ({ store }) => {
    for (const kid of [whole, short] as KeyId[]) {
      await store.write(async (tx) => {
        await tx.connection.execute(
          `insert into signing_keys (kid, ring, alg, state, public_jwk, sealed_key, created_at, activated_at, retires_at)
           select ?, ring, alg, 'verify_only', public_jwk, null, created_at, created_at, 9000000000000
           from signing_keys where ring = 'access' and state = 'active'`,
          [kid],
        );
      });
    }
  });
  for (const text of [whole, '-bbb..dddd']) {
    const { code, stderr } = await cli.run(['keys', 'rotate', '--compromised', text, '--yes']);
    expect({ text, code, stderr: code === 0 ? '' : stderr }).toEqual({ text, code: 0, stderr: '' });
  }
  const { keys } = await cli.json<{ keys: { kid: string; state: string }[] }>(['keys', 'list']);
  for (const kid of [whole, short]) expect(keys).toContainEqual(expect.objectContaining({ kid, state: 'compromised' }));
});

test('for a name or a client that begins with a dash, the error says how to give it', async () => {
  const cli = await makeCliDatabase();
  const { code, stderr } = await cli.run(['users', 'show', '-bob']);
  expect(code).toBe(2);
  expect(stderr).toContain('try:   if it is a name or an id: auth-server users show -- -bob');
  expect(await cli.run(['users', 'add', '--password-stdin', '--', '-bob'], 'correct horse\n')).toMatchObject({
    code: 0,
  });
  expect(await cli.run(['users', 'show', '--', '-bob'])).toMatchObject({ code: 0 });
});
