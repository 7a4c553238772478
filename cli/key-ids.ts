/**
 * Ids of keys on the command line. They are base64url, so one in 64 begins with a dash, and would be read as an option on the
 * night when a key has to go. It stands apart because this is decided before anything is parsed.
 */

/** Of an access key (RFC 7638, SHA-256), of a refresh key, and the short form of either; the first character is a dash. */
const DASHED = /^-(?:[A-Za-z0-9_-]{42}|[A-Za-z0-9_-]{21}|[A-Za-z0-9_-]{3}\.\.[A-Za-z0-9_-]{4})$/;

/** Only for one that begins with a dash: others are read as ids anyway. */
export const looksLikeKeyId = (argument: string): boolean => DASHED.test(argument);

/** @returns the arguments with such ids where nothing is read as an option: behind `--` */
export function keyIdsLast(args: readonly string[]): readonly string[] {
  if (!args.includes('keys') || args.includes('--') || !args.some(looksLikeKeyId)) return args;
  return [...args.filter((argument) => !looksLikeKeyId(argument)), '--', ...args.filter(looksLikeKeyId)];
}
