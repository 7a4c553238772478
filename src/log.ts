/**
 * The log: one line an event on stderr, JSON for machines or plain for people. It stands alone because every layer but the
 * domain may use it. What is logged never holds a token, a secret or a password; foreign text is made printable.
 */
import { printable } from './domain/printable.ts';
import type { EpochMs } from './domain/time.ts';
import { toRfc3339 } from './domain/time.ts';

/** From the least; a line is written when its level is the configured one or comes after it. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const;
/** The least one that is written is `log.level`. */
export type LogLevel = (typeof LOG_LEVELS)[number];
/** `undefined` leaves a field out; `null` does so in the pretty form alone. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** A line is handed to `write` whole; nothing is kept or waited for. */
export interface Log {
  /** Whether a line of this level would be written: for lines that cost something to make. */
  enabled(level: LogLevel): boolean;
  trace(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** `write` gets one line with its line break; foreign text in it is printable already. */
export interface LogOptions {
  readonly level: LogLevel;
  readonly format: 'json' | 'pretty';
  readonly now: () => EpochMs;
  readonly write: (line: string) => void;
}

/** Characters of one value; a longer one is cut, so that no input makes a line of many kilobytes. */
const VALUE_LIMIT = 512;

const cut = (text: string): string => (text.length > VALUE_LIMIT ? `${text.slice(0, VALUE_LIMIT)}…` : text);

function prettyLine(now: EpochMs, level: LogLevel, message: string, fields: LogFields): string {
  const mark = level === 'warn' || level === 'error' ? `${level.toUpperCase()} ` : '';
  const values = Object.entries(fields)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) => `${name}=${printable(cut(String(value)))}`);
  return `${toRfc3339(now).slice(11, 19)} ${mark}${[printable(message), ...values].join(' ')}\n`;
}

function jsonLine(now: EpochMs, level: LogLevel, message: string, fields: LogFields): string {
  const values = Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, typeof value === 'string' ? cut(value) : value]),
  );
  // JSON escapes no C1 and no bidi control, and logs are looked at in terminals; `\u009b` means the same to who parses it.
  return `${printable(JSON.stringify({ time: toRfc3339(now), level, message, ...values }))}\n`;
}

/** Values are cut at 512 characters, messages are not. */
export function makeLog(options: LogOptions): Log {
  const threshold = LOG_LEVELS.indexOf(options.level);
  const line = options.format === 'json' ? jsonLine : prettyLine;
  const at =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}): void => {
      if (LOG_LEVELS.indexOf(level) >= threshold) options.write(line(options.now(), level, message, fields));
    };
  return {
    enabled: (level) => LOG_LEVELS.indexOf(level) >= threshold,
    trace: at('trace'),
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
  };
}

/** What the log may say of an unforeseen error: its kind, code and place, never a value that a driver put in its message. */
export function describeError(error: unknown): LogFields {
  if (!(error instanceof Error)) return { error: typeof error };
  const code =
    'code' in error && (typeof error.code === 'string' || typeof error.code === 'number') ? error.code : undefined;
  const cause = error.cause instanceof Error ? `${error.cause.name}: ${error.cause.message}` : undefined;
  return {
    error: error.name,
    code,
    reason: error.message,
    cause,
    stack: error.stack?.split('\n').slice(1, 6).join(' | '),
  };
}
