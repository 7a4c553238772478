/**
 * Whether a copy of the database is one moment of a history: there has to be a time, between begin and end of its making, by
 * which all that is in it may have been committed, and all that is not in it may not. Each change is committed at some time
 * between its first request and its first answer, so this asks neither too much nor too little.
 */
import { type Entry, isEnding, mayEnd } from './history.ts';

/** A family, as the copy has it. */
export interface Copied {
  readonly generation: number;
  readonly isRevoked: boolean;
}

/** Of the same clock as the history, ms. */
export interface Interval {
  readonly started: number;
  readonly ended: number;
}

export interface Judged {
  /** When the copy may have been taken, at the earliest and at the latest. */
  readonly from: number;
  readonly to: number;
  /** What contradicts that there is such a time; empty when there is. */
  readonly violations: readonly string[];
}

/** One row of a family becomes another. `ended` is infinite while nobody was told of it. */
interface Change extends Interval {
  readonly family: string;
  readonly name: string;
  isIn(copied: Copied | undefined): boolean;
}

/** @param copy by family; one that it lacks is not in it */
export function momentOf(history: readonly Entry[], copy: ReadonlyMap<string, Copied>, making: Interval): Judged {
  const families = Map.groupBy(history, ({ family }) => family);
  const changes = [...families].flatMap(([family, entries]) => changesOf(family, entries));
  const { seen = [], missing = [] } = Object.groupBy(changes, ({ family, isIn }) =>
    isIn(copy.get(family)) ? 'seen' : 'missing',
  );
  const first = seen.reduce((one, other) => (other.started > one.started ? other : one), {
    name: 'its making',
    ...making,
  });
  const last = missing.reduce((one, other) => (other.ended < one.ended ? other : one), {
    name: 'its making',
    ...making,
  });
  const [from, to] = [first.started, last.ended];
  const torn = from <= to ? [] : [`${first.name}, begun at ${from}, is seen; ${last.name}, over at ${to}, is not`];
  const invented = [...copy].flatMap(([family, copied]) => inventionsIn(family, copied, families.get(family) ?? []));
  return { from, to, violations: [...torn, ...invented] };
}

function changesOf(family: string, entries: readonly Entry[]): Change[] {
  const logins = entries.filter(({ kind }) => kind === 'login');
  const refreshes = Map.groupBy(
    entries.filter(({ kind }) => kind === 'refresh'),
    ({ generation }) => generation,
  );
  // Whoever is refused as revoked has seen the end too, whatever it was.
  const ends = entries.filter((entry) => mayEnd(entry) || isEnding(entry));
  const login: Change = {
    family,
    name: `the login of ${family}`,
    ...spanOf(logins, wasGranted),
    isIn: (copied) => copied !== undefined,
  };
  const rotations = [...refreshes].map(
    ([generation, asked]): Change => ({
      family,
      name: `rotation ${generation + 1} of ${family}`,
      ...spanOf(asked, wasGranted),
      isIn: (copied) => copied !== undefined && copied.generation > generation,
    }),
  );
  const end: Change = {
    family,
    name: `the end of ${family}`,
    ...spanOf(ends, isEnding),
    isIn: (copied) => copied?.isRevoked === true,
  };
  return [login, ...rotations, end];
}

const wasGranted = ({ status }: Entry): boolean => status === 200;

/** From the first that asked to the first that was told; what nobody has asked for never begins. */
const spanOf = (asked: readonly Entry[], isTold: (entry: Entry) => boolean): Interval => ({
  started: Math.min(...asked.map(({ started }) => started)),
  ended: Math.min(...asked.filter(isTold).map(({ ended }) => ended)),
});

/** A generation that no request can have led to, and a family that no request speaks of. */
function inventionsIn(family: string, { generation }: Copied, entries: readonly Entry[]): string[] {
  const asked = Math.max(-1, ...entries.map((entry) => (entry.kind === 'refresh' ? entry.generation : -1))) + 1;
  return [
    ...(entries.length > 0 ? [] : [`${family}: nobody has logged in`]),
    ...(generation <= asked ? [] : [`${family}: generation ${generation}, and ${asked} is all that was asked for`]),
  ];
}
