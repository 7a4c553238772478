/**
 * Asking people: for a yes, a count, a text, a secret. Questions go to stderr, because stdout is for results; without a
 * terminal nothing is asked and nothing is assumed. A secret comes from a terminal, standard input or a file, never from an
 * argument.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { printable } from '../src/domain/printable.ts';
import { Secret } from '../src/domain/secret.ts';
import { Refusal } from '../src/refusal.ts';
import { typeHidden } from './hidden-input.ts';
import { onInterrupt } from './interrupt.ts';

/** Bytes of a password (contract §3), and of a file or a stream that holds one and a line break. */
const PASSWORD_LIMIT = 1_024;
const READ_LIMIT = PASSWORD_LIMIT + 2;

const interrupted = (): Refusal =>
  new Refusal('interrupted', 'Interrupted; nothing was changed.', { remedy: 'the same command again' });

/** Whether there is somebody to ask. */
export const canAsk = (): boolean => process.stdin.isTTY && process.stderr.isTTY;

/** Asks one line. @returns what was typed, without outer space @throws Refusal interrupted */
export async function ask(question: string): Promise<string> {
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await new Promise<string>((resolve, reject) => {
      const giveUp = (): void => {
        process.stderr.write('\n');
        reject(interrupted());
      };
      // Ctrl-C and Ctrl-D: whoever does not answer has not agreed.
      reader.once('SIGINT', giveUp);
      reader.once('close', () => reject(interrupted()));
      reader.question(printable(question)).then((answer) => resolve(answer.trim()), reject);
    });
  } finally {
    reader.close();
  }
}

export interface Confirmation {
  /** What will happen, as a question: `End 214 sessions?` */
  readonly question: string;
  /** How many things it will happen to; one is a `[y/N]`, for several the count is to be typed. */
  readonly count: number;
  readonly yes: boolean | undefined;
}

/** Enter alone never confirms. @throws Refusal not_confirmed, interrupted */
export async function confirm({ question, count, yes }: Confirmation): Promise<void> {
  if (yes === true) return;
  if (!canAsk()) {
    throw new Refusal('not_confirmed', `Not confirmed, because there is no terminal to ask on: ${question}`, {
      remedy: 'add --yes, or --dry-run to see what would happen',
    });
  }
  const agreed =
    count === 1
      ? /^y(es)?$/i.test(await ask(`${question} [y/N] `))
      : (await ask(`${question} Type ${count}: `)) === String(count);
  if (!agreed)
    throw new Refusal('not_confirmed', 'Not confirmed; nothing was changed.', { remedy: 'the same command again' });
}

/** Where a secret comes from, as the flags say; without either it is asked for. */
export interface SecretRequest {
  /** `Password` */
  readonly label: string;
  /** A new one is typed twice. */
  readonly isNew: boolean;
  readonly fromStdin?: boolean | undefined;
  readonly file?: string | undefined;
  /** The flag to name when there is no terminal. */
  readonly flag: string;
}

/** @throws Refusal invalid_request, interrupted */
export async function readSecret(request: SecretRequest): Promise<Secret> {
  const { label, isNew, fromStdin, file, flag } = request;
  if (fromStdin === true) return decode(label, readUpTo(0, READ_LIMIT));
  if (file !== undefined) return decode(label, readFile(label, file));
  if (!canAsk()) {
    throw new Refusal('invalid_request', `There is no terminal to ask for the ${label.toLowerCase()} on.`, {
      remedy: `give it on standard input, with ${flag}`,
    });
  }
  const typed = decode(label, await type(`${label}: `));
  if (!isNew) return typed;
  const again = decode(label, await type('Again: '));
  if (again.reveal() !== typed.reveal()) {
    throw new Refusal('invalid_request', 'What was typed differs.', { remedy: 'the same command again' });
  }
  return typed;
}

async function type(question: string): Promise<Uint8Array> {
  process.stderr.write(printable(question));
  const typed = await typeHidden(process.stdin, onInterrupt);
  process.stderr.write('\n');
  if (typed === undefined) throw interrupted();
  return typed;
}

function readFile(label: string, path: string): Uint8Array {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new Refusal('invalid_request', `The file for the ${label.toLowerCase()} cannot be read (${code}).`, {
      remedy: 'name a file that this user can read',
    });
  }
  try {
    return readUpTo(file, READ_LIMIT);
  } finally {
    closeSync(file);
  }
}

/** One byte more than the limit tells that there is more. */
function readUpTo(file: number, limit: number): Uint8Array {
  const buffer = Buffer.alloc(limit + 1);
  let length = 0;
  while (length <= limit) {
    const count = readSome(file, buffer, length);
    if (count === 0) break;
    length += count;
  }
  return buffer.subarray(0, length);
}

/** A terminal or a pipe without data yet says EAGAIN when it was opened non-blocking. */
function readSome(file: number, buffer: Buffer, offset: number): number {
  for (;;) {
    try {
      return readSync(file, buffer, offset, buffer.length - offset, null);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'EOF') return 0;
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}

/** Strict UTF-8: two different byte strings must not become the same password. Editors and `echo` end with a line break. */
function decode(label: string, bytes: Uint8Array): Secret {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes).replace(/\r?\n$/, '');
  } catch {
    if (bytes.length > READ_LIMIT) throw tooLong(label);
    throw new Refusal('invalid_request', `The ${label.toLowerCase()} is not valid UTF-8.`, {
      remedy: 'send it as UTF-8',
    });
  }
  if (Buffer.byteLength(text) > PASSWORD_LIMIT) throw tooLong(label);
  if (text === '') throw new Refusal('invalid_request', `The ${label.toLowerCase()} is empty.`, { remedy: 'give one' });
  return new Secret(text);
}

const tooLong = (label: string): Refusal =>
  new Refusal('invalid_request', `The ${label.toLowerCase()} is longer than ${PASSWORD_LIMIT} bytes.`, {
    remedy: 'give a shorter one',
  });
