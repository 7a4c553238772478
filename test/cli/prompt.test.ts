/** Asking for secrets and consent: what is typed is hidden, what is piped is read strictly, and nobody is guessed for. */
import { PassThrough } from 'node:stream';
import type { ReadStream } from 'node:tty';
import { beforeEach, expect, test, vi } from 'vitest';
import { typeHidden } from '../../cli/hidden-input.ts';
import { takesColour } from '../../cli/paint.ts';
import { confirm, readSecret } from '../../cli/prompt.ts';
import { startCli, workFolder } from '../support/cli.ts';
import { until } from '../support/until.ts';

let shown = '';
beforeEach(() => {
  shown = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    shown += String(text);
    return true;
  });
});

/** A terminal whose keys are these chunks; `raw` tells its mode at the end. */
function terminal(...chunks: readonly (string | Uint8Array)[]) {
  const modes: boolean[] = [];
  const input = Object.assign(new PassThrough(), { setRawMode: (mode: boolean) => modes.push(mode) });
  for (const chunk of chunks) input.write(chunk);
  return { input: input as unknown as ReadStream, modes };
}

const noSignals = (): (() => void) => () => undefined;

async function typed(...chunks: readonly (string | Uint8Array)[]): Promise<string | undefined> {
  const { input, modes } = terminal(...chunks);
  const bytes = await typeHidden(input, noSignals);
  expect(modes).toEqual([true, false]);
  return bytes === undefined ? undefined : Buffer.from(bytes).toString();
}

test.for<[string, readonly (string | Uint8Array)[], string | undefined]>([
  ['a line', ['8letters\r'], '8letters'],
  ['a line in pieces', ['8let', 'ters', '\r'], '8letters'],
  ['backspace takes a character, not a byte', ['pä\u007f\u007fß1\r'], 'ß1'],
  ['backspace on an empty line', ['\u007f\u007fa\r'], 'a'],
  ['a character cut in two', [Buffer.from('ä').subarray(0, 1), Buffer.from('ä').subarray(1), '\r'], 'ä'],
  ['Ctrl-U begins anew', ['wrong\u0015right\r'], 'right'],
  ['an arrow key is no letter', ['a', '\u001b[A', 'b\r'], 'ab'],
  ['Ctrl-C gives up', ['8let\u0003'], undefined],
  ['Ctrl-D on an empty line gives up', ['\u0004'], undefined],
])('%s', async ([, chunks, text]) => {
  expect(await typed(...chunks)).toBe(text);
  expect(shown.replace(/\*|\u0008 \u0008/g, '')).toBe('');
});

test('what is typed ahead belongs to the next question', async () => {
  const { input } = terminal('first\rsecond\r');
  const first = await typeHidden(input, noSignals);
  const second = await typeHidden(input, noSignals);
  expect([first, second].map((bytes) => Buffer.from(bytes ?? []).toString())).toEqual(['first', 'second']);
});

test('a signal gives up too, and the terminal gets its mode back', async () => {
  const { input, modes } = terminal('8let');
  let interrupt: () => void = () => undefined;
  const reading = typeHidden(input, (handle) => {
    interrupt = handle;
    return () => undefined;
  });
  interrupt();
  expect(await reading).toBeUndefined();
  expect(modes).toEqual([true, false]);
});

test('without a terminal a question is refused, unless it was answered before', async () => {
  await expect(confirm({ question: 'End it?', count: 1, yes: undefined })).rejects.toMatchObject({
    code: 'not_confirmed',
  });
  await expect(confirm({ question: 'End it?', count: 1, yes: true })).resolves.toBeUndefined();
  const secret = { label: 'Password', isNew: true, flag: '--password-stdin' };
  await expect(readSecret(secret)).rejects.toMatchObject({
    code: 'invalid_request',
    remedy: expect.stringContaining('--password-stdin'),
  });
});

test('colour is for a terminal that can show it, and wants it', () => {
  const tty = { isTTY: true };
  vi.stubEnv('NO_COLOR', '');
  vi.stubEnv('TERM', 'xterm');
  expect(takesColour(tty, true)).toBe(true);
  expect(takesColour({ isTTY: false }, true)).toBe(false);
  expect(takesColour(tty, false)).toBe(false);
  vi.stubEnv('NO_COLOR', '1');
  expect(takesColour(tty, true)).toBe(false);
  vi.stubEnv('NO_COLOR', '');
  vi.stubEnv('TERM', 'dumb');
  expect(takesColour(tty, true)).toBe(false);
});

test('Ctrl-C ends an ordinary command at once, with exit 130', async () => {
  const env = { AUTH_SERVER_DATABASE_URL: 'postgres://127.0.0.1:1/nobody' };
  const { child, stderr } = startCli(['migrate', 'status'], { cwd: workFolder(), env });
  await until(
    () => stderr().includes('waiting for the database'),
    'the command waits for a database that may be starting',
  );
  expect(child.exitCode).toBeNull();
  child.kill('SIGINT');
  await until(() => child.exitCode !== null, 'the command ends');
  expect(child.exitCode).toBe(130);
  expect(stderr()).toContain('interrupted');
});
