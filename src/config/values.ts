/**
 * The kinds of value that a key can have: how each is written, checked, read from the text of an environment variable,
 * and shown. They stand apart from `schema.ts` so that the table of keys there stays readable.
 */
import { BlockList, isIP } from 'node:net';
import { z } from 'zod';
import { type DurationMs, durationMs, formatDuration, parseDuration } from '../domain/time.ts';

/** How text becomes a value of the key; the text of a `json` one is JSON. */
export type Form = 'text' | 'number' | 'boolean' | 'size' | 'json' | 'secret';

/** What zod does not know of a type: how it is read from text, and shown. */
export interface Kind {
  readonly form: Form;
  /** For people: `duration, 1s to 3650d`. */
  readonly label: string;
  /** The value as people write it; without it, it already is. */
  readonly show?: (value: unknown) => unknown;
}

/** What is known of a kind of value beside its zod type. */
export const kinds = z.registry<Kind>();

/** A key: its kind, its default as people write it, and what it is for. */
export const key = <T extends z.ZodType>(kind: T, fallback: z.input<T>, description: string) =>
  z.prefault(kind, fallback).meta({ description });

/**
 * A set of keys; one that is not in it is a fault. `as never`: whether all keys have defaults is not seen by the type, and a set
 * that is not given is the set of its defaults.
 */
export const group = <S extends z.ZodRawShape>(shape: S) =>
  z.prefault(z.readonly(z.strictObject(shape, { error: 'must be an object' })), () => ({}) as never);

/** A value that may be absent. */
export function orNull<T extends z.ZodType>(kind: T) {
  const inner = kinds.get(kind);
  const nullable = z.nullable(kind);
  if (inner !== undefined) kinds.add(nullable, { ...inner, label: `${inner.label}, or null` });
  return nullable;
}

/** A list, with the largest number of items that makes sense. */
export const list = <T extends z.ZodType>(item: T, max: number, label: string) =>
  z
    .array(item, { error: 'must be a list' })
    .max(max, { error: `must have at most ${max} items` })
    .readonly()
    .register(kinds, { form: 'json', label });

/** Text that is one of these, spelled exactly so. */
export const choice = <const T extends readonly [string, ...string[]]>(values: T) =>
  z
    .enum(values, { error: `must be one of ${values.map((value) => `"${value}"`).join(', ')}` })
    .register(kinds, { form: 'text', label: values.map((value) => `"${value}"`).join(', ') });

/** `true` or `false`; no other word, and no number, means either. */
export const yesOrNo = () =>
  z.boolean({ error: 'must be true or false' }).register(kinds, { form: 'boolean', label: 'true or false' });

/** From `min` to `max`, both included. */
export const integer = (min: number, max: number) =>
  z
    .int({ error: `must be a whole number from ${min} to ${max}` })
    .min(min, { error: `must be at least ${min}` })
    .max(max, { error: `must be at most ${max}` })
    .register(kinds, { form: 'number', label: `whole number, ${min} to ${max}` });

/** Text of a certain form; `expected` follows "must be". */
export const text = (pattern: RegExp, expected: string) =>
  z
    .string({ error: `must be ${expected}` })
    .regex(pattern, { error: `must be ${expected}` })
    .register(kinds, { form: 'text', label: expected });

/** `"90d"`, `"5m"`, `"10s"`, `"250ms"`, from `min` to `max`. */
export function duration(min: number, max: number) {
  const error = 'must be a duration such as "90d", "5m", "10s" or "250ms"';
  const [least, most] = [formatDuration(durationMs(min)), formatDuration(durationMs(max))];
  return z
    .string({ error })
    .regex(/^\d{1,9}(ms|s|m|h|d)$/, { error })
    .transform((written, context): DurationMs => {
      const value = parseDuration(written);
      if (value !== undefined && value >= min && value <= max) return value;
      context.addIssue({ code: 'custom', message: `must be from ${least} to ${most}` });
      return z.NEVER;
    })
    .register(kinds, { form: 'text', label: `duration, ${least} to ${most}`, show: showDuration });
}

const showDuration = (value: unknown): unknown =>
  typeof value === 'number' ? formatDuration(durationMs(value)) : value;

const KIB = 1024;
const MIB = 1024 * KIB;

/** `"16KiB"`, `"1MiB"`, or a number of bytes. */
export function byteSize(min: number, max: number) {
  const error = `must be a size such as "16KiB", from ${showSize(min)} to ${showSize(max)}`;
  return z
    .union([z.int({ error }).min(0, { error }), z.string({ error }).regex(/^\d{1,9}(KiB|MiB)$/, { error })], { error })
    .transform((written, context) => {
      const bytes =
        typeof written === 'number' ? written : Number.parseInt(written, 10) * (written.endsWith('MiB') ? MIB : KIB);
      if (bytes >= min && bytes <= max) return bytes;
      context.addIssue({ code: 'custom', message: error });
      return z.NEVER;
    })
    .register(kinds, { form: 'size', label: `size, ${showSize(min)} to ${showSize(max)}`, show: showSize });
}

function showSize(value: unknown): unknown {
  if (typeof value !== 'number' || value === 0) return value;
  if (value % MIB === 0) return `${value / MIB}MiB`;
  return value % KIB === 0 ? `${value / KIB}KiB` : value;
}

const HOST_NAME =
  /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$/;

// Four numbers with dots are an address or nothing: `256.1.1.1` must not pass as a name.
const isHost = (value: string): boolean => isIP(value) !== 0 || (HOST_NAME.test(value) && !/^[\d.]+$/.test(value));

/** An IP address or a DNS name, without brackets and port; not looked up. */
export const host = () =>
  z
    .string({ error: 'must be an address or a host name' })
    .refine(isHost, { error: 'must be an address or a host name, without brackets and port' })
    .register(kinds, { form: 'text', label: 'address or host name' });

/** `host:port`, with an IPv6 address in brackets. */
export function hostAndPort() {
  const error = 'must be "host:port", such as "127.0.0.1:9464" or "[::1]:9464"';
  return z
    .string({ error })
    .transform((written, context) => {
      const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(written);
      const name = match?.[1] ?? match?.[2] ?? '';
      const port = Number(match?.[3]);
      const fits = match?.[1] === undefined ? isHost(name) : isIP(name) === 6;
      if (match !== null && fits && port <= 65_535) return Object.freeze({ host: name, port });
      context.addIssue({ code: 'custom', message: error });
      return z.NEVER;
    })
    .register(kinds, { form: 'text', label: '"host:port"', show: showHostAndPort });
}

function showHostAndPort(value: unknown): unknown {
  const place = value as { host: string; port: number } | null;
  return place === null ? null : `${bracket(place.host)}:${place.port}`;
}

/** An address as it stands in a URL: IPv6 in brackets. */
export const bracket = (name: string): string => (name.includes(':') ? `[${name}]` : name);

const isHttpUrl = (value: string): boolean => {
  if (!/^https?:\/\/[^\s\p{Cc}]+$/u.test(value) || !URL.canParse(value)) return false;
  const url = new URL(value);
  return url.username === '' && url.password === '';
};

const httpText = (isFit: (value: string) => boolean, expected: string) =>
  z
    .string({ error: 'must be an http or https URL' })
    .regex(/^https?:\/\//, { error: 'must be an http or https URL', abort: true })
    .refine(isFit, { error: expected })
    .register(kinds, { form: 'text', label: 'http or https URL' });

/** A URL that this server calls. A user name in it would be sent, and shown, where nobody expects it. */
export const httpUrl = () => httpText(isHttpUrl, 'must be an http or https URL without spaces, user name and password');

/** RFC 8414 §2: an issuer has no query and no fragment. */
export const issuerUrl = () =>
  httpText(
    (value) => isHttpUrl(value) && !/[?#]/.test(value),
    'must be an http or https URL without query, fragment, user name and spaces',
  );

/** Exactly what a browser sends as `Origin`: scheme, host and a port that is not the scheme's own. */
export const origin = () =>
  z.string({ error: 'must be an origin such as "https://app.example.com"' }).refine(
    // `URL.origin` is the canonical form, so that `*`, a path or an upper-case host are refused.
    (value) => /^https?:/.test(value) && URL.canParse(value) && new URL(value).origin === value,
    { error: 'must be an origin such as "https://app.example.com", without a path; "*" is not one' },
  );

/** An address, or a block of them: `10.0.0.0/8`. */
export const addressBlock = () =>
  z
    .string({ error: 'must be an address or a block such as "10.0.0.0/8"' })
    .refine(isAddressBlock, { error: 'must be an address or a block such as "10.0.0.0/8"; "*" is not one' });

function isAddressBlock(value: string): boolean {
  const [, address = '', prefix] = /^([0-9a-fA-F.:]+)(?:\/(\d{1,3}))?$/.exec(value) ?? [];
  const family = isIP(address);
  return family !== 0 && (prefix === undefined || Number(prefix) <= (family === 4 ? 32 : 128));
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/** Whether only this machine can reach what listens there. */
export function isLoopback(name: string): boolean {
  const family = isIP(name);
  return family === 0 ? name.toLowerCase() === 'localhost' : LOOPBACK.check(name, family === 4 ? 'ipv4' : 'ipv6');
}
