/** How the cursor and the picture move. It only computes. */
import { DOWN, PAGE_DOWN, PAGE_UP, UP } from './key-names.ts';
import { firstShown } from './listing.ts';
import { listRows, type Size, type State } from './state.ts';

/** The cursor so many rows further, never past an end. */
export function moved(state: State, by: number, size: Size): Partial<State> {
  const ids = state.listing?.ids ?? [];
  const at = ids.indexOf(state.cursorId ?? '');
  const to = Math.max(0, Math.min(ids.length - 1, at + by));
  return { cursorId: ids[to], start: firstShown(to, state.start, listRows(size)) };
}

/** Whether it stands on the last row. */
export const isAtEnd = ({ listing, cursorId }: State): boolean =>
  listing !== undefined && listing.ids.at(-1) === cursorId;

/** What the terminal has become: the cursor stays in sight. */
export const refitted = (state: State, size: Size): State => ({ ...state, ...moved(state, 0, size) });

/** How far each of these keys goes, in rows. */
export function stepOf(key: string, size: Size): number | undefined {
  const page = Math.max(1, listRows(size) - 1);
  const steps: Readonly<Record<string, number>> = {
    j: 1,
    k: -1,
    [DOWN]: 1,
    [UP]: -1,
    [PAGE_DOWN]: page,
    [PAGE_UP]: -page,
    G: 1e9,
    g: -1e9,
  };
  return Object.hasOwn(steps, key) ? steps[key] : undefined;
}
