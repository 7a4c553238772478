/** N14: a server that answers can be told to stop, before it has told that it listens too. */
import { once } from 'node:events';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { runCli, startCli, workFolder } from '../support/cli.ts';
import { makeDatabase } from '../support/databases.ts';
import { freePort } from '../support/free-port.ts';

const PATIENCE_MS = 60_000;

/** Until there is an answer, however long a start takes here. */
async function answered(url: string): Promise<void> {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  for (;;) {
    try {
      await (await fetch(url, { signal })).arrayBuffer();
      return;
    } catch {
      signal.throwIfAborted();
    }
  }
}

test('N14: SIGTERM between the first answer and the line that tells of it is a stop like any other', async () => {
  const url = await makeDatabase('postgres');
  const options = { cwd: workFolder(), env: { AUTH_SERVER_DATABASE_URL: url } };
  expect((await runCli(['migrate', 'up'], options)).code).toBe(0);
  // The line wants to say whether there are users: whoever holds their table keeps it waiting.
  const holder = new pg.Client({ connectionString: url });
  await holder.connect();
  onTestFinished(() => holder.end());
  await holder.query('begin');
  await holder.query('lock table users in access exclusive mode');

  const port = await freePort();
  const { child, stderr } = startCli(['serve', '--port', String(port)], options);
  const ended = once(child, 'exit');
  await answered(`http://127.0.0.1:${port}/healthz`);
  expect(stderr()).not.toContain('"listening"');
  child.kill('SIGTERM');
  await holder.query('rollback');
  const [code, signal] = await ended;
  expect({ code, signal, said: code === 0 ? '' : stderr() }).toEqual({ code: 0, signal: null, said: '' });
});
