/** `auth-server events` as a process (contract §7, §9 and §12). */
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { revoke } from '../../src/operations/revoke.ts';
import { startCli } from '../support/cli.ts';
import { makeCliDatabase } from '../support/cli-database.ts';
import { storeFamilies } from '../support/test-app.ts';
import { until } from '../support/until.ts';

interface Events {
  readonly events: readonly { readonly id: string; readonly type: string; readonly data: unknown }[];
  readonly next_cursor: string | null;
}

const types = ({ events }: Events): string[] => events.map(({ type }) => type);

test('events come oldest first, a page at a time, by type, and after a cursor or an event', async () => {
  const cli = await makeCliDatabase();
  await cli.inside(async (app) => {
    await storeFamilies(app, [{}, {}]);
    await revoke(app, { which: { all: true }, reason: 'drill' });
  });
  const list = (...args: readonly string[]): Promise<Events> => cli.json<Events>(['events', 'list', ...args]);
  const all = await list();
  expect(types(all)).toEqual(['key.rotated', 'key.rotated', 'family.revoked', 'family.revoked', 'families.revoked']);
  expect(all.next_cursor).toBeNull();
  const first = await list('--limit', '2');
  expect(types(await list('--after', String(first.next_cursor)))).toEqual(types(all).slice(2));
  expect(types(await list('--after', all.events[3]?.id ?? ''))).toEqual(['families.revoked']);
  expect(types(await list('--type', 'family.revoked'))).toEqual(['family.revoked', 'family.revoked']);
  const { stdout } = await cli.run(['events', 'list']);
  expect(
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t')[1]),
  ).toEqual(types(all));
  expect(await cli.run(['events', 'list', '--after', '-1'])).toMatchObject({ code: 2, stdout: '' });
  expect(await cli.run(['events', 'list', '--type', 'token.reuse'])).toMatchObject({ code: 2, stdout: '' });
}, 60_000);

test('tail shows the last events, then each new one, until Ctrl-C', async () => {
  const cli = await makeCliDatabase();
  const { child, stdout } = startCli(['events', 'tail', '--json'], { cwd: cli.folder });
  const lines = (): string[] => stdout().split('\n').slice(0, -1);
  for (let tries = 0; lines().length < 2 && tries < 4; tries += 1) {
    await until(() => lines().length >= 2, 'tail shows the first events').catch(() => undefined);
  }
  await cli.inside(async (app) => {
    await storeFamilies(app, [{}]);
    await revoke(app, { which: { all: true } });
  });
  await until(() => lines().length >= 4, 'tail shows the new events');
  expect(lines().map((line) => JSON.parse(line).type)).toEqual([
    'key.rotated',
    'key.rotated',
    'family.revoked',
    'families.revoked',
  ]);
  child.kill('SIGINT');
  await once(child, 'exit');
  expect(child.exitCode).toBe(130);
}, 60_000);
