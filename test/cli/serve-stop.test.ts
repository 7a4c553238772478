/** N14: a server that answers can be told to stop, at once too. */
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { startCli, workFolder } from '../support/cli.ts';
import { freePort } from '../support/free-port.ts';

test('N14: SIGTERM with the first answer is a stop like any other: exit 0, not an abrupt end', async () => {
  const port = await freePort();
  const { child, stderr } = startCli(['serve', '--port', String(port)], { cwd: workFolder() });
  const ended = once(child, 'exit');
  const answers = async (): Promise<boolean> => {
    try {
      const response = await fetch(`http://127.0.0.1:${port}/healthz`);
      return response.ok;
    } catch {
      return false;
    }
  };
  // Without a pause: the moment between the first answer and the line that tells of it is short.
  while (child.exitCode === null && !(await answers()));
  child.kill('SIGTERM');
  const [code, signal] = await ended;
  expect({ code, signal, said: code === 0 ? '' : stderr() }).toEqual({ code: 0, signal: null, said: '' });
});
