/**
 * The kinds of value that hold a secret, and what may be shown of them. They stand apart because each is a function of
 * the reader that fetches secrets from variables and files.
 */
import { z } from 'zod';
import { Secret } from '../domain/secret.ts';
import type { Complaint, SecretReader, SecretSource, SecretText } from './secret-source.ts';
import { kinds } from './values.ts';

const SOURCES = 'must be a text, {"env": "NAME"} or {"file": "path"}';
const HIDDEN = '[secret]';

const secretText = () => {
  const name = z
    .string({ error: SOURCES })
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, { error: 'must name an environment variable in {"env": "NAME"}' });
  const path = z.string({ error: SOURCES }).min(1, { error: 'must name a file in {"file": "path"}' });
  return z.union(
    [
      z.string().min(1, { error: 'must not be empty' }).describe('The value itself.'),
      z.strictObject({ env: name }).describe('Read from this environment variable.'),
      z.strictObject({ file: path }).describe('Read from this file, without one trailing line break; mode 0600.'),
    ],
    { error: SOURCES },
  );
};

/** What is wrong with a secret's value, in words that never repeat it. */
type SecretCheck = (value: string) => Partial<Complaint> | undefined;

function fetchSecret(source: SecretText, reader: SecretReader, check: SecretCheck): Secret | Partial<Complaint> {
  const reading = reader.read(source);
  if (reading.kind === 'fault') return reading;
  return check(reading.secret.reveal()) ?? reading.secret;
}

/** Hands the complaint to zod, which adds the path. */
const complain = (complaint: Partial<Complaint>) => ({
  code: 'custom' as const,
  message: complaint.message,
  params: { remedy: complaint.remedy },
});

const checkedSecret = (reader: SecretReader, check: SecretCheck) =>
  secretText().transform((source, context): Secret => {
    const secret = fetchSecret(source, reader, check);
    if (secret instanceof Secret) return secret;
    context.addIssue(complain(secret));
    return z.NEVER;
  });

/** `whsec_` and base64 of 24 to 64 bytes, as Standard Webhooks has it. */
export const signingSecret = (reader: SecretReader) =>
  checkedSecret(reader, signingSecretFault).register(kinds, {
    form: 'secret',
    label: 'secret: "whsec_…"',
    show: () => HIDDEN,
  });

function signingSecretFault(value: string): Complaint | undefined {
  const [, base64 = ''] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(value) ?? [];
  const bytes = Buffer.from(base64, 'base64');
  // Encoded again it must be the same: Buffer skips what is not base64 without a word.
  const isWhole = unpadded(bytes.toString('base64')) === unpadded(base64);
  if (isWhole && bytes.length >= 24 && bytes.length <= 64) return undefined;
  return {
    message: 'must be "whsec_" and the base64 of 24 to 64 random bytes',
    remedy: 'make one: echo "whsec_$(openssl rand -base64 32)"',
  };
}

const unpadded = (base64: string): string => base64.replace(/=+$/, '');

/** One signing secret, or two while they are exchanged. */
export const signingSecrets = (reader: SecretReader) => {
  const error = 'must be one secret, or a list of one or two';
  const several = z.array(secretText(), { error }).min(1, { error }).max(2, { error });
  return z
    .union([secretText(), several], { error })
    .transform((sources, context): readonly Secret[] =>
      [sources].flat().flatMap((source) => {
        const secret = fetchSecret(source, reader, signingSecretFault);
        if (secret instanceof Secret) return [secret];
        context.addIssue(complain(secret));
        return [];
      }),
    )
    .readonly()
    .register(kinds, { form: 'secret', label: 'one or two secrets: "whsec_…"', show: () => HIDDEN });
};

/** The 32 bytes that encrypt all keys. A file is not read here: `serve` makes it when there is none. */
export const masterKeySource = (reader: SecretReader) =>
  secretText()
    .transform((source, context): SecretSource => {
      if (typeof source === 'object' && 'file' in source)
        return Object.freeze({ kind: 'file', path: reader.locate(source.file) });
      const secret = fetchSecret(source, reader, masterKeyFault);
      if (secret instanceof Secret) {
        return Object.freeze(
          typeof source === 'string'
            ? { kind: 'literal', value: secret }
            : { kind: 'env', name: source.env, value: secret },
        );
      }
      context.addIssue(complain(secret));
      return z.NEVER;
    })
    .register(kinds, { form: 'secret', label: 'secret: base64 of 32 random bytes', show: showSource });

function masterKeyFault(value: string): Complaint | undefined {
  const bytes = Buffer.from(value, 'base64');
  const isWhole = bytes.length === 32 && bytes.toString('base64') === value;
  if (isWhole && bytes.some((byte) => byte !== bytes[0])) return undefined;
  return { message: 'must be the base64 of 32 random bytes, on one line', remedy: 'make one: openssl rand -base64 32' };
}

function showSource(value: unknown): unknown {
  const source = value as SecretSource;
  if (source.kind === 'literal') return HIDDEN;
  return source.kind === 'env' ? { env: source.name } : { file: source.path };
}

/** The URL of a database or a broker, which may hold a password. `isFit` judges it; `expected` follows "must be". */
export const locator = (reader: SecretReader, isFit: (url: string) => boolean, expected: string) =>
  checkedSecret(reader, (value) => (isFit(value) ? undefined : { message: `must be ${expected}` })).register(kinds, {
    form: 'secret',
    label: expected,
    show: (value) => (value instanceof Secret ? maskUrl(value.reveal()) : value),
  });

/** A URL of one of these schemes, with a host. */
export const hasScheme = (value: string, schemes: readonly string[]): boolean =>
  schemes.some((scheme) => value.startsWith(`${scheme}://`)) && !/[\s\p{Cc}]/u.test(value) && URL.canParse(value);

/** `sqlite:PATH` or a Postgres URL. */
export const isDatabaseUrl = (value: string): boolean =>
  // `sqlite://data/auth.db` would be read as an absolute path by some and a relative one by others.
  /^sqlite:(?!\/\/[^/])(?!:memory:)[^\0-\x1f]+$/.test(value) || hasScheme(value, ['postgres', 'postgresql']);

/** A URL without what may be secret in it: the login and some of the query. What cannot be read is hidden whole. */
function maskUrl(value: string): string {
  if (value.startsWith('sqlite:')) return value;
  if (!URL.canParse(value)) return HIDDEN;
  const url = new URL(value);
  // The name alone can be a token (NATS has such); that of a Postgres user is none.
  const isOpen = url.password === '' && (url.username === '' || url.protocol.startsWith('postgres'));
  const hidden = [...url.searchParams].filter(([name]) => /pass|secret|token/i.test(name));
  if (isOpen && hidden.length === 0) return value;
  const login = url.username === '' && url.password === '' ? '' : `${HIDDEN}@`;
  return `${url.protocol}//${login}${url.host}${url.pathname}${hidden.length === 0 ? url.search : `?${HIDDEN}`}`;
}

/** Whether a literal in the file is worth hiding: everything but a URL that has nothing to hide. */
export const isWorthHiding = (value: string): boolean => maskUrl(value) !== value;
