/**
 * The history checker: what every client saw, held against what was promised. A family is one register that moves from
 * generation g to g+1 by compare-and-swap, so these five rules are complete for it, and no search through orders is needed.
 */

/** One request, as its sender saw it. Times are of one clock, ms. */
export interface Entry {
  readonly kind: 'login' | 'refresh' | 'verify' | 'end';
  readonly family: string;
  readonly started: number;
  /** Of the last byte of its answer; infinite when none came. */
  readonly ended: number;
  /** Presented; -1 of a login, which presents none. */
  readonly generation: number;
  /** A client that keeps the rules: one request until it is answered, each with a key of its own. */
  readonly isObedient: boolean;
  /** 0 when no answer came. */
  readonly status: number;
  /** A part of an answer came. */
  readonly wasCut?: boolean;
  readonly reason: string | undefined;
  /** Of the refresh token that came back. */
  readonly received: { readonly hash: string; readonly generation: number } | undefined;
  /** What `verify` said. */
  readonly isActive: boolean;
}

/** One promise that was not kept, told with what contradicts it. */
export interface Violation {
  readonly rule: 'two successors' | 'way back' | 'alive after its end' | 'obedient client refused' | 'lost';
  readonly family: string;
  readonly detail: string;
}

/** The family had ended when this was answered. */
export const isEnding = ({ kind, status, reason }: Entry): boolean =>
  kind === 'end' ? status === 204 : reason === 'reused' || reason === 'revoked';

/** Whatever may have ended the family, answered or not. */
export const mayEnd = ({ kind, isObedient }: Entry): boolean => kind === 'end' || (kind === 'refresh' && !isObedient);

const isAccepted = ({ kind, status, isActive }: Entry): boolean =>
  kind === 'refresh' ? status === 200 : kind === 'verify' && isActive;

/** @param stored generation by family, as the database has it after the run; a family that it lacks is lost */
export function violationsOf(history: readonly Entry[], stored: ReadonlyMap<string, number>): Violation[] {
  const families = Map.groupBy(history, ({ family }) => family);
  return [...families].flatMap(([family, entries]) => [
    ...successors(family, entries),
    ...sequence(family, entries),
    ...refusals(family, entries),
    ...losses(family, entries, stored.get(family)),
  ]);
}

/** Whoever presents a generation gets the one refresh token of the next. */
function successors(family: string, entries: readonly Entry[]): Violation[] {
  const known = new Map<number, string>();
  const found: Violation[] = [];
  for (const { generation, received } of entries) {
    if (received === undefined) continue;
    const isKnown = (known.get(generation) ?? received.hash) === received.hash;
    if (!isKnown || received.generation !== generation + 1)
      found.push({ rule: 'two successors', family, detail: `${received.generation} after generation ${generation}` });
    known.set(generation, received.hash);
  }
  return found;
}

/** What is accepted later than an answer must not contradict it. Times decide: what overlaps may come in any order. */
function sequence(family: string, entries: readonly Entry[]): Violation[] {
  const answered = entries.filter(({ ended }) => Number.isFinite(ended)).sort((a, b) => b.ended - a.ended);
  const accepted = entries.filter(isAccepted).sort((a, b) => a.started - b.started);
  const found: Violation[] = [];
  let used = -1;
  let isOver = false;
  for (const entry of accepted) {
    for (let before = answered.at(-1); before !== undefined && before.ended < entry.started; before = answered.at(-1)) {
      answered.pop();
      if (before.kind === 'refresh' && before.status === 200) used = Math.max(used, before.generation);
      isOver ||= isEnding(before);
    }
    const detail = `${entry.kind} of generation ${entry.generation} at ${entry.started}`;
    if (isOver) found.push({ rule: 'alive after its end', family, detail });
    if (entry.kind === 'refresh' && entry.generation < used) found.push({ rule: 'way back', family, detail });
  }
  return found;
}

/** Who keeps the rules is refused only when somebody ended the family, and has begun to before the refusal came. */
function refusals(family: string, entries: readonly Entry[]): Violation[] {
  const firstEnd = Math.min(...entries.filter(mayEnd).map(({ started }) => started));
  return entries
    .filter(({ kind, isObedient, status }) => kind === 'refresh' && isObedient && status === 401)
    .filter(({ reason, ended }) => reason !== 'revoked' || ended < firstEnd)
    .map(({ generation, reason }) => ({
      rule: 'obedient client refused',
      family,
      detail: `generation ${generation}: ${reason ?? 'no reason'}`,
    }));
}

function losses(family: string, entries: readonly Entry[], stored: number | undefined): Violation[] {
  const highest = Math.max(-1, ...entries.map(({ received }) => received?.generation ?? -1));
  if (highest <= (stored ?? -1)) return [];
  return [{ rule: 'lost', family, detail: `generation ${highest} was answered, ${stored ?? 'nothing'} is stored` }];
}
