/**
 * Reading what people type after a flag into values of the domain. Each function throws commander's own error, which names
 * the flag and ends with exit code 2; so a command that runs has nothing left to check about its flags.
 */
import { isIP } from 'node:net';
import { InvalidArgumentError, Option } from 'commander';
import { canonicalAddress } from '../src/domain/address.ts';
import { type ClientId, type FamilyId, parseClientId, parseFamilyId } from '../src/domain/ids.ts';
import { type DurationMs, type EpochMs, epochMs, parseDuration, parseRfc3339 } from '../src/domain/time.ts';

const invalid = (expected: string): InvalidArgumentError => new InvalidArgumentError(`Expected ${expected}.`);

/** `2h` is two hours ago; else RFC 3339. */
export function readMoment(text: string): EpochMs {
  const ago = parseDuration(text);
  const time = ago === undefined ? parseRfc3339(text) : epochMs(Date.now() - ago);
  if (time === undefined) throw invalid('a duration such as 2h, which means that long ago, or a time in RFC 3339');
  return time;
}

/** Gives a setting of a client back to the server; a word, because commander takes `null` for no value. */
export type Reset = 'default';

const isReset = (text: string): boolean => text === 'none' || text === 'default';

/** A duration, or `default`, also spelled `none`. Whether it is in the limits is the operation's to say. */
export function readPolicyDuration(text: string): DurationMs | Reset {
  if (isReset(text)) return 'default';
  const duration = parseDuration(text);
  if (duration === undefined) throw invalid('a duration such as 30s, 5m or 90d, or "default" for the server’s own');
  return duration;
}

/** 1 to 1,000, or `default`, also spelled `none`. */
export function readPolicyCount(text: string): number | Reset {
  if (isReset(text)) return 'default';
  return readCount(1, 1_000)(text);
}

/** A whole number. */
export const readCount =
  (least: number, most: number) =>
  (text: string): number => {
    const count = /^[0-9]{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (!(count >= least && count <= most)) throw invalid(`a whole number from ${least} to ${most}`);
    return count;
  };

/** In the one spelling in which addresses are kept. */
export function readAddress(text: string): string {
  if (isIP(text) === 0) throw invalid('an IPv4 or IPv6 address');
  return canonicalAddress(text);
}

/** Also one that nobody has: the operation looks. */
export function readClientId(text: string): ClientId {
  const id = parseClientId(text);
  if (id === undefined) throw invalid('a client id: 1 to 64 characters of A-Z, a-z, 0-9, ".", "_" and "-"');
  return id;
}

/** In any case: an id that somebody copied in capitals is the same. */
export function readCursor(text: string): FamilyId {
  const id = parseFamilyId(text.toLowerCase());
  if (id === undefined) throw invalid('the cursor that the page before ended with');
  return id;
}

/** A flag that may be given several times. */
export const collect = (text: string, before: readonly string[] | undefined): readonly string[] => [
  ...(before ?? []),
  text,
];

/** `--limit`; without it a terminal and `--json` get one page, a pipe gets every row. */
export const limitOption = (page: { readonly default: number; readonly max: number }): Option =>
  new Option('--limit <n>', `rows to show, at most ${page.max} (default: ${page.default}; in a pipe all)`).argParser(
    readCount(1, page.max),
  );

/** What a command that destroys takes. */
export interface DestructiveFlags {
  readonly yes?: boolean;
  readonly dryRun?: boolean;
}

/** For `confirm`, which without a terminal needs it. */
export const yesOption = (): Option => new Option('--yes', 'does not ask');
/** Nothing is asked then, and nothing is written. */
export const dryRunOption = (): Option => new Option('--dry-run', 'changes nothing, says what would happen');
