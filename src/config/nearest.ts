/** Finds the name that somebody meant when a name is unknown. It stands alone as the one place that judges likeness. */

/** More slips than this are another word. */
const MAX_SLIPS = 3;

/** The candidate with the fewest slips, when it is near enough to be meant; case and separators do not count. */
export function nearest(name: string, candidates: readonly string[]): string | undefined {
  const plain = normalize(name);
  let best: { candidate: string; slips: number } | undefined;
  for (const candidate of candidates) {
    const slips = editDistance(plain, normalize(candidate));
    if (slips <= MAX_SLIPS && slips * 2 < plain.length && (best === undefined || slips < best.slips))
      best = { candidate, slips };
  }
  return best?.candidate;
}

const normalize = (name: string): string => name.toLowerCase().replace(/[-_]/g, '').slice(0, 100);

/** Insertions, deletions, replacements, and swaps of neighbours (optimal string alignment). */
function editDistance(left: string, right: string): number {
  let older: number[] = [];
  let previous = Array.from({ length: right.length + 1 }, (_, column) => column);
  for (let row = 1; row <= left.length; row++) {
    const current = [row];
    for (let column = 1; column <= right.length; column++) {
      const isSame = left[row - 1] === right[column - 1];
      const isSwap = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      current[column] = Math.min(
        (previous[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (previous[column - 1] ?? 0) + (isSame ? 0 : 1),
        isSwap ? (older[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
      );
    }
    older = previous;
    previous = current;
  }
  return previous[right.length] ?? 0;
}
