/** Network addresses in one spelling, so that no other spelling of an address is another caller. */

/** The eight groups of an IPv6 address, which must be well formed. */
function groupsOf(address: string): number[] {
  const [head = '', tail] = address.split('::');
  const parse = (part: string): number[] =>
    part === ''
      ? []
      : part.split(':').flatMap((group) => {
          if (!group.includes('.')) return [Number.parseInt(group, 16)];
          const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
          return [(a << 8) | b, (c << 8) | d];
        });
  const left = parse(head);
  const right = tail === undefined ? [] : parse(tail);
  const gap = tail === undefined ? 0 : 8 - left.length - right.length;
  return [...left, ...new Array<number>(Math.max(0, gap)).fill(0), ...right];
}

/** @returns the dotted form of an IPv4 address written as IPv6 (RFC 4291 §2.5.5.2) */
function mappedIpv4(groups: readonly number[]): string | undefined {
  const [, , , , , sixth, high = 0, low = 0] = groups;
  if (sixth !== 0xffff || groups.slice(0, 5).some((group) => group !== 0)) return undefined;
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}

/** @param address one that `net.isIP` accepts. @returns IPv4 dotted; IPv6 in eight lower-case groups shortened as RFC 5952 asks */
export function canonicalAddress(address: string): string {
  const bare = address.split('%')[0] ?? address;
  if (!bare.includes(':')) return bare;
  const groups = groupsOf(bare);
  const ipv4 = mappedIpv4(groups);
  if (ipv4 !== undefined) return ipv4;
  const text = groups.map((group) => group.toString(16)).join(':');
  // Of equally long runs of zeros the first is shortened (RFC 5952 §4.2.3).
  const longest = [...text.matchAll(/(?<![^:])0(?::0)+(?![^:])/g)].reduce<RegExpExecArray | undefined>(
    (best, run) => (best === undefined || run[0].length > best[0].length ? run : best),
    undefined,
  );
  if (longest === undefined) return text;
  const end = longest.index + longest[0].length;
  return `${text.slice(0, longest.index).replace(/:$/, '')}::${text.slice(end).replace(/^:/, '')}`;
}

/**
 * What failed logins are counted by: an IPv4 address, or the /64 of an IPv6 address, because whoever has one address of
 * a /64 has them all.
 */
export function throttleBucket(address: string | null): string {
  if (address === null) return 'unknown';
  if (!address.includes(':')) return address;
  return `${groupsOf(address)
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':')}::/64`;
}
