/** `migrate`: its `--json` shape, and many processes at once. Contract §7 and §12. */
import { statSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { runCli, workFolder } from '../support/cli.ts';
import { makeDatabase } from '../support/databases.ts';

test.for(['sqlite', 'postgres'] as const)(
  'on %s it brings an empty database up to date, and says what is pending',
  async (kind) => {
    const cwd = workFolder();
    const env = kind === 'sqlite' ? {} : { AUTH_SERVER_DATABASE_URL: await makeDatabase('postgres') };
    if (kind === 'postgres') {
      const before = await runCli(['migrate', 'status', '--json'], { cwd, env });
      const { current, latest, pending } = JSON.parse(before.stdout);
      expect({ current, code: before.code }).toEqual({ current: 0, code: 0 });
      expect(pending).toHaveLength(latest);
      const serve = await runCli(['serve', '--port', '0'], { cwd, env });
      expect(serve.code).toBe(5);
      expect(serve.stderr).toContain('try:   auth-server migrate up');
    }
    const runs = await Promise.all([1, 2, 3].map(() => runCli(['migrate', 'up', '--json'], { cwd, env })));
    expect(runs.map(({ code, stderr }) => ({ code, stderr }))).toEqual(Array(3).fill({ code: 0, stderr: '' }));
    const applied = runs.flatMap(({ stdout }) => JSON.parse(stdout).applied);
    expect(new Set(applied).size).toBe(applied.length);

    const after = await runCli(['migrate', 'status', '--json'], { cwd, env });
    expect(JSON.parse(after.stdout)).toEqual({ current: applied.length, latest: applied.length, pending: [] });
    if (kind === 'sqlite') expect(statSync(path.join(cwd, 'auth.db')).mode & 0o777).toBe(0o600);
  },
);

test('without a word it is migrate up', async () => {
  const cwd = workFolder();
  const { code, stdout } = await runCli(['migrate'], { cwd });
  expect(code).toBe(0);
  expect(stdout).toMatch(/^schema \d+: applied 0001-initial/);
});
