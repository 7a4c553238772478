/**
 * Every command that destroys (security I45, G3, G4, G11): without a terminal and without --yes it does nothing and ends with
 * 4, a dry run says exactly what the real run then does and wins over --yes, and two at once leave the result of one.
 */
import { renameSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { allNodes, commandTree } from '../../cli/command-tree.ts';
import { makeProgram } from '../../cli/program.ts';
import type { ClientId } from '../../src/domain/ids.ts';
import { Secret } from '../../src/domain/secret.ts';
import { epochMs, HOUR } from '../../src/domain/time.ts';
import { addClient } from '../../src/operations/clients.ts';
import { addUser } from '../../src/operations/users.ts';
import { type CliDatabase, makeCliDatabase } from '../support/cli-database.ts';
import { type DatabaseKind, describeOnBothDatabases } from '../support/databases.ts';
import { storeFamilies } from '../support/test-app.ts';

interface Ground {
  readonly cli: CliDatabase;
  /** One of the six sessions. */
  readonly sid: string;
}

interface Destructive {
  readonly args: (ground: Ground) => readonly string[];
  /** Sessions that it ends. */
  readonly count: number;
  readonly before?: (ground: Ground) => Promise<unknown> | undefined;
  /** The other database is covered by a way of the same command that asks the same tables, or has no such command. */
  readonly onlyOn?: DatabaseKind;
  /** Each of two that came one after the other did it whole. */
  readonly isRepeatable?: true;
}

const loseMasterKey = async ({ cli }: Ground): Promise<void> =>
  renameSync(path.join(cli.folder, 'auth-server.key'), path.join(cli.folder, 'lost.key'));

/** By the words of the command; several ways of one command are told apart by a comma. */
const COMMANDS: Readonly<Record<string, Destructive>> = {
  'revoke, one session': { args: ({ sid }) => ['revoke', sid], count: 1, onlyOn: 'postgres' },
  'revoke, of a user': { args: () => ['revoke', '--subject', 'alice'], count: 2, onlyOn: 'sqlite' },
  'revoke, of a client': { args: () => ['revoke', '--client', 'spa'], count: 2, onlyOn: 'postgres' },
  'revoke, of an address': { args: () => ['revoke', '--ip', '2001:db8::1'], count: 1, onlyOn: 'sqlite' },
  'revoke, all that are older': {
    args: () => ['revoke', '--all', '--issued-before', '2h'],
    count: 1,
    onlyOn: 'sqlite',
  },
  'revoke, all': { args: () => ['revoke', '--all'], count: 6 },
  'users disable': { args: () => ['users', 'disable', 'alice'], count: 2, onlyOn: 'postgres' },
  'users remove': { args: () => ['users', 'remove', 'alice'], count: 2, onlyOn: 'sqlite' },
  'clients remove': { args: () => ['clients', 'remove', 'spa'], count: 2 },
  'keys rotate': { args: () => ['keys', 'rotate'], count: 0 },
  'keys rotate, an access key that is compromised': { args: () => ['keys', 'rotate', '--compromised'], count: 0 },
  'keys rotate, a refresh key that is compromised': {
    args: () => ['keys', 'rotate', '--ring', 'refresh', '--compromised'],
    count: 6,
  },
  'keys reset': { args: () => ['keys', 'reset', '--lost-master-key'], before: loseMasterKey, count: 6 },
  'restore, in place': { args: () => ['restore', '--in-place'], count: 6 },
  'restore, of a copy': {
    args: () => ['restore', 'copy.db'],
    before: ({ cli }) => cli.json(['backup', 'copy.db']),
    count: 6,
    onlyOn: 'sqlite',
    isRepeatable: true,
  },
};

test('every command that takes --yes and --dry-run is among them (I45)', async () => {
  const nodes = allNodes(await commandTree(makeProgram()));
  const takes = (flag: string) =>
    nodes.filter(({ flags }) => flags.some(({ names }) => names.includes(flag))).map((node) => node.path.join(' '));
  const tried = new Set(Object.keys(COMMANDS).map((name) => name.split(',')[0]));
  // `init --yes` takes the defaults of its questions; it destroys nothing. To hand a new password over is consent enough.
  const others = ['init', 'users passwd'];
  expect([...tried].toSorted()).toEqual(
    takes('--yes')
      .filter((name) => !others.includes(name))
      .toSorted(),
  );
  expect(takes('--dry-run')).toEqual(expect.arrayContaining([...tried]));
});

const live = (families: readonly { readonly revoked_at: unknown }[]): number =>
  families.filter((family) => family.revoked_at === null).length;

describeOnBothDatabases('a destructive command', (_makeDatabase, kind) => {
  async function prepare(): Promise<Ground> {
    const cli = await makeCliDatabase({}, kind);
    const sid = await cli.inside(async (app, clock) => {
      const { subject } = await addUser(app, { name: 'alice', password: new Secret('correct horse') });
      await addClient(app, { id: 'spa', type: 'app', isPublic: true, audiences: [], policy: {} });
      const client = 'spa' as ClientId;
      const earlier = epochMs(clock.now() - 3 * HOUR);
      const [first = ''] = await storeFamilies(app, [
        { subject },
        { subject },
        { client },
        { client },
        { ip: '2001:db8::1' },
        { createdAt: earlier },
      ]);
      return first;
    });
    return { cli, sid };
  }

  const here = Object.entries(COMMANDS).filter(([, { onlyOn }]) => onlyOn === undefined || onlyOn === kind);

  test.each(here)(
    '%s: refused, tried, then done twice at once (G3, G4, G11)',
    async (_name, { args, count, before, isRepeatable }) => {
      const ground = await prepare();
      const { cli } = ground;
      await before?.(ground);
      const command = args(ground);
      const untouched = await cli.contents();

      const refused = await cli.run(command);
      expect(refused, refused.stderr).toMatchObject({ code: 4, stdout: '' });
      expect(refused.stderr).toMatch(
        /^error: Not confirmed, because there is no terminal[^\n]*\ntry: {3}add --yes, or --dry-run/m,
      );
      // A machine gets the error and nothing before it.
      const inJson = await cli.run([...command, '--json']);
      expect(inJson).toMatchObject({ code: 4, stdout: '' });
      expect(JSON.parse(inJson.stderr)).toEqual({ error: 'not_confirmed', error_description: expect.any(String) });
      const forecast = await cli.json<{ would_revoke?: number }>([...command, '--yes', '--dry-run']);
      // A copy is looked at without a clock; what it would end it says in words.
      if (command[1] !== 'copy.db') expect(forecast.would_revoke).toBe(count);
      expect(await cli.contents()).toBe(untouched);

      const runs = await Promise.all([1, 2].map(() => cli.run([...command, '--yes', '--json'])));
      const done = runs.filter(({ code }) => code === 0).map(({ stdout }) => JSON.parse(stdout) as { revoked: number });
      expect(done.length, runs.map(({ stderr }) => stderr).join('')).toBeGreaterThan(0);
      expect(done.reduce((sum, { revoked }) => sum + revoked, 0)).toBe(
        isRepeatable === true ? done.length * count : count,
      );
      // Whoever came second found it done, or was refused in words: never a crash.
      for (const { code, stderr } of runs) {
        expect([0, 1, 3], stderr).toContain(code);
        if (code !== 0) expect(stderr).toMatch(/^\{"error":"[a-z_]+","error_description":"/);
      }
      const after = await cli.inside((app) =>
        app.store.read(async (db) => ({
          families: await db.sql.selectFrom('token_families').select('revoked_at').execute(),
          ends: await db.sql.selectFrom('events').select('type').where('type', '=', 'family.revoked').execute(),
          active: await db.sql.selectFrom('signing_keys').select('ring').where('state', '=', 'active').execute(),
        })),
      );
      expect(live(after.families)).toBe(6 - count);
      expect(after.ends).toHaveLength(count);
      expect(after.active.map(({ ring }) => ring).toSorted()).toEqual(['access', 'refresh']);
    },
  );
});
