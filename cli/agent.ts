/** What a `User-Agent` says in two words, for lists: `Firefox/Linux`. Whoever wants it whole has `--json`. */

const PROGRAMS: readonly (readonly [RegExp, string])[] = [
  [/\bEdg(?:e|A|iOS)?\//, 'Edge'],
  [/\bOPR\//, 'Opera'],
  [/\b(?:Firefox|FxiOS)\//, 'Firefox'],
  [/\b(?:Chrome|CriOS|Chromium)\//, 'Chrome'],
  [/\bVersion\/\S+.*\bSafari\//, 'Safari'],
];

const SYSTEMS: readonly (readonly [RegExp, string])[] = [
  [/\biPhone\b/, 'iPhone'],
  [/\biPad\b/, 'iPad'],
  [/\bAndroid\b/, 'Android'],
  [/\bWindows\b/, 'Windows'],
  [/\bMac OS X\b|\bMacintosh\b/, 'Mac'],
  [/\bCrOS\b/, 'ChromeOS'],
  [/\bLinux\b/, 'Linux'],
];

const firstOf = (table: typeof PROGRAMS, text: string): string | undefined =>
  table.find(([pattern]) => pattern.test(text))?.[1];

/** The device's own label where the login gave one. */
export function deviceText(device: string | null, userAgent: string | null): string {
  if (device !== null) return device;
  if (userAgent === null) return '';
  const program = firstOf(PROGRAMS, userAgent);
  const system = firstOf(SYSTEMS, userAgent);
  if (program !== undefined) return system === undefined ? program : `${program}/${system}`;
  // `curl/8.5.0`, `okhttp/4.12.0`: the program is the first word.
  return userAgent.split(/[\s/(]/, 1)[0] || userAgent;
}
