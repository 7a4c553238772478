/**
 * Reads a secret from where the configuration says that it is: in the text itself, in an environment variable or in a
 * file. It stands alone because it holds the rules for files that keep secrets; it never puts a secret into a message.
 */
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { Secret } from '../domain/secret.ts';
import { printable } from './fault.ts';

/** How a secret is written in the configuration. */
export type SecretText = string | { readonly env: string } | { readonly file: string };

/** Where a secret comes from; the master key's file is made by `serve` when there is none, so it is read late. */
export type SecretSource =
  | { readonly kind: 'literal'; readonly value: Secret }
  | { readonly kind: 'env'; readonly name: string; readonly value: Secret }
  | { readonly kind: 'file'; readonly path: string };

/** What is wrong with a value, in words that follow the key's path, and what to do about it. */
export interface Complaint {
  readonly message: string;
  readonly remedy: string;
}

/** `fault`: there was nothing to read, or it may not be read from there. */
export type SecretReading =
  | { readonly kind: 'read'; readonly secret: Secret }
  | ({ readonly kind: 'fault' } & Complaint);

/** Given to the schema, so that one parse yields secrets that are already `Secret`. */
export interface SecretReader {
  read(source: SecretText): SecretReading;
  /** The path as the process can open it. */
  locate(path: string): string;
}

/** No secret of this product is longer; a larger file is the wrong one. */
const MAX_SECRET_BYTES = 64 * 1024;

/** Reads from `env`, and from files relative to `cwd`. */
export const secretReader = (env: Readonly<Record<string, string | undefined>>, cwd: string): SecretReader => ({
  read(source) {
    if (typeof source === 'string') return { kind: 'read', secret: new Secret(source) };
    return 'env' in source
      ? readVariable(source.env, env)
      : readSecretFile(printable(source.file), resolve(cwd, source.file));
  },
  locate: (path) => locatePath(path, cwd),
});

/** As written when that already means the right file, so that messages stay short; absolute when it would not. */
const locatePath = (path: string, cwd: string): string =>
  isAbsolute(path) || resolve(cwd) === process.cwd() ? path : resolve(cwd, path);

function readVariable(name: string, env: Readonly<Record<string, string | undefined>>): SecretReading {
  const text = env[name];
  if (text !== undefined && text !== '') return { kind: 'read', secret: new Secret(text) };
  const state = text === undefined ? 'not set' : 'empty';
  return fault(
    `is to come from the environment variable ${name}, which is ${state}`,
    `set ${name}, or use {"file": "path"}`,
  );
}

/** @param shown the path as it is written, for messages */
function readSecretFile(shown: string, path: string): SecretReading {
  let text: string;
  try {
    // Opening a pipe would otherwise wait for its writer.
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const wrong = unfitFile(shown, fstatSync(file));
      if (wrong !== undefined) return { kind: 'fault', ...wrong };
      text = readBounded(file);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    return code === 'ENOENT'
      ? fault(
          `is to come from the file ${shown}, which does not exist`,
          'create it with mode 0600, or correct the path',
        )
      : fault(
          `is to come from the file ${shown}, which cannot be read (${code})`,
          'let the user that runs this read it',
        );
  }
  // Editors and `echo` end a file with a line break that nobody means to be part of the secret.
  const secret = text.replace(/\r?\n$/, '');
  return secret === ''
    ? fault(`is to come from the file ${shown}, which is empty`, 'write the secret into it, on one line')
    : { kind: 'read', secret: new Secret(secret) };
}

/** What makes a file unfit to keep a secret. `mode` bits are judged as `ssh` judges a private key. */
function unfitFile(shown: string, stats: Stats): Complaint | undefined {
  if (!stats.isFile()) {
    return {
      message: `is to come from ${shown}, which is not a regular file`,
      remedy: 'name a file that holds the secret',
    };
  }
  // A file of another owner can reach this process only through its group: so do systemd credentials (an access list
  // shows as group bits) and Kubernetes secrets (fsGroup). Reading by the group is then the point, and is let through.
  const forbidden = process.geteuid?.() === stats.uid ? 0o077 : 0o037;
  if ((stats.mode & forbidden) !== 0) {
    const mode = (stats.mode & 0o777).toString(8).padStart(4, '0');
    return {
      message: `is to come from the file ${shown}, which others may read or change (mode ${mode})`,
      remedy: `chmod 600 ${shown}`,
    };
  }
  if (stats.size > MAX_SECRET_BYTES) {
    return {
      message: `is to come from the file ${shown}, which is over 64 KiB`,
      remedy: 'name a file that holds only the secret',
    };
  }
  return undefined;
}

function readBounded(file: number): string {
  const buffer = Buffer.alloc(MAX_SECRET_BYTES);
  return buffer.toString('utf8', 0, readSync(file, buffer, 0, MAX_SECRET_BYTES, 0));
}

const fault = (message: string, remedy: string): SecretReading => ({ kind: 'fault', message, remedy });
